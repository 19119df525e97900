"""Evaluation of a finished run on corrupted examples of its own split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from kft.data.batches.decoded import decode_all
from kft.data.batches.example_cache import to_inputs
from kft.data.batches.reading import list_contents
from kft.display import Display
from kft.errors import DataError
from kft.evaluation.prediction import Predictor
from kft.evaluation.robustness import CorruptedScore, Robustness, write_robustness
from kft.examples import Examples, SplitName, Values
from kft.features import Forward
from kft.modalities import load_modality
from kft.modalities.corruptions import NUM_STRENGTHS, Corruption
from kft.provenance import load_run_pipeline
from kft.run_operations.run_data import load_run_splits
from kft.runs import open_run
from kft.tasks.figures import Lead
from kft.training import Trained, load_trained

# Each is computed some thirty times; the interval of a share of so many is 6 points wide.
_MOST_EXAMPLES = 1000
_BATCH = 32
Arrays = Mapping[str, np.ndarray]


def measure_robustness(
    path: Path, display: Display, *, split: SplitName | None = None
) -> Robustness:
    """Judge a finished run on corrupted examples, by every corruption of their modality.

    The figures are written into the folder of the evaluation, where its report finds them.

    Args:
        path: Path of the run.
        display: Shows the progress.
        split: Split of the run's data; by default the holdout, or validation without one.

    Raises:
        RunError: There is no finished run at `path`, or it judged no such split.
        DataError: The run's data are missing or have changed, or no corruptions are known for
            them.
    """
    run = open_run(path)
    run.check_writable()
    trained = load_trained(run)
    modality = load_modality(trained.stated.spec.modality)
    corruptions = modality.list_corruptions()
    task = trained.head.task
    if task.companion is not None:
        raise DataError(
            f"robustness is measured for classes, labels and numbers, but this run answers "
            f"{task.nouns}, which would have to move with rotated examples."
        )
    if not corruptions:
        raise DataError(f"kft knows no corruptions of {modality.nouns}.")
    name = split or run.find_judged()
    splits = load_run_splits(run, load_run_pipeline(run), display)
    every = splits.get(name)
    if not len(every):
        raise DataError(f"{path}: the run has no {name} split.")
    count = min(_MOST_EXAMPLES, len(every))
    examples = every.take(np.linspace(0, len(every) - 1, count).astype(int))
    judge = _Judge(trained, examples, splits.train.targets)
    scores = []
    with display.track("Corrupted examples", 1 + NUM_STRENGTHS * len(corruptions)) as advance:
        for score in judge.score_all(corruptions):
            scores.append(score)
            advance(len(scores), 1 + NUM_STRENGTHS * len(corruptions))
    robustness = Robustness(judge.lead.name, judge.lead.is_share, count, tuple(scores))
    write_robustness(run.evaluation(name), robustness)
    return robustness


class _Judge:
    """Judges a model on corrupted versions of some examples.

    Args:
        trained: The model.
        examples: The examples.
        train_targets: Training targets.
    """

    def __init__(self, trained: Trained, examples: Examples, train_targets: np.ndarray) -> None:
        self._trained, self._examples = trained, examples
        self._train_targets = train_targets
        self._predict = Predictor(
            Forward(trained.model, trained.head.activate),
            num_examples=len(examples) * NUM_STRENGTHS,
            engine=trained.pipeline.features.engine,
        )
        self._decoded = decode_all(examples, trained.decoder)
        self.lead = self._lead(self._decoded)

    def score_all(self, corruptions: tuple[Corruption, ...]) -> Iterator[CorruptedScore]:
        """Score examples as they are, then by each corruption and strength."""
        yield CorruptedScore("", 0, "as they are", self.lead.value, self.lead.interval)
        for corruption in corruptions:
            for strength, description in enumerate(corruption.strengths):
                lead = self._lead(self._corrupt(corruption, strength))
                yield CorruptedScore(
                    corruption.name, strength + 1, description, lead.value, lead.interval
                )

    def _corrupt(self, corruption: Corruption, strength: int) -> Arrays:
        if corruption.is_of_content:
            contents = tuple(
                corruption.corrupt(read().numpy(), strength, _draw(strength, place))
                for place, (_, read) in enumerate(list_contents(self._examples))
            )
            changed = replace(self._examples, inputs=Values(contents))
            return decode_all(changed, self._trained.decoder)
        rows = [
            corruption.corrupt(
                {name: values[place] for name, values in self._decoded.items()},
                strength,
                _draw(strength, place),
            )
            for place in range(len(self._examples))
        ]
        return {name: np.stack([row[name] for row in rows]) for name in self._decoded}

    def _lead(self, decoded: Arrays) -> Lead:
        """Leading figure of the answers about decoded examples."""
        count, head = len(self._examples), self._trained.head
        batches = (
            to_inputs(
                {
                    name: tf.convert_to_tensor(values[start : start + _BATCH])
                    for name, values in decoded.items()
                }
            )
            for start in range(0, count, _BATCH)
        )
        standardised = self._predict(batches, num_examples=count, progress=lambda done, total: None)
        figures = head.task.figures
        return figures.lead(
            figures.compute(
                self._examples.targets,
                head.restore_units(standardised),
                head.class_names,
                self._train_targets,
            )
        )


def _draw(strength: int, place: int) -> np.random.Generator:
    return np.random.default_rng([strength, place])
