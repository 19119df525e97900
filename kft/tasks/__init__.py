"""What is learned: targets from the fields of a source, layers, loss, figures, answers.

A task is a folder of this room: `task.py` (what a target is; loads neither TensorFlow nor Keras),
`head.py` (layers, loss, activation; Keras), `figures.py` (losses of examples, figures with their
intervals, tables; NumPy), `linear.py` (the loss of a head that is solved; NumPy). Nothing outside
this room asks which task it has: it asks the task. `register_task` adds one from elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kft.config import HeadConfig
from kft.errors import ConfigError
from kft.task_names import TASKS, find_task_name, register_task
from kft.tasks.base import TASK_SETTINGS, Task

if TYPE_CHECKING:
    from kft.tasks.head import Head


def load_task(name: str) -> Task:
    """The task of a name.

    Raises:
        ConfigError: There is none of that name, or the class behind it has another.
    """
    task: Task = TASKS.load(name)()
    if task.name != name:
        raise ConfigError(
            f"task {name!r}: {TASKS[name]} calls itself {task.name!r}. Register it by that name."
        )
    return task


def find_task(target: str) -> Task | None:
    """The task that `data.target` names; None for `auto`, which looks at the data.

    Raises:
        ConfigError: It names none.
    """
    return None if target == "auto" else load_task(find_task_name(target))


def list_tasks() -> list[Task]:
    """All registered tasks."""
    return [load_task(name) for name in TASKS]


def make_head(
    config: HeadConfig, task: Task, class_names: tuple[str, ...], train_targets: np.ndarray
) -> Head:
    """The head that answers the targets of this task.

    Args:
        config: The pipeline's `head` section.
        task: Of the data.
        class_names: Name of each output.
        train_targets: Targets of the training split; regression takes its units from them.

    Raises:
        ConfigError: `head.name` is that of another task.
    """
    if config.name not in ("auto", task.name):
        raise ConfigError(
            f"head.name: {config.name!r} answers targets of the kind "
            f"{load_task(config.name).word!r}, but the data holds {task.word!r}. Write "
            "`head.name=auto`, or set `data.target`."
        )
    return task.head.fit(config, class_names, train_targets)


def restore_head(description: Mapping[str, Any]) -> Head:
    """The head that `Head.describe` described.

    Raises:
        ConfigError: It belongs to a task that is not registered.
    """
    values = dict(description)
    head = load_task(values.pop("name")).head
    config = HeadConfig.model_validate(values.pop("config"))
    return head(config=config, **{key: tuple(value) for key, value in values.items()})


def task_of_figures(figures: Mapping[str, Any]) -> Task:
    """The task that figures are of.

    Args:
        figures: As metrics.json holds them; a run of before names no task in it.
    """
    if "task" in figures:
        return load_task(figures["task"])
    return next(task for task in list_tasks() if task.figures.names_key in figures)


def headline(figures: Mapping[str, Any]) -> str:
    """The one line of figures that a person reads first."""
    return task_of_figures(figures).figures.headline(figures)


__all__ = [
    "TASKS",
    "TASK_SETTINGS",
    "Task",
    "find_task",
    "headline",
    "list_tasks",
    "load_task",
    "make_head",
    "register_task",
    "restore_head",
    "task_of_figures",
]
