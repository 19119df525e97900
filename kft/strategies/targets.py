"""Checks of `training` settings against the targets, made once the data is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kft.config import TrainingConfig
from kft.strategies.problems import Problems
from kft.tasks import TASK_SETTINGS, Task, list_tasks

# Settings that choose weights by the validation loss.
ON_VALIDATION = ("early_stopping", "soup", "wise_ft")


def check_targets(
    training: TrainingConfig,
    task: Task,
    class_names: Sequence[str],
    *,
    num_validation: int,
) -> None:
    """Refuse `training` settings that contradict the targets or the splits.

    Args:
        training: The pipeline's `training` section.
        task: Task of the targets.
        class_names: Names of the classes, if the targets have classes.
        num_validation: Number of examples in the validation split.

    Raises:
        ConfigError: Settings contradict the data; every contradiction is listed with its reason.
    """
    problems = Problems()
    problems.add(*_check_task(training, task))
    problems.add(*task.refuse(training, class_names))
    problems.add(*_check_validation(training, num_validation))
    problems.refuse("training")


def may_mix(training: TrainingConfig, task: Task, class_names: Sequence[str]) -> bool:
    """Tell whether a strategy may mix examples itself: targets allow it, no setting does it."""
    is_free = not training.mixup and not training.cutmix
    return is_free and "mixup" in task.settings and len(class_names) > 1


def _check_task(training: TrainingConfig, task: Task) -> Iterator[str]:
    given = training.given()
    for name in TASK_SETTINGS:
        if name in given and name not in task.settings:
            others = [other.nouns for other in list_tasks() if name in other.settings]
            yield (
                f"training.{name}: is for {' or '.join(others)}, but the targets are "
                f"{task.nouns}. Remove it."
            )


def _check_validation(training: TrainingConfig, num_validation: int) -> Iterator[str]:
    if num_validation:
        return
    remedy = "Set `data.validation` above 0, or remove it."
    for name in ON_VALIDATION:
        if getattr(training, name):
            yield f"training.{name}: needs validation examples, but there are none. {remedy}"
    if training.schedule == "plateau":
        yield (
            "training.schedule: 'plateau' follows the validation loss, but there are no "
            "validation examples. Set `data.validation` above 0, or use `schedule: cosine`."
        )
