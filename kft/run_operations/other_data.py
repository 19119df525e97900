"""What a run says about other data without their labels: how far they lie from training's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from kft.config import Pipeline
from kft.data import load_splits
from kft.data.admission.check_files import check_files
from kft.data.batches.pipeline import make_dataset
from kft.data.file_patterns import find_named_files
from kft.display import Display
from kft.errors import DataError
from kft.evaluation.drift import Drift, measure_drift
from kft.evaluation.familiarity import (
    Familiarity,
    fit_familiarity,
    read_familiarity,
    write_familiarity,
)
from kft.evaluation.feature_vectors import compute_vectors, sample_examples
from kft.evaluation.prediction import Predictor
from kft.examples import Examples, Files
from kft.features import Forward
from kft.modalities import load_modality
from kft.modalities.checked import Checked, CheckOptions, to_examples
from kft.provenance import check_run_data, find_other_data
from kft.run_operations.asked_model import configure_stated
from kft.runs import RunDirectory
from kft.training import Trained

# Files of an unlabelled folder that are looked at.
_MOST_FILES = 500
_NUM_NAMES = 5


class OtherData:
    """Comparison of other data with those of a run's training.

    Args:
        run: The run.
        trained: Its model.
        pipeline: Its pipeline.
        display: Shows the progress.
    """

    def __init__(
        self, run: RunDirectory, trained: Trained, pipeline: Pipeline, display: Display
    ) -> None:
        self._run = run
        self._trained = trained
        self._pipeline = pipeline
        self._display = display

    def measure(self, examples: Examples) -> Drift | None:
        """Measure how far examples lie from training's.

        There is no result if the training data are gone, or if the model has no feature vectors.

        Args:
            examples: Examples of the other data.
        """
        if not self._trained.head.reads_vectors:
            return None
        familiarity = read_familiarity(self._run.path) or self._learn()
        if familiarity is None:
            return None
        return measure_drift(familiarity, self._compute(sample_examples(examples), "of the data"))

    def describe_files(self, path: str) -> str:
        """Describe what can be said of a folder whose labels cannot be read; '' if nothing.

        Args:
            path: Path of the other data.
        """
        spec = self._trained.stated.spec
        if not Path(path).is_dir():
            return ""
        try:
            named = find_named_files([path], load_modality(spec.modality)).files
        except DataError:
            return ""
        files = tuple(named[place] for place in _spread(len(named), _MOST_FILES))
        places = tuple(str(Path(name).absolute()) for name in files)
        targets = np.zeros(len(files), np.int64)
        outcomes = check_files(
            Examples(files, Files(places), targets),
            configure_stated(self._trained.stated),
            options=CheckOptions(trained=self._trained.stated.trained),
        )
        checked = [each for each in outcomes if isinstance(each, Checked)]
        if not checked:
            return ""
        examples = to_examples(checked, targets[: len(checked)])
        drift = self.measure(examples)
        sentences = [f"Without labels, of {len(examples):,} files:", self._count(examples)]
        return " ".join([*sentences, "" if drift is None else str(drift)]).strip()

    def _count(self, examples: Examples) -> str:
        """Count the answers."""
        head, task = self._trained.head, self._trained.head.task
        batch_size = self._trained.pipeline.training.batch_size
        batches = make_dataset(examples, self._trained.decoder, batch_size=batch_size)
        answers = Forward(self._trained.model, head.activate)
        predictor = Predictor(answers, num_examples=len(examples))
        with self._display.track("Answers", len(examples)) as advance:
            outputs = predictor(batches, num_examples=len(examples), progress=advance)
        rows = (dict(zip(head.class_names, row.tolist(), strict=True)) for row in outputs)
        chosen = Counter(name for row in rows for name in task.choose(row) or ())
        if not chosen:
            return ""
        most = ", ".join(f"{name} {count}" for name, count in chosen.most_common(_NUM_NAMES))
        return f"the model answers {most}."

    def _learn(self) -> Familiarity | None:
        """Learn the scatter of the training examples, if these are still there, and keep it."""
        try:
            check_run_data(self._run, self._pipeline)
            splits = load_splits(self._pipeline.data, decode=False)
        except DataError:
            return None
        if find_other_data(self._run, splits):
            return None
        sample = sample_examples(splits.train)
        vectors = self._compute(sample, "of training")
        classes = sample.targets if self._trained.head.task.has_classes else None
        familiarity = fit_familiarity(vectors, classes)
        write_familiarity(self._run.path, familiarity)
        return familiarity

    def _compute(self, examples: Examples, what: str) -> np.ndarray:
        with self._display.track(f"Features {what}", len(examples)) as advance:
            return compute_vectors(
                self._trained.model,
                self._trained.decoder,
                examples,
                batch_size=self._trained.pipeline.training.batch_size,
                progress=advance,
            )


def _spread(total: int, count: int) -> list[int]:
    """Choose places that are spread evenly."""
    chosen: list[int] = np.linspace(0, total - 1, min(total, count)).astype(int).tolist()
    return chosen
