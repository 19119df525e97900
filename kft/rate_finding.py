"""Search for a learning rate of a pipeline's fine-tuning, by a range test with a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kft.config import ExportConfig, Pipeline
from kft.display import Display
from kft.errors import ConfigError
from kft.feeding import Feed, Source
from kft.model import HEAD
from kft.runs.atomic import atomic_file
from kft.strategies import Phase
from kft.strategies.phases import Choice
from kft.training.compiled_phase import compile_phase
from kft.training.range_test import SKIPPED_STEPS, RangeTest, find_rate
from kft.workflow import make_plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# From rates at which no optimizer changes the loss to rates at which all diverge.
LOW, HIGH = 1e-6, 1.0
# About 17 steps per decade: enough for a curve, and about three epochs of 1,000 pictures.
STEPS = 100


@dataclass(frozen=True)
class FoundRate:
    """The range test of one phase, with the setting that its suggestion is for.

    Attributes:
        test: The curve and its suggestions.
        phase: Name of the tested phase.
        setting: Path of the phase's learning rate in the pipeline.
        plot: File of the plot.
    """

    test: RangeTest
    phase: str
    setting: str
    plot: Path

    @property
    def override(self) -> str | None:
        """Override KEY=VALUE for the suggestion; None without one, or for a setting in a list."""
        if self.test.suggestion is None or "[" in self.setting:
            return None
        return f"{self.setting}={self.test.suggestion:g}"

    def sentences(self) -> list[str]:
        """Describe the result and its use, one sentence per line."""
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
        """Make the JSON values of the result."""
        return {
            "phase": self.phase,
            "setting": self.setting,
            "override": self.override,
            "plot": str(self.plot),
            **vars(self.test),
        }


def find_learning_rate(pipeline: Pipeline, display: Display, *, output: Path) -> FoundRate:
    """Run a range test of the first phase that trains the backbone, and plot it.

    Trainable blocks, multipliers, batch norm, augmentation, optimizer and
    loss are those of the phase. The head starts untrained even if a probe
    precedes the phase: after a probe that fits its examples, the loss cannot
    fall, and the test would only measure how fast the fit is destroyed. If a
    strategy trains only the head, the phase of the head is tested.

    Args:
        pipeline: Pipeline whose fine-tuning is tested.
        display: Shows the progress.
        output: File to write; its ending decides the format.

    Raises:
        ConfigError: No phase of the strategy is trained by steps.
    """
    # On one device, because the curve needs the loss of the whole batch.
    alone = pipeline.training.model_copy(update={"distribution": "none"})
    tested = {"training": alone, "export": ExportConfig(enabled=False)}
    plan = make_plan(pipeline.model_copy(update=tested), display)
    # A moving average would not be used, and the test sets the rate itself.
    training = plan.pipeline.training.model_copy(update={"ema": None, "warmup": 0})
    index = _choose_phase(plan.phases)
    # The number of steps decides the epochs of batches; everything else is the phase's own.
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
    figure = draw(test, title=f"{pipeline.name}: {phase.name}")
    with atomic_file(output) as temporary:
        figure.savefig(temporary)
    return FoundRate(test, phase.name, _setting_of(pipeline, phase, index), output)


def _choose_phase(phases: Sequence[Phase]) -> int:
    """Choose the first fitted phase that trains backbone blocks, or else the first fitted one."""
    fitted = [index for index, phase in enumerate(phases) if phase.method == "fit"]
    if not fitted:
        raise ConfigError(
            "strategy: the probe is solved, not trained, so there is no learning rate to find. "
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


def draw(test: RangeTest, *, title: str) -> Figure:
    """Draw the losses, their smoothed curve and the suggestions.

    Args:
        test: Range test to draw.
        title: Title that names the tested phase.
    """
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
    # The explosion may exceed the axes, so that it does not flatten the fall. The legend needs the
    # space at the top.
    start = test.smoothed[SKIPPED_STEPS]
    fall = max(start - min(test.losses), 0.1 * start)
    axes.set_ylim(start - 1.1 * fall, start + 0.7 * fall)
    axes.grid(which="both", color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left")
    return figure
