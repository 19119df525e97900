"""What contradicts the targets, told once the data is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kft.config import TrainingConfig
from kft.registry import suggest
from kft.strategies.problems import Problems

# Setting -> the kinds of targets it is for.
_KINDS = {
    "label_smoothing": ("class", "labels"),
    "focal_gamma": ("class", "labels"),
    "class_weights": ("class", "labels"),
    "sampling": ("class",),
    "logit_adjustment": ("class",),
    "mixup": ("class", "labels"),
    "cutmix": ("class", "labels"),
}
_NOUNS = {"class": "classes", "labels": "labels", "number": "numbers"}
# Chosen by the validation loss.
ON_VALIDATION = ("early_stopping", "soup", "wise_ft")


def check_targets(
    training: TrainingConfig,
    target_kind: str,
    class_names: Sequence[str],
    *,
    num_validation: int,
) -> None:
    """Refuse settings of training that the targets or the splits contradict.

    Args:
        training: The pipeline's `training` section.
        target_kind: 'class', 'labels' or 'number'.
        class_names: Of the targets.
        num_validation: Examples in the validation split.

    Raises:
        ConfigError: Lists every contradiction, each with its reason.
    """
    problems = Problems()
    problems.add(*_check_kinds(training, target_kind))
    problems.add(*_check_classes(training, target_kind, class_names))
    problems.add(*_check_validation(training, num_validation))
    problems.refuse("training")


def may_mix(training: TrainingConfig, target_kind: str, class_names: Sequence[str]) -> bool:
    """Whether a strategy may blend examples by itself: the targets allow it, nobody asked."""
    is_free = not training.mixup and not training.cutmix
    return is_free and target_kind in _KINDS["mixup"] and len(class_names) > 1


def _check_kinds(training: TrainingConfig, target_kind: str) -> Iterator[str]:
    given = training.given()
    for name, kinds in _KINDS.items():
        if name in given and target_kind not in kinds:
            yield (
                f"training.{name}: is for {' or '.join(_NOUNS[kind] for kind in kinds)}, but the "
                f"targets are {_NOUNS[target_kind]}. Remove it."
            )


def _check_classes(
    training: TrainingConfig, target_kind: str, class_names: Sequence[str]
) -> Iterator[str]:
    if target_kind == "class" and len(class_names) < 2:
        for name in ("mixup", "cutmix"):
            if getattr(training, name):
                yield (
                    f"training.{name}: blends examples of different classes, but there is one "
                    f"class, {class_names[0]!r}. Remove it, or give examples of another class."
                )
    if isinstance(training.class_weights, dict) and target_kind != "number":
        for name in training.class_weights:
            if name not in class_names:
                yield f"training.class_weights: no class {name!r}. {suggest(name, class_names)}"
        if all(training.class_weights.get(name, 1.0) == 0 for name in class_names):
            yield "training.class_weights: no weight is above 0, so nothing would be learnt."


def _check_validation(training: TrainingConfig, num_validation: int) -> Iterator[str]:
    if num_validation:
        return
    remedy = "Set `data.validation` above 0, or remove it."
    for name in ON_VALIDATION:
        if getattr(training, name):
            yield f"training.{name}: needs validation examples, and there are none. {remedy}"
    if training.schedule == "plateau":
        yield (
            "training.schedule: 'plateau' lowers the rate by the validation loss, and there are no "
            "validation examples. Set `data.validation` above 0, or use `schedule: cosine`."
        )
