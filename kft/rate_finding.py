"""A learning rate for a pipeline's fine-tuning, by a range test, with its plot."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kft.config import ExportConfig, Pipeline
from kft.display import Display
from kft.errors import ConfigError
from kft.feeding import Feed, Source
from kft.model import HEAD
from kft.runs.atomic import check_picture_path, write_bytes
from kft.strategies import Phase
from kft.strategies.phases import Choice
from kft.training.compiled_phase import compile_phase
from kft.training.range_test import SKIPPED_STEPS, RangeTest, find_rate
from kft.workflow import make_plan

# From where no optimizer moves a loss to where none keeps it.
LOW, HIGH = 1e-6, 1.0
# About 17 to a decade: enough for a curve, and three epochs of 1,000 pictures.
STEPS = 100


@dataclass(frozen=True)
class FoundRate:
    """The range test of one phase, and how to use what it found.

    Attributes:
        test: The curve and its suggestions.
        phase: Name of the tested phase.
        setting: Path of its rate in a pipeline.
        plot: The picture that was written.
    """

    test: RangeTest
    phase: str
    setting: str
    plot: Path

    @property
    def override(self) -> str | None:
        """The KEY=VALUE that uses the suggestion; None without one, or inside a list."""
        if self.test.suggestion is None or "[" in self.setting:
            return None
        return f"{self.setting}={self.test.suggestion:g}"

    def sentences(self) -> list[str]:
        """The findings and how to use them, one line each."""
        test = self.test
        ended = "where the loss exploded" if test.has_exploded else "without an explosion"
        span = f"rates {test.rates[0]:.1e} to {test.rates[-1]:.1e}, {ended}."
        if test.suggestion is None:
            first, lowest = test.smoothed[SKIPPED_STEPS], min(test.smoothed[SKIPPED_STEPS:])
            found = [
                f"No suggestion: the smoothed loss shows no clear fall ({first:.4g} to "
                f"{lowest:.4g}). Look at the plot; larger batches give a calmer curve "
                "(training.global_batch_size)."
            ]
        else:
            by_hand = f"{self.setting}: {test.suggestion:g} in the pipeline file"
            found = [
                f"Suggestion: {test.suggestion:g}, where the loss falls fastest. "
                f"Cautious: {test.cautious:g}. Lowest loss: {test.lowest:.1e}.",
                f"Use it: {self.override or by_hand}",
            ]
        return [f"Tested: phase {self.phase}, {span}", *found, f"Plot: {self.plot}"]

    def describe(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "phase": self.phase,
            "setting": self.setting,
            "override": self.override,
            "plot": str(self.plot),
            **vars(self.test),
        }


def find_learning_rate(pipeline: Pipeline, display: Display, *, output: Path) -> FoundRate:
    """Run a range test of the first phase that trains the backbone, and draw it.

    Trainable blocks, multipliers, batch norm, augmentation, optimizer and
    loss are those of the phase. The head starts from nothing even where the
    strategy has a probe before: after a probe that fits its examples, the
    loss has nowhere to fall, and a test would see only how fast the fit is
    spoilt. A strategy that trains the head alone is tested on that.

    Args:
        pipeline: Its fine-tuning is tested.
        display: Shows the progress.
        output: The PNG file to write.

    Raises:
        ConfigError: No phase of the strategy takes steps, or the picture
            cannot be written there.
    """
    check_picture_path(output, "--output")
    # One device, for the curve is that of the whole batch.
    alone = pipeline.training.model_copy(update={"distribution": "none"})
    tested = {"training": alone, "export": ExportConfig(enabled=False)}
    plan = make_plan(pipeline.model_copy(update=tested), display)
    # Moving averages would be kept for nobody, and the rate has a course of its own.
    training = plan.pipeline.training.model_copy(update={"ema": None, "warmup": 0})
    index = _choose_phase(plan.phases)
    # The steps decide how many epochs of batches there are; the rest is the phase's own.
    planned = plan.phases[index]
    phase = replace(planned, recipe=replace(planned.fit, steps=STEPS), choice=Choice())
    feed = Feed(
        plan.assembled,
        Source(plan.splits, plan.decoder, plan.pipeline.data),
        (phase,),
        features=plan.pipeline.features,
        training=training,
        display=display,
    )
    with feed.name_unreadable(), plan.process.distribution.scope():
        compiled = compile_phase(
            plan.assembled,
            phase,
            training,
            feed.for_phase,
            learned_targets=plan.splits.train.targets,
        )
        with display.track(f"Range test of {phase.name}", STEPS) as advance:
            test = find_rate(
                compiled.model,
                compiled.given.train(0),
                low=LOW,
                high=HIGH,
                steps=STEPS,
                progress=advance,
            )
    write_bytes(output, draw(test, title=f"{pipeline.name}: {phase.name}"))
    return FoundRate(test, phase.name, _setting_of(pipeline, phase, index), output)


def _choose_phase(phases: Sequence[Phase]) -> int:
    """The first phase that trains some of the backbone, or else the head, by steps."""
    fitted = [index for index, phase in enumerate(phases) if phase.method == "fit"]
    if not fitted:
        raise ConfigError(
            "strategy: its probe is solved, not trained, so it has no learning rate to find. "
            "Choose a strategy that fine-tunes, for example strategy.name=full, or "
            "strategy.probe=trained."
        )
    return next(
        (index for index in fitted if set(phases[index].scope.trainable) != {HEAD}), fitted[0]
    )


def _setting_of(pipeline: Pipeline, phase: Phase, index: int) -> str:
    if pipeline.strategy.name == "phases":
        return f"strategy.phases[{index}].learning_rate"
    is_probe = set(phase.scope.trainable) == {HEAD}
    return "strategy.probe_learning_rate" if is_probe else "strategy.learning_rate"


def draw(test: RangeTest, *, title: str) -> bytes:
    """The curve as a PNG picture: losses, their smoothing, and the suggestions.

    Args:
        test: The curve to draw.
        title: Names the tested phase.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot(
        xscale="log",
        xlabel="learning rate",
        ylabel="training loss",
        title=f"Learning-rate range test, {title}",
    )
    axes.plot(test.rates, test.losses, ".", color="0.65", markersize=5, label="loss of each batch")
    axes.plot(test.rates, test.smoothed, color="tab:blue", linewidth=2, label="smoothed")
    for name, rate, color, style in (
        ("suggestion", test.suggestion, "tab:red", "-"),
        ("cautious", test.cautious, "tab:orange", "--"),
    ):
        if rate is not None:
            axes.axvline(rate, color=color, linestyle=style, label=f"{name} {rate:g}")
    # The explosion may leave the picture: it must not flatten the fall. The top is the legend's.
    start = test.smoothed[SKIPPED_STEPS]
    fall = max(start - min(test.losses), 0.1 * start)
    axes.set_ylim(start - 1.1 * fall, start + 0.7 * fall)
    axes.grid(which="both", color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left")
    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_png(picture)
    return picture.getvalue()
