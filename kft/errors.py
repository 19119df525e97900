"""The exception tree.

KftError                exit 1
├── ConfigError         exit 2   a pipeline file, an override or an option
├── DataError           exit 2   the user's examples or labels
├── BackboneError       exit 2   a backbone, its blocks or its weights
├── RunError            exit 2   a run directory: missing, damaged
│   ├── HeldRunError    exit 1   another process writes into it
│   └── ChangedRunError exit 1   data, settings or versions differ from its start
├── StorageError        exit 2   an unwritable folder, a full disk
│   └── LostDiskError   exit 1   a disk that fails or is gone, perhaps for a while
├── TrainingError       exit 1   a phase that did not do what it declared
│   └── ServiceError    exit 1   a tf.data service lost a batch (data/batches/service.py)
├── LostWorkerError     exit 1   a process that trains with this one is gone
└── ExportError         exit 1   an export that does not serve the trained model

A message says where the problem is, what was found, what is allowed, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence


class KftError(Exception):
    """Base class of the errors that kft raises on purpose.

    Attributes:
        exit_code: Exit code of the command line: 2 if the user must change data
            or configuration, 1 if the work itself failed.
    """

    exit_code = 1


class ConfigError(KftError):
    """A pipeline file, an override or a command line option is invalid.

    Attributes:
        problems: All problems, each with its place; the message itself if there is only one.
    """

    exit_code = 2

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems) or (message,)

    @classmethod
    def from_problems(cls, where: str, problems: Sequence[str]) -> ConfigError:
        """Make one error that lists all problems found in `where`.

        >>> print(ConfigError.from_problems("a.yaml", ["x: unknown key", "y: not a number"]))
        a.yaml: 2 problems
          - x: unknown key
          - y: not a number
        """
        if len(problems) == 1:
            return cls(f"{where}: {problems[0]}")
        listed = "\n".join(f"  - {problem}" for problem in problems)
        return cls(f"{where}: {len(problems)} problems\n{listed}", problems)


class DataError(KftError):
    """The user's examples or labels cannot be used as given."""

    exit_code = 2


class BackboneError(KftError):
    """A backbone is unknown, cannot be divided into blocks, or its weights do not fit."""

    exit_code = 2


class RunError(KftError):
    """A run directory is missing, in use or damaged."""

    exit_code = 2


class HeldRunError(RunError):
    """Another process writes into a run; a restarted job may succeed later."""

    exit_code = 1


class ChangedRunError(RunError):
    """Data, settings, weights or versions differ from those at the start of a run."""

    exit_code = 1


class StorageError(KftError):
    """A folder is not writable, or its disk is full; neither kft nor a pipeline can change that."""

    exit_code = 2


class LostDiskError(StorageError):
    """A disk fails or is gone; it may be back when the command is run again."""

    exit_code = 1


class TrainingError(KftError):
    """A phase did not do what it declared."""


class LostWorkerError(KftError):
    """A process that trains with this one is gone."""


class ExportError(KftError):
    """An export failed, or does not serve the trained model."""


def first_line(error: BaseException) -> str:
    """First line of a library's error message, ended by a full stop.

    >>> first_line(ValueError("shapes differ\\n  (2, 3) and (4,)"))
    'shapes differ.'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = (lines[0] if lines else type(error).__name__)[:300]
    return text if text.endswith(".") else f"{text}."
