"""Versions of an export, and the check of a model that would become the next one."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from kft.errors import ConfigError

CARD = "assets.extra/kft.json"
_SHOWN = 8


def next_version(folder: Path) -> int:
    """Give the number after the highest version, which is the one TensorFlow Serving loads."""
    return max(_find_versions(folder), default=0) + 1


def _find_versions(folder: Path) -> list[int]:
    return [int(entry.name) for entry in folder.glob("*") if entry.name.isdigit()]


def check_next_version(
    folder: Path,
    card: Mapping[str, Any],
    *,
    allowed: Literal["same", "any"],
    remedy: str = "name=OTHER, or export.next_version=any",
) -> None:
    """Refuse to replace an exported model by a different one.

    A server that watches the folder serves the highest version. A model may
    follow another if it has the same classes in the same order, and its data
    have the same path (a data set may grow) or the same fingerprint (it may
    move).

    Args:
        folder: Folder of all versions.
        card: Card of the new model; its `head` and `data` are compared.
        allowed: Setting `export.next_version`.
        remedy: Options that rename the model or allow the replacement, for the message.

    Raises:
        ConfigError: The models differ; the message describes both.
    """
    versions = _find_versions(folder)
    if allowed == "any" or not versions:
        return
    latest = folder / str(max(versions))
    difference = _find_difference(read_card(latest), card)
    if difference is not None:
        raise ConfigError(
            f"{latest}: {difference} This model would become the next version and be served "
            f"instead. Give it another name, or allow the replacement: {remedy}."
        )


def read_card(version: Path) -> Mapping[str, Any] | None:
    """Read the card of an export; None if kft did not write one."""
    try:
        card = json.loads((version / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) and isinstance(card.get("head"), dict) else None


def _find_difference(latest: Mapping[str, Any] | None, card: Mapping[str, Any]) -> str | None:
    """Describe how two models differ, in sentences; None if one may follow the other."""
    if latest is None:
        return f"it has no valid {CARD}, so its classes are unknown."
    difference = _compare_heads(latest["head"], card["head"])
    # Older exports do not record their data.
    if difference is None and "data" in latest:
        difference = _compare_data(latest["data"], card["data"])
    return difference


def _compare_heads(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    if before.get("name") != now["name"]:
        return f"its task is {before.get('name')}; this model's is {now['name']}."
    one, other = before.get("class_names") or [], now["class_names"]
    if one == other:
        return None
    if sorted(one) == sorted(other):
        return f"it answers {_list(one)}; this model, the same in another order, {_list(other)}."
    return f"it answers {_describe_classes(one, other)}."


def _compare_data(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    is_equal = before.get("fingerprint") == now["fingerprint"]
    if is_equal or _is_same_place(before.get("path"), now["path"]):
        return None
    return f"its data are {before.get('path')}; this model's are others, {now['path']}."


def _describe_classes(before: Sequence[str], now: Sequence[str]) -> str:
    """List the classes of both models, or only the differences if there are many."""
    if max(len(before), len(now)) <= _SHOWN:
        return f"{_list(before)}; this model answers {_list(now)}"
    gone, new = sorted(set(before) - set(now)), sorted(set(now) - set(before))
    changes = {"lacks": gone, "adds": new}
    listed = [f"{word} {_list(names)}" for word, names in changes.items() if names]
    return f"{len(before)} classes; this model answers {len(now)}: it {' and '.join(listed)}"


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _is_same_place(before: str | None, now: str | None) -> bool:
    if before is None or now is None:
        return False
    return before == now or os.path.realpath(before) == os.path.realpath(now)
