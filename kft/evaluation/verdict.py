"""The verdict: what the figures of a run mean, in sentences that anybody understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kft.evaluation.calibration import Reliability
from kft.figures import format_figure
from kft.printing import printable
from kft.statistics import wilson_interval
from kft.tasks.figures import Lead


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
    return (
        f"{figure}, but that cannot be told from {lead.baseline_name} ({baseline}) on so few "
        "examples."
    )


def judge_fine_tuning(phases: Sequence[Mapping[str, Any]]) -> str | None:
    """Say whether fine-tuning was worth it; None if no phase was compared with its start.

    Args:
        phases: Values of each phase.json, in order.
    """
    compared = [phase for phase in phases if phase.get("comparison")]
    if not compared:
        return None
    phase = compared[-1]
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
