"""The ladder of a run: baselines on the features of the pretrained backbone, beside the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from kft.display import Display
from kft.errors import ConfigError
from kft.evaluation.baselines import (
    FINE_TUNED,
    LAYERED,
    MAJORITY,
    Baseline,
    FeatureSet,
    apply_linear,
    ask_modality,
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
from kft.evaluation.prediction import Predictor
from kft.examples import Examples, SplitName
from kft.feeding import Feed
from kft.modalities import load_modality
from kft.model import HEAD
from kft.runs import RunDirectory
from kft.runs.atomic import write_json
from kft.runs.layout import read_json
from kft.strategies import Phase
from kft.strategies.phases import Scope, Solve
from kft.tasks.head import LOGITS
from kft.training import FittedPhase, PhaseCompiler
from kft.workflow.caution import pooled_columns
from kft.workflow.plan import Plan

# Training examples whose features are computed only for baselines, if no phase needs them.
_MOST_EXTRA = 5_000
_BYTES = 4


class Baselines:
    """The baselines of a run, measured before its backbone changes and compared at its end.

    What was measured lies beside the checkpoints until the run is finished, so that a resumed run
    has it.

    Args:
        plan: The run's plan.
        run: The run directory.
        display: Shows the progress.
        judged_splits: Splits that the run judges.

    Attributes:
        split: Split on which the models are compared; None for a trial of a search.
    """

    def __init__(
        self,
        plan: Plan,
        run: RunDirectory,
        display: Display,
        judged_splits: Sequence[SplitName],
    ) -> None:
        self._plan = plan
        self._run = run
        self._head = plan.assembled.head
        self._display = display
        self._file: Path = run.checkpoints / "baselines.json"
        self.split = _choose_split(plan, judged_splits)

    def measure(self, feed: Feed, phase: Phase, fitted: FittedPhase | None = None) -> None:
        """Measure baselines on features, once a run; the backbone must have its first weights.

        Args:
            feed: Feed of the run.
            phase: First phase of the run.
            fitted: Result of this phase if it is solved; None before it begins otherwise.
        """
        plan, is_solved = self._plan, fitted is not None
        if self.split is None or self._head.task.linear is None or not self._head.reads_vectors:
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
                features = self._make_features(feed.examples(probe), train, asked)
                self._measure(features, feed.vector_seconds, fitted)

    def measure_trained(self, compiler: PhaseCompiler) -> None:
        """Measure fine-tuned weights, before they are blended with their start.

        Args:
            compiler: Compiler of the phase.
        """
        is_chief = self._plan.process.workers.is_chief
        if self.split is None or not self._head.reads_vectors or not is_chief:
            return
        # Not by LiteRT, whose graph would keep these weights.
        predictor = Predictor(compiler.answers, num_examples=len(self._examples), engine="keras")
        batches = compiler.feed.in_order(self.split)
        with self._display.track("Fine-tuned weights", len(self._examples)) as advance:
            outputs = predictor(batches, num_examples=len(self._examples), progress=advance)
        stored = read_json(self._file) if self._file.is_file() else {}
        others = [each for each in stored.get("baselines", ()) if each["name"] != FINE_TUNED]
        values = self._head.task.figures.lead_values(
            self._examples.targets,
            self._head.restore_units(outputs),
            self._plan.splits.train.targets,
        )
        if values is None:
            return
        size = _BYTES * self._plan.assembled.model.count_params()
        own = {"name": FINE_TUNED, "seconds": None, "size": size, "values": values.tolist()}
        write_json(self._file, {**stored, "baselines": [*others, own]})

    def _make_features(self, learned: Examples, train: np.ndarray, asked: np.ndarray) -> FeatureSet:
        """Make the problem of a linear head on stored features.

        Args:
            learned: Training examples, with standardised targets.
            train: Their features.
            asked: Features of the examples to answer about.
        """
        head, config = self._head, self._plan.pipeline.training
        terms = head.make_terms(config, learned.targets)
        targets = replace(head.state_linear(config, terms, learned.targets), groups=learned.units)
        loss = head.task.linear
        assert loss is not None, "checked before the features were loaded"

        def answer(logits: np.ndarray) -> np.ndarray:
            outputs: np.ndarray = head.restore_units(np.asarray(head.activate(logits)))
            return outputs

        return FeatureSet(train, asked, targets, loss, answer, config.seed)

    def _measure(self, features: FeatureSet, seconds: float, fitted: FittedPhase | None) -> None:
        pooled = features.of_columns(pooled_columns(self._plan))
        found = [ask_neighbours(pooled, self._head.restore_units)]
        points: list[LearningPoint] = []
        solved = solve_probe(pooled)
        if solved is not None:
            found.append(solved[0])
            groups = self._examples.groups
            points = list(measure_learning(pooled, solved[1].penalty, self._find_errors, groups))
        if fitted is not None and self._head.taps:
            found.append(self._ask_layered(features, max(fitted.seconds - seconds, 0.0)))
        size = self._plan.assembled.backbone.model.count_params()
        measured = [
            {
                "name": each.name,
                "seconds": each.seconds + seconds,
                "size": _BYTES * ((each.num_numbers or 0) + size),
                "values": self._find_values(each.outputs).tolist(),
            }
            for each in found
        ]
        points_found = [asdict(each) for each in points]
        write_json(self._file, {"baselines": measured, "learning": points_found})

    def _ask_layered(self, features: FeatureSet, seconds: float) -> Baseline:
        """Ask the solved head, which the model has at this time."""
        layer = self._plan.assembled.model.get_layer(LOGITS)
        kernel, bias = layer.kernel.numpy(), layer.bias.numpy()
        outputs = features.answer(apply_linear(features.asked, kernel, bias))
        return Baseline(LAYERED, outputs, seconds, kernel.size)

    @property
    def _examples(self) -> Examples:
        """Examples on which the models are compared."""
        assert self.split is not None, "nothing is judged"
        return self._plan.splits.get(self.split)

    def _find_values(self, outputs: np.ndarray) -> np.ndarray:
        values = self._head.task.figures.lead_values(
            self._examples.targets, outputs, self._plan.splits.train.targets
        )
        assert values is not None, "the figure of a task with baselines is a mean"
        return values

    def _find_errors(self, outputs: np.ndarray) -> np.ndarray:
        values = self._find_values(outputs)
        return 1 - values if self._head.task.is_stratified else values

    def write(self, split: SplitName, outputs: np.ndarray, fitted: Sequence[FittedPhase]) -> None:
        """Compare the trained model with the baselines, and write the ladder.

        Args:
            split: Split that was judged; others than `self.split` have no ladder.
            outputs: Answers of the trained model, in the unit of the targets.
            fitted: Result of each phase.
        """
        if split != self.split:
            return
        task, examples, splits = self._head.task, self._examples, self._plan.splits
        train = splits.train.targets
        if task.figures.lead_values(examples.targets, outputs, train) is None:
            return
        values = self._find_values(outputs)
        stored = read_json(self._file) if self._file.is_file() else {}
        rungs = []
        for rung, own in self._list_rungs(stored.get("baselines", ())):
            difference = compare_values(own, values, examples.groups, is_share=task.is_stratified)
            placed = place_rung(rung, own, groups=examples.groups)
            rungs.append(replace(placed, difference=difference))
        seconds = sum(each.seconds for each in fitted)
        size = _BYTES * self._plan.assembled.model.count_params()
        model = Rung(f"this model ({self._name_model(fitted)})", 0.0, None, seconds, size)
        rungs.append(place_rung(model, values, groups=examples.groups))
        points = [LearningPoint(**each) for each in stored.get("learning", ())]
        write_ladder(self._run.evaluation(split), rungs, points)

    def _list_rungs(self, measured: Sequence[dict[str, Any]]) -> Iterator[tuple[Rung, np.ndarray]]:
        """List the rungs below the model, each with its values of the examples."""
        splits, asked = self._plan.splits, self._examples
        learned = splits.join(self._plan.phases[0].learns_from)
        prior = self._find_prior(learned.targets)
        if prior is not None:
            outputs = np.repeat(prior, len(asked), axis=0)
            yield Rung(MAJORITY, 0.0, None, 0.0, _BYTES * prior.size), self._find_values(outputs)
        modality = load_modality(splits.modality)
        num_names = len(splits.class_names)
        for baseline in ask_modality(modality, learned, asked, splits.task, num_names):
            rung = Rung(baseline.name, 0.0, None, baseline.seconds)
            yield rung, self._find_values(baseline.outputs)
        for each in measured:
            # A resumed run may have accepted other data.
            if len(each["values"]) != len(asked):
                continue
            rung = Rung(each["name"], 0.0, None, each["seconds"], each["size"])
            yield rung, np.array(each["values"])

    def _find_prior(self, targets: np.ndarray) -> np.ndarray | None:
        """Find the mean target (1, outputs), in its unit; None if targets have no mean."""
        head, config = self._head, self._plan.pipeline.training
        targets = head.standardise(targets)
        dense = head.state_linear(config, head.make_terms(config, targets), targets).dense
        if dense.ndim == 1:
            return None
        prior: np.ndarray = head.restore_units(dense.mean(axis=0, keepdims=True))
        return prior

    def _name_model(self, fitted: Sequence[FittedPhase]) -> str:
        trained = [each for each in fitted if each.phase.method == "fit" and not each.is_undone]
        if not trained:
            return "the probe"
        if self._plan.assembled.backbone.sha256 is None:
            return "from random weights"
        share = trained[-1].share
        return FINE_TUNED if share == 1 else f"blend of {share:g}"

    def clear(self) -> None:
        """Remove what was kept for resuming."""
        self._file.unlink(missing_ok=True)


def _choose_split(plan: Plan, judged_splits: Sequence[SplitName]) -> SplitName | None:
    """Choose the split on which models are compared; None for a trial of a search."""
    if "holdout" not in judged_splits:
        return None
    chosen: SplitName = "holdout" if len(plan.splits.holdout) else "validation"
    return chosen if chosen in judged_splits and len(plan.splits.get(chosen)) else None
