"""Tasks: targets from the fields of a source, layers, loss, figures and answers.

Each task is a folder here: `task.py` (targets; loads neither TensorFlow nor Keras), `head.py`
(layers, loss, activation; Keras), `figures.py` (losses of examples, figures with intervals, tables;
NumPy) and `linear.py` (the loss of a solved head; NumPy). Code outside `kft.tasks` never compares
task names, but calls methods of the task. `register_task` adds a task from another package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kft.config import HeadConfig
from kft.errors import ConfigError
from kft.task_names import TASKS, find_task_name, register_task
from kft.tasks.base import ABSENT, BOXES, COMPANIONS, MASK, TASK_SETTINGS, VOID, Task

if TYPE_CHECKING:
    from kft.tasks.head import Head


def load_task(name: str) -> Task:
    """Load a task by name.

    Raises:
        ConfigError: No task has that name, or the registered class has another name.
    """
    task: Task = TASKS.load(name)()
    if task.name != name:
        raise ConfigError(
            f"task {name!r}: {TASKS[name]} has the name {task.name!r}. Register it under that name."
        )
    return task


def find_task(target: str) -> Task | None:
    """Find the task that `data.target` names; None for `auto`, which depends on the data.

    Raises:
        ConfigError: `target` does not name a task.
    """
    return None if target == "auto" else load_task(find_task_name(target))


def list_tasks() -> list[Task]:
    """List all registered tasks."""
    return [load_task(name) for name in TASKS]


def make_head(
    config: HeadConfig, task: Task, class_names: tuple[str, ...], train_targets: np.ndarray
) -> Head:
    """Make the head for the targets of a task.

    Args:
        config: The pipeline's `head` section.
        task: Task of the data.
        class_names: Name of each output.
        train_targets: Targets of the training split, from which regression computes its units.

    Raises:
        ConfigError: `head.name` names another task.
    """
    if config.name not in ("auto", task.name):
        raise ConfigError(
            f"head.name: {config.name!r} predicts targets of the kind "
            f"{load_task(config.name).word!r}, but the data holds {task.word!r}. Set "
            "`head.name=auto`, or set `data.target`."
        )
    for name in config.given():
        if name != "name" and name not in task.head_settings:
            raise ConfigError(
                f"head.{name}: is not for {task.nouns}. Remove it. Allowed in `head`: "
                f"{', '.join(sorted(task.head_settings))}."
            )
    return task.head.fit(config, class_names, train_targets)


def restore_head(description: Mapping[str, Any]) -> Head:
    """Restore a head from the result of `Head.describe`.

    Raises:
        ConfigError: The head belongs to a task that is not registered.
    """
    values = dict(description)
    head = load_task(values.pop("name")).head
    config = HeadConfig.model_validate(values.pop("config"))
    return head(config=config, **{key: tuple(value) for key, value in values.items()})


def task_of_figures(figures: Mapping[str, Any]) -> Task:
    """Find the task of figures.

    Args:
        figures: Figures as in metrics.json, where older runs did not name the task.
    """
    if "task" in figures:
        return load_task(figures["task"])
    return next(task for task in list_tasks() if task.figures.names_key in figures)


def headline(figures: Mapping[str, Any]) -> str:
    """Format the headline of figures, a single line."""
    return task_of_figures(figures).figures.headline(figures)


__all__ = [
    "ABSENT",
    "BOXES",
    "COMPANIONS",
    "MASK",
    "TASKS",
    "TASK_SETTINGS",
    "VOID",
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
