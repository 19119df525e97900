"""Figures -> the one line that a person reads first."""

from __future__ import annotations

from typing import Any

from kft.figures import format_figure, format_share
from kft.printing import printable

# Share of the answers from which on one class is said to be all that a model answers.
_NEARLY_ALL = 0.95
# Classes without an example that a headline names.
_NAMED = 5


def headline(figures: dict[str, Any]) -> str:
    """The one line that a person reads first.

    Args:
        figures: As `compute_metrics` gives them, or as a run of before wrote them.
    """
    if "numbers" in figures:
        return _headline_of_numbers(figures)
    if "labels" in figures:
        return _headline_of_labels(figures)
    return _headline_of_classes(figures)


def _headline_of_classes(figures: dict[str, Any]) -> str:
    low, high = figures["accuracy_95_percent_interval"]
    return (
        f"accuracy {format_share(figures['accuracy'])} (95 % interval {format_share(low)} to "
        f"{format_share(high)}; answering the majority class: "
        f"{format_share(figures['majority_class_accuracy'])}), "
        f"{_count_examples(figures)}{_say_one_class(figures)}"
    )


def _count_examples(figures: dict[str, Any]) -> str:
    """How many were judged, and which classes or labels had none among them."""
    names = [printable(name) for name in figures.get("not_judged", [])]
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    unjudged = f"; not judged: {', '.join(names[:_NAMED])}{more}" if names else ""
    return f"{figures['examples']} examples{unjudged}"


def _say_one_class(figures: dict[str, Any]) -> str:
    """That the model answers one class alone, where it does and there are more."""
    # Runs of before do not say which class they answered most.
    most = figures.get("most_answered", {"examples": 0})
    total = figures["examples"]
    num_present = sum(values["examples"] > 0 for values in figures["classes"].values())
    is_better = figures["accuracy"] > figures["majority_class_accuracy"]
    if num_present < 2 or most["examples"] < _NEARLY_ALL * total or is_better:
        return ""
    count = "all of them" if most["examples"] == total else f"{most['examples']} of them"
    return (
        f". The model answers '{printable(most['class'])}' for {count}: no better than the "
        f"majority class. Balanced accuracy {format_share(figures['balanced_accuracy'])}; "
        "training.class_weights, training.sampling or training.logit_adjustment may help"
    )


def _headline_of_labels(figures: dict[str, Any]) -> str:
    same = ""
    is_better = figures["accuracy"] > figures["majority_label_accuracy"]
    if figures.get("different_answers") == 1 and figures["examples"] > 1 and not is_better:
        same = ". The model answers the same labels for all of them: no better than the majority"
    return (
        f"label accuracy {format_share(figures['accuracy'])} (answering each label's majority: "
        f"{format_share(figures['majority_label_accuracy'])}), exact match "
        f"{format_share(figures['exact_match'])}, {_count_examples(figures)}{same}"
    )


def _headline_of_numbers(figures: dict[str, Any]) -> str:
    """In the unit of the one number, or in training deviations, which several share."""
    numbers = figures["numbers"]
    if "standardised_absolute_error" not in figures:
        # A run of before averaged all numbers, whatever their units.
        error, baseline = figures["mean_absolute_error"], figures["mean_target_absolute_error"]
        unit, counted = "", ""
    elif len(numbers) == 1:
        (values,) = numbers.values()
        error, baseline = values["mean_absolute_error"], values["mean_target_absolute_error"]
        unit, counted = "", ""
    else:
        error = figures["standardised_absolute_error"]
        baseline = figures["mean_target_standardised_absolute_error"]
        unit, counted = " deviations", f"{len(numbers)} numbers, "
    worse = ". No better than the training mean" if error >= baseline > 0 else ""
    return (
        f"mean absolute error {format_figure(error)}{unit} (answering the training mean: "
        f"{format_figure(baseline)}), {counted}{_count_examples(figures)}{worse}"
    )
