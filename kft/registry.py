"""Name -> dotted path, loaded on demand, with near names suggested.

A registry holds strings, so that listing what exists imports nothing.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kft.errors import ConfigError, KftError


def suggest(name: str, allowed: Iterable[str]) -> str:
    """'Did you mean …' for a misspelt name, or the list of what is allowed."""
    allowed = sorted(allowed)
    near = difflib.get_close_matches(name, allowed, n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(repr(n) for n in near)}?"
    return f"Allowed: {', '.join(allowed)}."


class Registry(Mapping[str, str]):
    """The implementations of one idea, by name.

    Args:
        kind: What the entries are, for messages: 'backbone', 'head'.
        entries: Name -> 'package.module:attribute'.
        error: Which error an unknown name raises.
    """

    def __init__(
        self, kind: str, entries: Mapping[str, str], *, error: type[KftError] = ConfigError
    ) -> None:
        self.kind = kind
        self._entries = dict(entries)
        self._error = error

    def __getitem__(self, name: str) -> str:
        try:
            return self._entries[name]
        except KeyError:
            raise self._error(
                f"unknown {self.kind} {name!r}. {suggest(name, self._entries)}"
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, name: str, path: str) -> None:
        """Add an entry: 'package.module:attribute'.

        Raises:
            KftError: The name stands for something else already (the registry's own error class).
        """
        if self._entries.setdefault(name, path) != path:
            raise self._error(
                f"{self.kind} {name!r} is registered already, as {self._entries[name]}. Choose "
                "another name."
            )

    def load(self, name: str) -> Any:
        """The object behind `name`.

        Raises:
            KftError: `name` is not registered (the registry's own error class).
        """
        module, _, attribute = self[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
