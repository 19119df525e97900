"""A learning rate for a pipeline's fine-tuning, by a range test, with its plot."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kft.config import ExportConfig, Pipeline
from kft.display import Display
from kft.errors import ConfigError
from kft.feeding import InputMaker
from kft.model import HEAD
from kft.runs.atomic import check_picture_path, write_bytes
from kft.strategies import Phase
from kft.training.fitting import compile_phase
from kft.training.range_test import RangeTest, find_rate
from kft.workflow import Plan, make_plan

# From where no optimizer moves a loss to where none keeps it.
LOW, HIGH = 1e-6, 1.0
# About 17 to a decade: enough for a curve, and three epochs of 1,000 pictures.
STEPS = 100


@dataclass(frozen=True)
class FoundRate:
    """A range test of one phase, and how to use what it found.

    Attributes:
        test: The curve and what it suggests.
        phase: Whose setting it was.
        setting: Path of the rate in a pipeline.
        plot: The picture that was written.
    """

    test: RangeTest
    phase: Phase
    setting: str
    plot: Path

    @property
    def override(self) -> str | None:
        """The KEY=VALUE that uses the suggestion; None where it stands inside a list."""
        return None if "[" in self.setting else f"{self.setting}={self.test.suggestion:g}"

    def sentences(self) -> list[str]:
        """What was found and how to use it, a line each."""
        test = self.test
        ended = "exploded" if test.has_exploded else "was seen"
        lines = [
            f"Tested: phase {self.phase.name}, rates {test.rates[0]:.1e} to {test.rates[-1]:.1e}, "
            f"where the loss {ended}."
        ]
        if test.is_conclusive:
            lines.append(
                f"Suggestion: {test.suggestion:g}, where the loss falls fastest. "
                f"Cautious: {test.cautious:g}. Lowest loss: {test.lowest:.1e}."
            )
        else:
            lines.append(
                f"The loss nowhere fell by more than chance. {test.suggestion:g} does no harm: it "
                "is a tenth of the highest rate at which the loss has not risen."
            )
        use = self.override or f"{self.setting}: {test.suggestion:g} in the pipeline file"
        return [*lines, f"Use it: {use}", f"Plot: {self.plot}"]

    def describe(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "phase": self.phase.name,
            "setting": self.setting,
            "override": self.override,
            "plot": str(self.plot),
            **self.test.describe(),
        }


def find_learning_rate(pipeline: Pipeline, display: Display, *, output: Path) -> FoundRate:
    """Run a range test of the first phase that trains the backbone, and draw it.

    Trainable blocks, multipliers, batch norm, augmentation, optimizer and
    loss are those of the phase. The head starts from nothing even where the
    strategy has a probe before: after a probe that fits its examples, the
    loss has nowhere to fall, and a test would see only how fast the fit is
    spoilt. A strategy that trains the head alone is tested on that.

    Args:
        pipeline: Whose fine-tuning.
        display: Shows the progress.
        output: The PNG file to write.

    Raises:
        ConfigError: No phase of the strategy takes steps, or the picture
            cannot be written there.
    """
    check_picture_path(output, "--output")
    # The curve is that of the batch, however many devices would share it.
    own = pipeline.training.model_copy(update={"distribution": "none"})
    tested = pipeline.model_copy(
        update={"training": own, "export": ExportConfig(enabled=False)},
    )
    plan = make_plan(tested, display)
    index = _choose_phase(plan.phases)
    phase = plan.phases[index]
    test = _run(plan, phase, display)
    write_bytes(output, draw(test, title=f"{pipeline.name}: {phase.name}"))
    return FoundRate(test, phase, _setting_of(pipeline, phase, index), output)


def _choose_phase(phases: Sequence[Phase]) -> int:
    """The first phase that trains some of the backbone, or else the head, by steps."""
    fitted = [index for index, phase in enumerate(phases) if phase.method == "fit"]
    for index in fitted:
        if set(phases[index].trainable) != {HEAD}:
            return index
    if not fitted:
        raise ConfigError(
            "strategy: its probe is solved, not trained, so it has no learning rate to find. "
            "Choose a strategy that fine-tunes, for example strategy.name=full, or "
            "strategy.probe=trained."
        )
    return fitted[0]


def _setting_of(pipeline: Pipeline, phase: Phase, index: int) -> str:
    if pipeline.strategy.name == "phases":
        return f"strategy.phases[{index}].learning_rate"
    is_probe = set(phase.trainable) == {HEAD}
    return "strategy.probe_learning_rate" if is_probe else "strategy.learning_rate"


def _run(plan: Plan, phase: Phase, display: Display) -> RangeTest:
    pipeline = plan.pipeline
    # The steps decide how many epochs of batches there are; the rest is the phase's own.
    tested = replace(phase, steps=STEPS, candidates=())
    inputs = InputMaker(
        plan.assembled,
        plan.splits,
        plan.decoder,
        phases=(tested,),
        data=pipeline.data,
        features=pipeline.features,
        training=pipeline.training,
        display=display,
    )
    # Averages of the weights would be kept and never looked at; the rate has a course of its own.
    training = pipeline.training.model_copy(update={"ema": None, "warmup": 0})
    with inputs.name_unreadable(), plan.distribution.scope():
        compiled = compile_phase(
            plan.assembled,
            tested,
            training,
            inputs.for_phase,
            learnt_targets=plan.splits.train.targets,
        )
        with display.track(f"Range test of {phase.name}", 2 * STEPS) as advance:
            return find_rate(
                compiled.model,
                compiled.given.train(0),
                low=LOW,
                high=HIGH,
                steps=STEPS,
                progress=advance,
            )


def draw(test: RangeTest, *, title: str) -> bytes:
    """The curve as a PNG picture: losses, their smooth, and the suggestion.

    Args:
        test: What to draw.
        title: What was tested.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(test.rates, test.losses, ".", color="0.65", markersize=5, label="loss of each batch")
    axes.plot(test.rates, test.smoothed, color="tab:blue", linewidth=2, label="smoothed")
    suggestion = test.suggestion
    axes.axvline(suggestion, color="tab:red", linewidth=1.5, label=f"suggestion {suggestion:.2g}")
    if test.cautious < suggestion:
        axes.axvline(
            test.cautious,
            color="tab:orange",
            linewidth=1.5,
            linestyle="--",
            label=f"cautious {test.cautious:.2g}",
        )
    axes.set_xscale("log")
    axes.set_ylim(*_limits(test))
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss")
    axes.set_title(f"Learning-rate range test, {title}")
    axes.grid(which="both", color="0.92")
    axes.set_axisbelow(True)
    axes.legend(loc="upper left")
    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_png(picture)
    return picture.getvalue()


def _limits(test: RangeTest) -> tuple[float, float]:
    """From below the lowest loss to a little over the first, so that an explosion hides nothing."""
    first, lowest = float(test.smoothed[0]), float(min(test.smoothed.min(), test.losses.min()))
    # The upper third is the legend's, and the explosion's.
    reach = max(first - lowest, 0.3 * abs(first), 1e-6)
    highest = min(float(np.max(test.losses)), first + 0.6 * reach)
    return lowest - 0.05 * reach, max(highest, first + 0.35 * reach)
