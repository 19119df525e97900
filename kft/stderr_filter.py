"""A filter for messages that libraries write to the error stream from C++."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def filter_stderr(notices: re.Pattern[bytes]) -> Iterator[None]:
    """Drop lines of the error stream that begin with a match; print the others at the end.

    The filter redirects the stream's file descriptor, since neither environment
    variables nor loggers affect messages written from C++.

    Args:
        notices: Pattern matched against the beginning of each line.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            captured.seek(0)
            for line in captured:
                if not notices.match(line):
                    os.write(2, line)
