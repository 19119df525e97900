"""The ladder of a run: baselines on the features of the pretrained backbone, beside the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kft.display import Display
from kft.errors import ConfigError
from kft.evaluation.baselines import (
    LAYERED,
    MAJORITY,
    Baseline,
    FeatureSet,
    apply_linear,
    ask_neighbours,
    measure_learning,
    solve_probe,
)
from kft.evaluation.ladder import (
    LearningPoint,
    Rung,
    compare_values,
    place_rung,
    write_ladder,
)
from kft.examples import SplitName
from kft.feeding import Feed
from kft.figures import format_figure
from kft.model import HEAD
from kft.runs import RunDirectory
from kft.runs.atomic import write_json
from kft.runs.layout import read_json
from kft.strategies import Phase
from kft.strategies.phases import Scope, Solve
from kft.tasks.head import LOGITS
from kft.training import FittedPhase
from kft.workflow.plan import Plan

# Training examples whose features are computed only for baselines, if no phase needs them.
_MOST_EXTRA = 5_000
_BYTES = 4


@dataclass(frozen=True)
class _Measured:
    """A baseline, judged example by example."""

    name: str
    seconds: float
    size: int
    values: np.ndarray


class Baselines:
    """The baselines of a run, measured before its backbone changes and compared at its end.

    What was measured lies beside the checkpoints until the run is finished, so that a resumed run
    has it.

    Args:
        plan: The run's plan.
        run: The run directory.
        display: Shows the progress.
        judged_splits: Splits that the run judges.
    """

    def __init__(
        self,
        plan: Plan,
        run: RunDirectory,
        display: Display,
        judged_splits: Sequence[SplitName],
    ) -> None:
        self._plan = plan
        self._display = display
        self._file: Path = run.checkpoints / "baselines.json"
        self.split = _choose_split(plan, judged_splits)

    def measure(self, feed: Feed, phase: Phase, fitted: FittedPhase | None = None) -> None:
        """Measure baselines, once a run; the backbone must have its first weights.

        Args:
            feed: Feed of the run.
            phase: First phase of the run.
            fitted: Result of this phase if it is solved; None before it begins otherwise.
        """
        plan = self._plan
        is_solved = fitted is not None
        if self.split is None or plan.assembled.head.task.linear is None:
            return
        if not is_solved and (
            plan.assembled.backbone.sha256 is None
            or not plan.pipeline.features.enabled
            or len(plan.splits.train) > _MOST_EXTRA
        ):
            return
        if plan.process.workers.broadcast_from_chief(self._file.is_file):
            return
        probe = phase if is_solved else Phase("baselines", Scope((HEAD,)), Solve())
        try:
            train, asked = feed.vectors_beside(probe, self.split)
        except ConfigError as error:
            self._display.stage(f"  No baselines on features: {error}")
            return
        if plan.process.workers.is_chief:
            with self._display.track(f"Baselines on {self.split}"):
                self._measure(feed, probe, train, asked, fitted)

    def _measure(
        self,
        feed: Feed,
        phase: Phase,
        train: np.ndarray,
        asked: np.ndarray,
        fitted: FittedPhase | None,
    ) -> None:
        head, config = self._plan.assembled.head, self._plan.pipeline.training
        learned = feed.examples(replace(phase, learns_from=("train",)))
        terms = head.make_terms(config, learned.targets)
        loss = head.task.linear
        assert loss is not None, "checked before the features were loaded"
        features = FeatureSet(
            train,
            asked,
            replace(head.state_linear(config, terms, learned.targets), groups=learned.units),
            loss,
            lambda logits: head.restore_units(np.asarray(head.activate(logits))),
            config.seed,
        )
        prior = head.restore_units(features.targets.dense.mean(axis=0, keepdims=True))
        found = [Baseline(MAJORITY, np.repeat(prior, len(asked), axis=0), 0.0, prior.size)]
        pooled = features.of_columns(self._pooled_columns())
        shared = feed.vector_seconds
        found.append(ask_neighbours(pooled, head.restore_units))
        solved = solve_probe(pooled)
        points: list[LearningPoint] = []
        if solved is not None:
            found.append(solved[0])
            judged = self._plan.splits.get(self.split or "holdout")
            points = list(
                measure_learning(pooled, solved[1].penalty, self._find_errors, judged.groups)
            )
        if fitted is not None and head.taps:
            found.append(self._ask_layered(features, fitted, shared))
        size_of_backbone = self._plan.assembled.backbone.model.count_params()
        measured = [
            {
                "name": each.name,
                "seconds": each.seconds if each.name == MAJORITY else each.seconds + shared,
                "size": _BYTES * (each.num_numbers + (each.name != MAJORITY) * size_of_backbone),
                "values": self._find_values(each.outputs).tolist(),
            }
            for each in found
        ]
        write_json(
            self._file, {"baselines": measured, "learning": [asdict(each) for each in points]}
        )

    def _pooled_columns(self) -> slice:
        """Columns of the pooled features of the last block."""
        head = self._plan.assembled.head
        if not head.taps:
            return slice(None)
        widths = head.list_widths(self._plan.assembled.model)
        begin = sum(map(sum, widths[:-1]))
        return slice(begin, begin + widths[-1][0])

    def _ask_layered(self, features: FeatureSet, fitted: FittedPhase, shared: float) -> Baseline:
        layer = self._plan.assembled.model.get_layer(LOGITS)
        kernel, bias = layer.kernel.numpy(), layer.bias.numpy()
        outputs = features.answer(apply_linear(features.asked, kernel, bias))
        return Baseline(LAYERED, outputs, max(fitted.seconds - shared, 0.0), kernel.size)

    def _find_values(self, outputs: np.ndarray) -> np.ndarray:
        splits, figures = self._plan.splits, self._plan.assembled.head.task.figures
        assert self.split is not None, "nothing is judged"
        targets = splits.get(self.split).targets
        values = figures.lead_values(targets, outputs, splits.train.targets)
        assert values is not None, "a task with a linear problem has a mean as its figure"
        return values

    def _find_errors(self, outputs: np.ndarray) -> np.ndarray:
        values = self._find_values(outputs)
        return values if not self._plan.assembled.head.task.is_stratified else 1 - values

    def write(self, outputs: np.ndarray, fitted: Sequence[FittedPhase], folder: Path) -> None:
        """Compare the trained model with the baselines, and write the ladder.

        Args:
            outputs: Answers of the trained model on `split`, in the unit of the targets.
            fitted: Result of each phase.
            folder: Folder of the evaluation.
        """
        assert self.split is not None, "nothing is judged"
        task = self._plan.assembled.head.task
        groups = self._plan.splits.get(self.split).groups
        values = task.figures.lead_values(
            self._plan.splits.get(self.split).targets, outputs, self._plan.splits.train.targets
        )
        if values is None:
            return
        stored = read_json(self._file) if self._file.is_file() else {}
        rungs = [
            replace(
                place_rung(
                    Rung(each.name, 0.0, None, each.seconds, each.size), each.values, groups=groups
                ),
                difference=compare_values(each.values, values, groups, is_share=task.is_stratified),
            )
            for each in _restore(stored.get("baselines", ()))
        ]
        size = _BYTES * self._plan.assembled.model.count_params()
        seconds = sum(each.seconds for each in fitted)
        name = f"this model ({self._name_model(fitted)})"
        rungs.append(place_rung(Rung(name, 0.0, None, seconds, size), values, groups=groups))
        points = [LearningPoint(**each) for each in stored.get("learning", ())]
        write_ladder(folder, rungs, points)

    def _name_model(self, fitted: Sequence[FittedPhase]) -> str:
        trained = [each for each in fitted if each.phase.method == "fit" and not each.is_undone]
        if not trained:
            return "the probe"
        if self._plan.assembled.backbone.sha256 is None:
            return "from random weights"
        share = trained[-1].phase.share if trained[-1].phase.share < 1 else trained[-1].share or 1
        return "fine-tuned" if share == 1 else f"blend, {format_figure(share)} fine-tuned"

    def clear(self) -> None:
        """Remove what was kept for resuming."""
        self._file.unlink(missing_ok=True)


def _choose_split(plan: Plan, judged_splits: Sequence[SplitName]) -> SplitName | None:
    """Choose the split on which models are compared; None for a trial of a search."""
    if "holdout" not in judged_splits:
        return None
    chosen: SplitName = "holdout" if len(plan.splits.holdout) else "validation"
    return chosen if chosen in judged_splits and len(plan.splits.get(chosen)) else None


def _restore(stored: Sequence[dict[str, Any]]) -> Iterator[_Measured]:
    for each in stored:
        yield _Measured(**{**each, "values": np.array(each["values"])})
