"""Collection of problems, so that all of them are reported at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kft.errors import ConfigError


class Problems:
    """Messages about problems, each with the path of its setting."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, *problems: str) -> None:
        """Add problems, each once."""
        self.found += [each for each in dict.fromkeys(problems) if each not in self.found]

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Add the problems of a `ConfigError` raised inside, and continue after the block."""
        try:
            yield
        except ConfigError as error:
            self.add(*error.problems)

    def refuse(self, where: str) -> None:
        """Raise an error if any problem was found.

        Raises:
            ConfigError: At least one problem was found; all are listed.
        """
        if len(self.found) == 1:
            raise ConfigError(self.found[0])
        if self.found:
            raise ConfigError.from_problems(where, self.found)
