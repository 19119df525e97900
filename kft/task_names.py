"""Which tasks there are, by name; what a task is, `kft.tasks` says.

A pipeline names tasks, so `kft.config` must know them before it knows what they are.
"""

from __future__ import annotations

from kft.errors import ConfigError
from kft.registry import Registry, path_of, suggest

TASKS = Registry(
    "task",
    {
        "classification": "kft.tasks.classification.task:Classification",
        "multilabel": "kft.tasks.multilabel.task:Multilabel",
        "regression": "kft.tasks.regression.task:Regression",
    },
)
# What `data.target` calls a target of a task; that of any other task is called as the task is.
_WORDS = {"classification": "class", "multilabel": "labels", "regression": "number"}


def register_task(name: str, task: str | type) -> None:
    """Add a task that `head.name` and `data.target` may name from now on.

    >>> kft.register_task("ordinal", "my_package.ordinal:Ordinal")
    >>> kft.train("photos", data={"target": "ordinal"})

    Args:
        name: Of the task; its class says the same name.
        task: A subclass of `kft.tasks.Task` at the top of its module, or where it is found:
            'package.module:Class', which is imported when the task is first asked for.

    Raises:
        ConfigError: The name stands for another task already.
    """
    TASKS.add(name, path_of(task))


def target_word(name: str) -> str:
    """The word of `data.target` for the targets of a task."""
    return _WORDS.get(name, name)


def list_target_words() -> list[str]:
    """All words of `data.target` but `auto`."""
    return [target_word(name) for name in TASKS]


def find_task_name(word: str) -> str:
    """The name of the task that a word of `data.target` stands for.

    Raises:
        ConfigError: It stands for none.
    """
    for name in TASKS:
        if target_word(name) == word:
            return name
    raise ConfigError(f"unknown target {word!r}. {suggest(word, list_target_words())}")
