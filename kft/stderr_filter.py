"""What libraries write on the error stream past Python, held back where it is no news."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def filter_stderr(notices: re.Pattern[bytes]) -> Iterator[None]:
    """Drop the lines of the error stream that begin with a match; pass the others on at the end.

    It works on the stream's descriptor, since no environment variable and no
    logger reaches what a library's C++ writes.

    Args:
        notices: Matched against the beginning of each line.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            said.seek(0)
            for line in said:
                if not notices.match(line):
                    os.write(2, line)
