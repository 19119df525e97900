"""The verdict: what the figures of a run mean, in sentences that anybody understands."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kft.evaluation.baselines import LAST_LAYER, LAYERED
from kft.evaluation.calibration import Reliability
from kft.evaluation.ladder import LearningPoint, Rung
from kft.evaluation.learning_curve import LEAST_POINTS, extrapolate
from kft.figures import format_figure
from kft.printing import printable
from kft.statistics import Difference, wilson_interval
from kft.tasks.figures import Lead

# Probability of a label that is probably wrong, if another class has nearly all of the rest.
_UNLIKELY = 0.05
_FEWEST_DOUBTFUL = 3


def judge_baseline(lead: Lead) -> str:
    """Say whether the model is better than answers that do not look at the input.

    Args:
        lead: The leading figure with its baseline.
    """
    value, baseline = _write(lead, lead.value), _write(lead, lead.baseline)
    figure = f"Its {lead.name} is {value}"
    if lead.baseline is None or lead.interval is None:
        return f"{figure}; {lead.baseline_name} gives {baseline}."
    low, high = lead.interval
    if not lead.is_share:
        low, high = -high, -low
    sign = 1 if lead.is_share else -1
    if low > sign * lead.baseline:
        return f"{figure}, clearly better than {lead.baseline_name} ({baseline})."
    if high < sign * lead.baseline:
        return f"{figure}, worse than {lead.baseline_name} ({baseline}): it has learned nothing."
    return f"{figure}, no better than {lead.baseline_name} ({baseline}) beyond chance."


def judge_fine_tuning(
    phases: Sequence[Mapping[str, Any]], rungs: Sequence[Rung] = ()
) -> str | None:
    """Say whether fine-tuning was worth it; None if the model is the probe and nothing was tried.

    Two sources are told apart: the holdout, where the model and the probe answered the same
    examples, and validation, on which the run decided what to keep.

    Args:
        phases: Values of each phase.json, in order.
        rungs: Rungs of the ladder, the model last.
    """
    fitted = [phase for phase in phases if phase["method"] == "fit"]
    if not fitted:
        return None
    if any(phase.get("is_undone") is False for phase in fitted):
        gains = {rung.name: rung.difference for rung in rungs}
        for name in (LAYERED, LAST_LAYER):
            if (difference := gains.get(name)) is not None:
                return _say_gain(difference, name)
    compared = [phase for phase in fitted if phase.get("comparison")]
    return _say_comparison(compared[-1]) if compared else _say_hopeless(fitted)


def _say_gain(difference: Difference, name: str) -> str:
    """Say what fine-tuning gained over a probe on the same examples."""
    if not difference.gain:
        return f"Fine-tuning made no difference to the {name} on these examples."
    ends = (
        ""
        if not math.isfinite(difference.low)
        else f", 95 % interval {difference.low:+.3f} to {difference.high:+.3f}"
    )
    gained = f"{difference.gain:+.3f} over the {name}{ends}, on the same examples"
    if difference.is_gain:
        return f"Fine-tuning helped beyond chance ({gained})."
    if difference.is_loss:
        return f"Fine-tuning hurt ({gained}): negative transfer. Use strategy.name=linear_probe."
    return f"Whether fine-tuning helps cannot be told ({gained})."


def _say_comparison(phase: Mapping[str, Any]) -> str:
    """Say what a phase gained over its start on validation, and what the run kept."""
    comparison = phase["comparison"]
    kind = "accuracy" if comparison["accuracy"] else "loss"
    change = comparison[kind]
    what = "accuracy" if kind == "accuracy" else "reduction of the loss"
    what = f"{what} on examples that neither had seen"
    ends = (
        f"{what} {change['gain']:+.3f}"
        if change["low"] is None
        else f"{what} {change['gain']:+.3f}, 95 % interval {change['low']:+.3f} to "
        f"{change['high']:+.3f}"
    )
    kept = "the model before it was kept" if phase.get("is_undone") else "it was kept all the same"
    if comparison["is_better"]:
        return f"Fine-tuning helped beyond chance ({ends})."
    if change["high"] is not None and change["high"] < 0:
        return f"Fine-tuning hurt ({ends}); {kept}."
    return f"Whether fine-tuning helps cannot be told ({ends}); {kept}."


def _say_hopeless(fitted: Sequence[Mapping[str, Any]]) -> str | None:
    """Say that every trial was worse than the probe; None if nothing was tried."""
    if not all(phase.get("is_undone") for phase in fitted):
        return None
    left_out = [phase["left_out"] for phase in fitted if "left_out" in phase]
    if left_out:
        return f"The probe was kept: strategy.budget left out {left_out[-1]}."
    needless = [phase["needless_at_error"] for phase in fitted if "needless_at_error" in phase]
    if needless:
        return (
            f"Fine-tuning was left out: the probe is right on all but {100 * needless[-1]:.1f} % "
            "of the examples that it had not seen."
        )
    tried = [
        each["blend"]
        for phase in fitted
        for name in ("candidates", "short_runs")
        for each in phase.get(name, {}).get("tried", ())
    ]
    if not tried:
        return None
    trials = f"none of {len(tried)} trials was" if len(tried) > 1 else "its trial was not"
    diverged = tried.count(None)
    how = f"; {diverged} diverged" if diverged else ""
    hurt = "hurt" if all(map(_is_harmful, tried)) else "did not help"
    return f"Fine-tuning {hurt}: {trials} better than the probe{how}. The probe was kept."


def _is_harmful(blend: Mapping[str, Any] | None) -> bool:
    """Whether the trained weights of a trial have a higher loss than its start, or none."""
    if blend is None:
        return True
    losses = {each["share"]: each["loss"] for each in blend["tried"]}
    return bool(losses[max(losses)] > losses[min(losses)])


def judge_labels(points: Sequence[LearningPoint], *, is_share: bool) -> str | None:
    """Say what twice the labels would bring a linear probe; None with too few points.

    Args:
        points: Points of the learning curve.
        is_share: Whether the errors are shares of wrong answers.
    """
    if len({point.labels for point in points}) < LEAST_POINTS:
        return None
    points = sorted(points, key=lambda point: point.labels)
    labels, errors, deviations = (
        np.array([getattr(point, name) for point in points], np.float64)
        for name in ("labels", "error", "deviation")
    )
    found = extrapolate(labels, errors, deviations, 2 * float(labels[-1]))
    now = float(errors[-1])
    low, high, now_text, then = (
        f"{100 * value:.1f} %" if is_share else format_figure(value)
        for value in (max(found.low, 0.0), found.high, now, found.error)
    )
    told = f"with {2 * points[-1].labels:,} labels, a probe's error would be about {then} "
    told += f"({low} to {high}), now {now_text}"
    if found.high < now:
        return f"More labels would help: {told}."
    if found.low > 0.8 * now:
        return f"More labels of the same kind would hardly help: {told}."
    return f"Whether more labels would help cannot be told: {told}."


def judge_calibration(reliability: Reliability) -> str:
    """Say whether stated probabilities come true.

    Args:
        reliability: Stated probabilities beside outcomes.
    """
    if not reliability.is_off:
        return "Its stated probabilities come true, as far as so many examples can tell."
    excess = float((reliability.stated - reliability.observed) @ reliability.examples)
    direction = "surer of itself" if excess > 0 else "less sure of itself"
    return (
        f"It is {direction} than it should be: stated probabilities are off by "
        f"{100 * reliability.error:.0f} points in the mean."
    )


def judge_training_labels(outputs: np.ndarray, targets: np.ndarray) -> str | None:
    """Say how many training labels may be wrong; None if hardly any look so.

    Args:
        outputs: Answers by models that had not seen the example (examples, classes).
        targets: Its label, int64 (examples,).
    """
    likely = outputs[np.arange(len(targets)), targets]
    count = int(((likely < _UNLIKELY) & (outputs.max(axis=1) > 1 - 2 * _UNLIKELY)).sum())
    if count < _FEWEST_DOUBTFUL:
        return None
    return (
        f"Cleaning labels may help: {count:,} of {len(targets):,} training labels are contradicted "
        "by models that had not seen them. `kft audit DATA` shows such examples."
    )


def judge_names(
    names: Mapping[str, Mapping[str, Any]], noun: str, train_examples: Mapping[str, int]
) -> str | None:
    """Say which class or label is found least, and what would help; None if none stands out.

    Args:
        names: Figures of each name, with `recall` and `examples`.
        noun: Noun for a name, such as 'class'.
        train_examples: Training examples of each name; empty if unknown.
    """
    judged = {
        name: (round(values["recall"] * values["examples"]), values["examples"])
        for name, values in names.items()
        if values.get("recall") is not None
    }
    if len(judged) < 2:
        return None
    weakest = min(judged, key=lambda name: wilson_interval(*judged[name])[1])
    hits = sum(found for found, _ in judged.values()) - judged[weakest][0]
    total = sum(count for _, count in judged.values()) - judged[weakest][1]
    found, count = judged[weakest]
    if not total or wilson_interval(found, count)[1] >= wilson_interval(hits, total)[0]:
        return None
    sentence = f"It finds the {noun} '{printable(weakest)}' least: {found} of {count}"
    labels = train_examples.get(weakest)
    if labels is None:
        return f"{sentence}. More labels of it, or a look at their quality, would help most."
    typical = sorted(train_examples.values())[len(train_examples) // 2]
    if labels < typical:
        return f"{sentence}. It has {labels} training examples, others {typical}: label more of it."
    return (
        f"{sentence}, with {labels} training examples. Look at its mistakes: are labels wrong, or "
        "does it resemble another?"
    )


def _write(lead: Lead, value: float | None) -> str:
    if value is None or not lead.is_share:
        return format_figure(value)
    return f"{100 * value:.1f} %"
