"""Collects what is wrong, so that all of it is told at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kft.errors import ConfigError


class Problems:
    """Messages of what is wrong, each with the path of its setting."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, *problems: str) -> None:
        """Note problems, each once."""
        self.found += [each for each in dict.fromkeys(problems) if each not in self.found]

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note the refusal of what runs inside, and go on after it."""
        try:
            yield
        except ConfigError as error:
            self.add(*error.problems)

    def refuse(self, where: str) -> None:
        """End here if anything was found.

        Raises:
            ConfigError: Lists all of it.
        """
        if len(self.found) == 1:
            raise ConfigError(self.found[0])
        if self.found:
            raise ConfigError.from_problems(where, self.found)
