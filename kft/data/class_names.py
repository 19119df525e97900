"""Classes from labels: equal texts are one class, and similar ones need a decision."""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from kft.config import DataConfig
from kft.config.section import compose
from kft.data.found import Found, sort_class_names
from kft.errors import DataError
from kft.printing import listed
from kft.registry import suggest

_DECOMPOSED = "in decomposed Unicode (NFD), read as composed"
# Only between letters or digits: `C-` and `C` are two grades.
_SEPARATORS = re.compile(r"(?<=[^\W_])[\s_-]+(?=[^\W_])")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")
# Words that YAML reads without quotes in a one-line mapping.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_ -]*(?<! )")
_YAML_WORDS = ("true", "false", "null")


def find_class_name(label: str, aliases: Mapping[str, str]) -> str:
    """Return the class that a label means.

    Args:
        label: Label as the data write it.
        aliases: `data.class_aliases`.
    """
    name = compose(label)
    return aliases.get(name, name)


def join_classes(found: Found, config: DataConfig, *, is_other: bool = False) -> Found:
    """Replace labels with classes.

    Labels that are the same text in two Unicode forms become one class, and so do labels that
    `data.class_aliases` joins. Groups in two Unicode forms become one group. `noticed` counts
    the examples that this affects.

    Args:
        found: Examples of a source.
        config: The `data` section.
        is_other: Whether the section was written for other data. The aliases then need not
            occur, and the caller compares the classes with those of the model.

    Raises:
        DataError: An alias names a missing class, or classes are too similar.
    """
    found = _compose_groups(found)
    aliases = config.class_aliases
    if not found.task.has_classes:
        if aliases and not is_other:
            raise DataError(
                f"data.class_aliases: {found.source} holds no classes (target "
                f"{found.task.word}). Remove it, or set data.target=class."
            )
        # Settings use the composed form too.
        names = tuple(map(compose, found.class_names))
        return replace(found, class_names=names) if len(set(names)) == len(names) else found
    if not is_other:
        _refuse_bad_aliases(found, aliases)
    joined = _join(found, aliases)
    if not is_other and config.similar_classes == "refuse":
        refuse_similar(joined)
    return joined


def _compose_groups(found: Found) -> Found:
    if found.groups is None:
        return found
    groups = tuple(map(compose, found.groups))
    changed = sum(one != other for one, other in zip(groups, found.groups, strict=True))
    words = {f"of a group {_DECOMPOSED}": changed} if changed else {}
    return replace(found, groups=groups, noticed={**found.noticed, **words})


def _refuse_bad_aliases(found: Found, aliases: Mapping[str, str]) -> None:
    labels = set(map(compose, found.class_names))
    for label, name in aliases.items():
        if label not in labels:
            raise DataError(
                f"data.class_aliases: no class {label!r} in {found.source}. "
                f"{suggest(label, labels)}"
            )
        if name in aliases:
            raise DataError(
                f"data.class_aliases: {label!r} is an alias of {name!r}, which is itself an "
                "alias. Give the final class for both; to keep similar classes apart set "
                "data.similar_classes=keep."
            )


def _join(found: Found, aliases: Mapping[str, str]) -> Found:
    named = [find_class_name(label, aliases) for label in found.class_names]
    if tuple(named) == found.class_names:
        return found
    # If the names are not sorted, the source declares their order, so it is kept.
    is_sorted = found.class_names == sort_class_names(found.class_names)
    names = sort_class_names(named) if is_sorted else tuple(dict.fromkeys(named))
    place = {name: index for index, name in enumerate(names)}
    new_index = np.asarray([place[name] for name in named], dtype=np.int64)
    examples = replace(found.examples, targets=new_index[found.examples.targets])
    noticed = {**found.noticed, **_count_joined(found, named)}
    return replace(found, examples=examples, class_names=names, noticed=noticed)


def _count_joined(found: Found, named: Sequence[str]) -> Counter[str]:
    counts = count_examples(found)
    words: Counter[str] = Counter()
    decomposed = {label: compose(label) for label in found.class_names if label != compose(label)}
    if decomposed:
        names = listed(sorted(decomposed.values()), 5)
        words[f"of a class {_DECOMPOSED}: {names}"] = sum(counts[label] for label in decomposed)
    for label, name in zip(found.class_names, named, strict=True):
        if name != compose(label):
            words[f"of {label!r} joined to {name!r}"] += counts[label]
    return words


def count_examples(found: Found) -> dict[str, int]:
    """Count the examples of each class."""
    counts = np.bincount(found.examples.targets, minlength=len(found.class_names))
    return dict(zip(found.class_names, counts.tolist(), strict=True))


def refuse_similar(found: Found) -> None:
    """Refuse classes with confusingly similar names; labels and numbers are not checked.

    Raises:
        DataError: Classes are similar. The message names all of them, and says how to join them
            and how to keep them apart.
    """
    if not found.task.has_classes:
        return
    counts = count_examples(found)
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(found.class_names, key=lambda name: (-counts[name], name)):
        alike[find_likeness(name)].append(name)
    sets = [names for names in alike.values() if len(names) > 1]
    if not sets:
        return
    similar = [" and ".join(f"{name!r} ({counts[name]:,})" for name in names) for names in sets]
    aliases = {name: names[0] for names in sets for name in names[1:]}
    raise DataError(
        f"{found.source}: some classes have easily confused names; with their numbers of "
        f"examples: {listed(similar)}. If they are the same, join them: "
        f"{format_aliases(aliases)}; if not, set data.similar_classes=keep."
    )


def find_similar(names: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Find the names that are easily confused with a known class, and map them to that class."""
    by_likeness = {find_likeness(name): name for name in known}
    found = {name: by_likeness.get(find_likeness(name)) for name in names}
    return {name: other for name, other in found.items() if other is not None and other != name}


def find_likeness(name: str) -> str:
    """Normalise a name, so that easily confused names become equal.

    Such names differ in case, spaces, `_` and `-`, compatible Unicode letters (NFKC), invisible
    characters, or the format of a number: `01`, `1` and `1.0`.
    """
    text = unicodedata.normalize("NFKC", name)
    # Cf: zero-width characters and direction marks; Cc: control characters.
    text = "".join(
        " " if letter.isspace() else letter
        for letter in text
        if letter.isspace() or unicodedata.category(letter) not in ("Cf", "Cc")
    )
    text = unicodedata.normalize("NFKC", text.casefold()).strip(" _")
    if _NUMBER.fullmatch(text):
        return str(Fraction(text))
    return _SEPARATORS.sub(" ", text)


def format_aliases(aliases: Mapping[str, str]) -> str:
    """Format as an override, such as `'data.class_aliases={Cat: cat}'`, in typable characters."""
    pairs = ", ".join(f"{_quote(one)}: {_quote(other)}" for one, other in aliases.items())
    return shlex.quote(f"data.class_aliases={{{pairs}}}")


def _quote(name: str) -> str:
    if _PLAIN.fullmatch(name) and name.lower() not in _YAML_WORDS:
        return name
    return json.dumps(name, ensure_ascii=not name.isprintable())
