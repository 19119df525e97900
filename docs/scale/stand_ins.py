"""The stage on which a job's own commands run: an empty folder, and stand-ins for programs.

The stand-in for kft only notes how it was called.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# What a step and a checkpoint on a shared disk may take.
GRACE_SECONDS = 60

_KFT = """#!/bin/sh
call=0
while ! mkdir "$REHEARSAL/call-$call" 2>/dev/null; do call=$((call + 1)); done
printf '%s\\0' "${TF_CONFIG-}" "$PWD" "$@" > "$REHEARSAL/call-$call/words"
exit "${REHEARSAL_CODE:-0}"
"""


@dataclass(frozen=True)
class Call:
    """One call of kft.

    Attributes:
        arguments: Its words.
        tf_config: The environment variable; empty where it is not set.
        folder: Where it was called.
    """

    arguments: tuple[str, ...]
    tf_config: str
    folder: Path


@dataclass(frozen=True)
class Start:
    """What one worker did when it was started.

    Attributes:
        calls: Of kft, in order.
        code: It ended with.
        errors: What it wrote on its error stream.
    """

    calls: tuple[Call, ...]
    code: int
    errors: str

    def describe(self) -> str:
        """For a message."""
        called = "; ".join("kft " + " ".join(call.arguments) for call in self.calls) or "no kft"
        said = self.errors.strip().splitlines()
        return f"exit code {self.code}, {called}" + (f" ({said[-1]})" if said else "")


@dataclass(frozen=True)
class Scene:
    """An empty folder in which workers start.

    Attributes:
        root: The folder.
        environment: More variables for every worker.
    """

    root: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def programs(self) -> Path:
        """The folder of the stand-ins."""
        return self.root / "stand-ins"

    def add_program(self, name: str, text: str) -> None:
        """Write a stand-in."""
        self.programs.mkdir(exist_ok=True)
        path = self.programs / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def make_notes(self, worker: int) -> Path:
        """A new folder for what this worker's stand-ins note."""
        folder = self.root / f"notes-{worker}"
        number = 0
        while (folder / str(number)).exists():
            number += 1
        notes = folder / str(number)
        notes.mkdir(parents=True)
        return notes

    def make_environment(self, notes: Path) -> dict[str, str]:
        """The stand-ins first, and nothing of the user's own."""
        return {
            "PATH": f"{self.programs}:{os.defpath}",
            "HOME": str(self.root),
            "REHEARSAL": str(notes),
            **self.environment,
        }


# Starts every worker once; gives what each did.
Starter = Callable[[Scene], Sequence[Start]]


def make_scene(folder: str, environment: Mapping[str, str] | None = None) -> Scene:
    """A folder with the stand-ins that both checks need."""
    # Resolved: a shell says where it is without links.
    scene = Scene(Path(folder).resolve(), environment or {})
    scene.add_program("kft", _KFT)
    return scene


def read_calls(notes: Path) -> tuple[Call, ...]:
    """What the stand-in of kft noted."""
    calls = []
    for path in sorted(notes.glob("call-*/words")):
        config, folder, *arguments = path.read_text(encoding="utf-8").split("\0")[:-1]
        calls.append(Call(tuple(arguments), config, Path(folder)))
    return tuple(calls)
