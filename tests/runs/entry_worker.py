"""A process that builds an entry, prints each step, and continues on request.

Usage: entry_worker.py KEY [hold]. With 'hold' it waits, in the midst of building, for a line.
"""

import sys

from kft.runs.entries import open_or_build


def say(word: str) -> None:
    print(word, flush=True)


def build(folder):
    (folder / "begun.txt").write_text("begun")
    say("building")
    if "hold" in sys.argv:
        assert sys.stdin.readline()
    (folder / "value.txt").write_text("the value")


entry = open_or_build(
    "features",
    sys.argv[1],
    build,
    about="a test",
    limit_bytes=10**9,
    on_wait=lambda: say("waiting"),
)
say(f"has {(entry.path / 'value.txt').read_text()}, cached: {entry.was_cached}")
# In use until the test closes the pipe.
sys.stdin.read()
