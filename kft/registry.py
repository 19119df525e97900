"""Registries of implementations by name, loaded on demand, with suggestions for typing errors.

A registry holds import paths, so that listing its names imports nothing.
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kft.errors import ConfigError, KftError


def suggest(name: str, allowed: Iterable[str]) -> str:
    """Suggest similar names for a misspelt one, or list all allowed names.

    >>> suggest("resnet5", ["resnet50", "vgg16"])
    "Did you mean 'resnet50'?"
    >>> suggest("bert", ["resnet50", "vgg16"])
    'Allowed: resnet50, vgg16.'
    """
    allowed = sorted(allowed)
    near = difflib.get_close_matches(name, allowed, n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(repr(n) for n in near)}?"
    return f"Allowed: {', '.join(allowed)}."


def path_of(definition: Any) -> str:
    """Return the import path 'package.module:attribute' of a class or function, or of a path.

    >>> path_of(Registry), path_of("my_package.cnn:load")
    ('kft.registry:Registry', 'my_package.cnn:load')
    """
    if isinstance(definition, str):
        return definition
    return f"{definition.__module__}:{definition.__qualname__}"


def import_from(path: str) -> Any:
    """Import the object at 'package.module:attribute'.

    Raises:
        ConfigError: There is none; for a path inside of kft, Python's own error.
    """
    module, _, attribute = path.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        if module.startswith("kft."):
            raise
        raise ConfigError(
            f"{path} cannot be imported: {error}. Give the place as 'package.module:attribute', in "
            "an installed package or in a folder of PYTHONPATH."
        ) from error


class Registry(Mapping[str, str]):
    """Table of implementations by name; it only grows.

    >>> encoders = Registry("encoder", {"json": "json:dumps", "text": "builtins:str"})
    >>> sorted(encoders)
    ['json', 'text']
    >>> encoders.load("json")([1, None])
    '[1, null]'
    >>> encoders.load("jason")
    Traceback (most recent call last):
        ...
    kft.errors.ConfigError: unknown encoder 'jason'. Did you mean 'json'?

    Args:
        kind: Noun for the entries in messages: 'backbone', 'head'.
        entries: Import path 'package.module:attribute' of each name.
        error: Class of the error for an unknown name.
    """

    def __init__(
        self, kind: str, entries: Mapping[str, str], *, error: type[KftError] = ConfigError
    ) -> None:
        self.kind = kind
        self._entries = dict(entries)
        self._own = frozenset(entries)
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

    @property
    def added(self) -> Mapping[str, str]:
        """The entries that were added from elsewhere."""
        return {name: path for name, path in self._entries.items() if name not in self._own}

    def add(self, name: str, path: str) -> None:
        """Add an implementation from elsewhere; adding the same one again changes nothing.

        Args:
            name: By which it is asked for, without spaces and '='.
            path: 'package.module:attribute'.

        Raises:
            KftError: The name stands for another one, or is malformed (the registry's own error
                class).
        """
        if not re.fullmatch(r"[^\s=]+", name):
            raise self._error(f"{self.kind} {name!r}: a name has no spaces and no '='. Rename it.")
        known = self._entries.setdefault(name, path)
        if known != path:
            raise self._error(
                f"{self.kind} {name!r} is registered already, as {known}. Choose another name."
            )

    def load(self, name: str) -> Any:
        """Import the object registered as `name`.

        Raises:
            KftError: `name` is not registered; its class is the registry's `error`.
        """
        return import_from(self[name])
