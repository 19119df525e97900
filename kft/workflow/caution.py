"""When a run's model should not answer: thresholds on unseen answers, and familiar inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kft.display import Display
from kft.evaluation.answering import (
    ANSWERING,
    NEVER,
    choose_confidence,
    measure_answering,
)
from kft.evaluation.evaluating import Evaluation
from kft.evaluation.familiarity import fit_familiarity, read_familiarity, write_familiarity
from kft.evaluation.feature_vectors import MOST_VECTORS, compute_vectors, sample_examples
from kft.evaluation.judgements import record_own
from kft.examples import SplitName
from kft.feeding import Feed
from kft.runs import RunDirectory
from kft.runs.atomic import write_json
from kft.runs.layout import read_json
from kft.runs.unseen_answers import UnseenAnswers, read_unseen
from kft.serving import Guard
from kft.training import FittedPhase
from kft.workflow.plan import Plan

# Examples below which a scatter of features means nothing.
_LEAST_EXAMPLES = 10
_FILE = "abstain.json"


class Caution:
    """What a run says about when to trust its model.

    Args:
        plan: The run's plan.
        run: The run directory.
        display: Shows the progress.
    """

    def __init__(self, plan: Plan, run: RunDirectory, display: Display) -> None:
        self._plan = plan
        self._head = plan.assembled.head
        self._run = run
        self._display = display

    def learn(self, feed: Feed, fitted: Sequence[FittedPhase]) -> None:
        """Learn how the features of training examples scatter, if they are stored or needed.

        All workers call this, because they load stored features together.

        Args:
            feed: Feed of the run.
            fitted: Result of each phase.
        """
        train = self._plan.splits.train
        if len(train) < _LEAST_EXAMPLES or not self._head.reads_vectors:
            return
        model, is_chief = find_last(fitted), self._plan.process.workers.is_chief
        if fitted[model].phase.method == "solve":
            vectors = feed.for_solution(fitted[model].phase).vectors[: len(train)]
            features, targets = vectors[:, pooled_columns(self._plan)], train.targets
        elif self._plan.pipeline.abstain.error is not None and is_chief:
            sample = sample_examples(train, MOST_VECTORS)
            with self._display.track("Features of trained model", len(sample)) as advance:
                features = compute_vectors(
                    self._plan.assembled.model,
                    self._plan.decoder,
                    sample,
                    batch_size=self._plan.pipeline.training.batch_size,
                    progress=advance,
                )
            targets = sample.targets
        else:
            return
        if not is_chief:
            return
        classes = targets if self._head.task.has_classes else None
        seed = self._plan.pipeline.training.seed
        write_familiarity(self._run.path, fit_familiarity(features, classes, seed=seed))

    def comment(self, split: SplitName) -> None:
        """Say how far the figures of a split can be trusted, and record that it was judged."""
        splits, before = self._plan.splits, 0
        if split == "holdout":
            before = record_own(self._run, len(splits.holdout)).runs_before
        if before:
            self._display.stage(
                f"  {before} other run{'s' * (before > 1)} judged this holdout before: the best "
                "of several looks better than it is."
            )
        if split == "validation" and any(p.decides_on_validation for p in self._plan.phases):
            self._display.stage(
                "  Validation has also decided how to train, so its figures are too good."
            )

    def choose(
        self, fitted: Sequence[FittedPhase], evaluations: Mapping[SplitName, Evaluation]
    ) -> None:
        """Choose thresholds on unseen answers, measure them on the holdout, and write both.

        Args:
            fitted: Result of each phase.
            evaluations: Evaluation of each judged split.
        """
        unseen = self._find_unseen(fitted, evaluations)
        error = self._plan.pipeline.abstain.error
        if unseen is None:
            return
        task = self._head.task
        answers = self._head.restore_units(unseen.outputs), unseen.targets
        if error is not None:
            confidence = choose_confidence(task, *answers, error)
            if confidence is None:
                self._display.stage(
                    f"  No answer is sure: {len(unseen.outputs):,} unseen answers cannot show an "
                    f"error of at most {error:g}. More labels, or a larger abstain.error, may help."
                )
            write_json(
                self._run.path / _FILE,
                {
                    "error": error,
                    "confidence": NEVER if confidence is None else confidence,
                    "unseen_answers": len(unseen.outputs),
                },
            )
        if "holdout" in evaluations:
            held = evaluations["holdout"].outputs, self._plan.splits.holdout.targets
            told = measure_answering(task, self._head.class_names, answers, held, error=error)
            if told:
                write_json(self._run.evaluation("holdout") / ANSWERING, told)

    def _find_unseen(
        self, fitted: Sequence[FittedPhase], evaluations: Mapping[SplitName, Evaluation]
    ) -> UnseenAnswers | None:
        """Find answers of the model, or of models like it, to examples that they had not seen."""
        if not self._head.task.is_stratified or not self._head.reads_vectors:
            return None
        index = find_last(fitted)
        found = read_unseen(self._run.phase(index, fitted[index].phase.name))
        if "validation" not in evaluations:
            return found
        validation = UnseenAnswers(
            evaluations["validation"].outputs, self._plan.splits.validation.targets
        )
        return validation if found is None else found.join(validation)


def find_last(fitted: Sequence[FittedPhase]) -> int:
    """Find the number of the phase whose result the model is."""
    kept = [index for index, each in enumerate(fitted) if not each.is_undone]
    return kept[-1] if kept else 0


def pooled_columns(plan: Plan) -> slice:
    """Columns of the pooled features of the last block in the vectors of a solved phase."""
    head = plan.assembled.head
    if not head.taps:
        return slice(None)
    widths = head.list_widths(plan.assembled.model)
    begin = sum(map(sum, widths[:-1]))
    return slice(begin, begin + widths[-1][0])


def load_guard(run: RunDirectory) -> Guard | None:
    """Load the guard of a run's exports; None if the run was trained without `abstain.error`.

    Args:
        run: The run.

    Raises:
        RunError: A file is damaged.
    """
    familiarity = read_familiarity(run.path)
    if not (run.path / _FILE).is_file() or familiarity is None:
        return None
    return Guard(
        read_json(run.path / _FILE)["confidence"],
        np.asarray(familiarity.centres),
        np.asarray(familiarity.whitening),
        familiarity.limit,
    )
