"""Runs what is measured in processes of their own, so that imports, tracing and caches are alike.

`python measuring.py MODULE:FUNCTION ANSWER` is such a process: it calls a
function of this folder with the JSON arguments on its standard input and
writes what it returns, as JSON, to the file ANSWER.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Ran:
    """A process that ended well.

    Attributes:
        seconds: From its start to its end, imports included.
        peak_megabytes: Most resident memory it ever had (VmHWM).
    """

    seconds: float
    peak_megabytes: float


def run_command(command: Sequence[str], *, cache: Path, given: str = "") -> Ran:
    """Run a program to its end.

    Args:
        command: Its name and arguments.
        cache: Its KFT_CACHE_DIR.
        given: Its standard input.

    Raises:
        SystemExit: It failed; its output is shown.
    """
    environment = {**os.environ, "KFT_CACHE_DIR": str(cache)}
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as source:
        source.write(given.encode())
        source.seek(0)
        begun = time.monotonic()
        process = subprocess.Popen(
            command, env=environment, stdin=source, stdout=said, stderr=subprocess.STDOUT
        )
        # The usage of this process alone; that of all children so far would be a maximum.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            output = said.read().decode(errors="replace")[-4000:]
            raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}\n{output}")
    return Ran(seconds, usage.ru_maxrss / 1e3)


def call(function: str, *, cache: Path | None = None, **arguments: Any) -> Any:
    """What `module:function` of this folder returns in a new process.

    Args:
        function: Its module need not be imported here.
        cache: Folder of kft's caches; by default one that is empty and vanishes.
        arguments: JSON values.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "answer.json")
        run_command(
            [sys.executable, __file__, function, str(answer)],
            cache=cache or Path(folder, "cache"),
            given=json.dumps(arguments),
        )
        return json.loads(answer.read_text(encoding="utf-8"))


def alternate(measurements: Mapping[str, Callable[[], T]], repeats: int) -> dict[str, list[T]]:
    """The outcomes of each measurement; every other repeat goes through them backwards."""
    found: dict[str, list[T]] = {name: [] for name in measurements}
    for repeat in range(repeats):
        for name in list(measurements)[:: -1 if repeat % 2 else 1]:
            found[name].append(measurements[name]())
    return found


def _answer_call(function: str, answer: str) -> None:
    module, _, name = function.partition(":")
    # Its imports, and TensorFlow's start, come before the function's first clock.
    called = getattr(importlib.import_module(module), name)
    found = called(**json.load(sys.stdin))
    Path(answer).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    _answer_call(*sys.argv[1:])
