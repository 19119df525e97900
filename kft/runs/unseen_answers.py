"""Answers to examples that a model had not seen, on which thresholds are chosen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kft.runs.atomic import write_arrays
from kft.runs.layout import RunDirectory

_FILE = "unseen_answers.npz"
# Bytes of outputs beyond which only some of the answers are kept.
_MOST_BYTES = 20_000_000


@dataclass(frozen=True)
class UnseenAnswers:
    """Answers to examples that a model had not seen, such as those left out of a fold.

    Attributes:
        outputs: Outputs of `Head.activate` (examples, outputs).
        targets: Targets as returned by `Head.standardise`.
    """

    outputs: np.ndarray
    targets: np.ndarray

    def join(self, other: UnseenAnswers) -> UnseenAnswers:
        """Append other answers of the same model."""
        return UnseenAnswers(
            np.concatenate([self.outputs, other.outputs]),
            np.concatenate([self.targets, other.targets]),
        )


def write_unseen(folder: Path, answers: UnseenAnswers, *, seed: int = 0) -> None:
    """Write unseen_answers.npz.

    Args:
        folder: Folder of the phase that made the model.
        answers: What to write; of many, a random part is kept.
        seed: Seed of the part.
    """
    outputs = np.asarray(answers.outputs, np.float32)
    count = int(_MOST_BYTES / outputs[:1].nbytes) if len(outputs) else 0
    kept = np.sort(np.random.default_rng(seed).permutation(len(outputs))[:count])
    write_arrays(folder / _FILE, {"outputs": outputs[kept], "targets": answers.targets[kept]})


def read_unseen(folder: Path) -> UnseenAnswers | None:
    """Read the unseen answers of a phase's model; None if it has none.

    Args:
        folder: Folder of the phase.
    """
    if not (folder / _FILE).is_file():
        return None
    with np.load(folder / _FILE, allow_pickle=False) as arrays:
        return UnseenAnswers(arrays["outputs"], arrays["targets"])


def read_last_unseen(run: RunDirectory) -> UnseenAnswers | None:
    """Read the unseen answers of the last phase of a run that has any; None if none has."""
    found = map(read_unseen, sorted(run.path.glob("phases/*"), reverse=True))
    return next((each for each in found if each is not None), None)
