"""What contradicts the targets, told once the data is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kft.config import TrainingConfig
from kft.strategies.problems import Problems
from kft.tasks import TASK_SETTINGS, Task, list_tasks

# Chosen by the validation loss.
ON_VALIDATION = ("early_stopping", "soup", "wise_ft")


def check_targets(
    training: TrainingConfig,
    task: Task,
    class_names: Sequence[str],
    *,
    num_validation: int,
) -> None:
    """Refuse settings of training that the targets or the splits contradict.

    Args:
        training: The pipeline's `training` section.
        task: Whose targets they are.
        class_names: Of the targets.
        num_validation: Examples in the validation split.

    Raises:
        ConfigError: Lists every contradiction, each with its reason.
    """
    problems = Problems()
    problems.add(*_check_task(training, task))
    problems.add(*task.refuse(training, class_names))
    problems.add(*_check_validation(training, num_validation))
    problems.refuse("training")


def may_mix(training: TrainingConfig, task: Task, class_names: Sequence[str]) -> bool:
    """Whether a strategy may blend examples by itself: the targets allow it, nobody asked."""
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
            yield f"training.{name}: needs validation examples, and there are none. {remedy}"
    if training.schedule == "plateau":
        yield (
            "training.schedule: 'plateau' lowers the rate by the validation loss, and there are no "
            "validation examples. Set `data.validation` above 0, or use `schedule: cosine`."
        )
