"""The exception tree.

KftError                exit 1
├── ConfigError         exit 2   a pipeline file, an override or an option
├── DataError           exit 2   the user's examples or labels
├── BackboneError       exit 2   a backbone, its blocks or its weights
├── RunError            exit 2   a run directory: missing, damaged
│   ├── HeldRunError    exit 1   another process writes into it
│   └── ChangedRunError exit 1   data, settings or versions are not those that it began with
├── StorageError        exit 2   a folder that cannot be written, a disk that is full
│   └── LostDiskError   exit 1   a disk that fails or is gone, and may be back
├── TrainingError       exit 1   a phase that did not do what it declared
│   └── ServiceError    exit 1   a tf.data service lost a batch (data/input/service.py)
├── LostWorkerError     exit 1   a process that this one trains with is gone
└── ExportError         exit 1   an export that does not serve what was trained

A message says where, what was found, what is allowed, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence


class KftError(Exception):
    """Every error that kft raises on purpose.

    Attributes:
        exit_code: What the command line returns: 2 where the user's data or
            configuration must change, 1 for a failure of the work itself.
    """

    exit_code = 1


class ConfigError(KftError):
    """A pipeline file, an override or a command line option is wrong.

    Attributes:
        problems: What is wrong, each with its place; the message itself where that is one problem.
    """

    exit_code = 2

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems) or (message,)

    @classmethod
    def from_problems(cls, where: str, problems: Sequence[str]) -> ConfigError:
        """One error that lists every problem found in `where`."""
        if len(problems) == 1:
            return cls(f"{where}: {problems[0]}")
        listed = "\n".join(f"  - {problem}" for problem in problems)
        return cls(f"{where}: {len(problems)} problems\n{listed}", problems)


class DataError(KftError):
    """The user's examples or labels cannot be used as they are."""

    exit_code = 2


class BackboneError(KftError):
    """A backbone is unknown, cannot be divided into blocks, or its weights do not fit."""

    exit_code = 2


class RunError(KftError):
    """A run directory is missing, taken or damaged."""

    exit_code = 2


class HeldRunError(RunError):
    """Another process writes into a run; a job that starts again may try again."""

    exit_code = 1


class ChangedRunError(RunError):
    """Data, settings, weights or versions are not those that a run began with."""

    exit_code = 1


class StorageError(KftError):
    """A folder cannot be written, or its disk is full: nothing that kft or a pipeline can mend."""

    exit_code = 2


class LostDiskError(StorageError):
    """A disk fails or is gone. It may be back when the command is started again."""

    exit_code = 1


class TrainingError(KftError):
    """A phase did not do what it declared."""


class LostWorkerError(KftError):
    """A process that this one trains with is gone."""


class ExportError(KftError):
    """An export failed, or does not serve what was trained."""


def first_line(error: BaseException) -> str:
    """A library's message on one line of ours, ended by a full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = (lines[0] if lines else type(error).__name__)[:300]
    return text if text.endswith(".") else f"{text}."
