"""Which model may become the next version of an export."""

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
    """One more than the highest version; TensorFlow Serving loads the highest."""
    return max(_find_versions(folder), default=0) + 1


def _find_versions(folder: Path) -> list[int]:
    return [int(entry.name) for entry in folder.glob("*") if entry.name.isdigit()]


def check_next_version(
    folder: Path,
    card: Mapping[str, Any],
    *,
    allowed: Literal["same", "any"],
    mend: str = "name=OTHER, or export.next_version=any",
) -> None:
    """Refuse a model that would take the place of one that answers something else.

    A server that watches the folder serves the highest version. The next one
    is the same model where it has the same classes in the same order, and
    comes from the same place (a data set may grow) or from equal data (it may
    move).

    Args:
        folder: Of all versions.
        card: Of the model that is to be the next: `head` and `data` of its card.
        allowed: `export.next_version`.
        mend: What gives it another name, or says that it is meant.

    Raises:
        ConfigError: It is another model; both are named.
    """
    versions = _find_versions(folder)
    if allowed == "any" or not versions:
        return
    latest = folder / str(max(versions))
    difference = _find_difference(read_card(latest), card)
    if difference is not None:
        raise ConfigError(
            f"{latest}: {difference} This model would become the next version, and be served "
            f"in its place. Give it another name, or say that it is meant: {mend}."
        )


def read_card(version: Path) -> Mapping[str, Any] | None:
    """What an export says of its model; None where kft did not write it."""
    try:
        card = json.loads((version / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) and isinstance(card.get("head"), dict) else None


def _find_difference(latest: Mapping[str, Any] | None, card: Mapping[str, Any]) -> str | None:
    """How two models differ, in whole sentences; None where one may follow the other."""
    if latest is None:
        return f"it has no {CARD} of kft, so what it answers is not known."
    difference = _compare_heads(latest["head"], card["head"])
    # Exports of before do not say what they come from.
    if difference is None and "data" in latest:
        difference = _compare_data(latest["data"], card["data"])
    return difference


def _compare_heads(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    if before.get("name") != now["name"]:
        return f"its task is {before.get('name')}, that of this model {now['name']}."
    one, other = before.get("class_names") or [], now["class_names"]
    if one == other:
        return None
    if sorted(one) == sorted(other):
        return f"it answers {_list(one)}; this model the same in another order, {_list(other)}."
    return f"it answers {_describe_classes(one, other)}."


def _compare_data(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    is_equal = before.get("fingerprint") == now["fingerprint"]
    if is_equal or _is_same_place(before.get("path"), now["path"]):
        return None
    return f"it comes from the data at {before.get('path')}; this model from others, {now['path']}."


def _describe_classes(before: Sequence[str], now: Sequence[str]) -> str:
    """Both sides; of many classes, those that one of them lacks."""
    if max(len(before), len(now)) <= _SHOWN:
        return f"{_list(before)}; this model {_list(now)}"
    gone, new = sorted(set(before) - set(now)), sorted(set(now) - set(before))
    told = [f"{word} {_list(names)}" for word, names in (("lacks", gone), ("adds", new)) if names]
    return f"{len(before)} classes; this model {len(now)}: it {' and '.join(told)}"


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _is_same_place(before: str | None, now: str | None) -> bool:
    if before is None or now is None:
        return False
    return before == now or os.path.realpath(before) == os.path.realpath(now)
