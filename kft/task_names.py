"""Registry of tasks by name; `kft.tasks` defines them.

A pipeline names tasks, so `kft.config` needs their names without importing them.
"""

from __future__ import annotations

from kft.errors import ConfigError
from kft.registry import Registry, path_of, suggest

TASKS = Registry(
    "task",
    {
        "classification": "kft.tasks.classification.task:Classification",
        "detection": "kft.tasks.detection.task:Detection",
        "multilabel": "kft.tasks.multilabel.task:Multilabel",
        "regression": "kft.tasks.regression.task:Regression",
        "segmentation": "kft.tasks.segmentation.task:Segmentation",
    },
)
# Word of `data.target` for each task; for all others it is the name of the task.
_WORDS = {
    "classification": "class",
    "detection": "boxes",
    "multilabel": "labels",
    "regression": "number",
    "segmentation": "mask",
}


def register_task(name: str, task: str | type) -> None:
    """Register a task, which `head.name` and `data.target` may then name.

    >>> kft.register_task("ordinal", "my_package.ordinal:Ordinal")
    >>> kft.train("photos", data={"target": "ordinal"})

    Args:
        name: Name of the task, equal to that of its class.
        task: Subclass of `kft.tasks.Task` at the top level of its module, or its import path
            'package.module:Class', which is imported when the task is first used.

    Raises:
        ConfigError: Another task has this name.
    """
    TASKS.add(name, path_of(task))


def target_word(name: str) -> str:
    """Return the word of `data.target` for the targets of a task."""
    return _WORDS.get(name, name)


def list_target_words() -> list[str]:
    """List all words of `data.target` except `auto`."""
    return [target_word(name) for name in TASKS]


def find_task_name(word: str) -> str:
    """Return the name of the task that a word of `data.target` means.

    Raises:
        ConfigError: The word is unknown.
    """
    for name in TASKS:
        if target_word(name) == word:
            return name
    raise ConfigError(f"unknown target {word!r}. {suggest(word, list_target_words())}")
