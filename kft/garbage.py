"""Python's garbage collector, kept from looking where there is no garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Collect nothing inside, for what makes very many objects that are to stay.

    The collector looks through all objects again each time so many are new,
    which can take most of the time. Objects that nobody refers to vanish at
    once as ever; only those that refer to each other wait.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
