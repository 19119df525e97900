"""What was measured of a model's engines on this machine, for the next run."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from kft.features.engines import ENGINES, PIECE
from kft.machine import default_threads, processor
from kft.runs.atomic import write_json
from kft.runs.caches import MEASUREMENTS, cache_root

_FORMAT = 1


@dataclass(frozen=True)
class Measured:
    """What was found out about one engine.

    Attributes:
        milliseconds: Per example; None where it could not be timed.
        setup_seconds: To make it and to compute the first batch.
        difference: Largest difference from Keras, relative to the largest of Keras's numbers.
        reason: Why it is not used; None if it may be.
    """

    milliseconds: float | None = None
    setup_seconds: float = 0.0
    difference: float | None = None
    reason: str | None = None


def read_measured(digest: str) -> dict[str, Measured]:
    """The measurements of a model by engine; empty where there are none, or damaged ones.

    Args:
        digest: Of the model's graph and weights.
    """
    try:
        value = json.loads(_path(digest).read_text(encoding="utf-8"))
        return {name: Measured(**found) for name, found in value.items() if name in ENGINES}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_measured(digest: str, measured: Mapping[str, Measured]) -> None:
    """Keep the measurements of a model."""
    write_json(_path(digest), {name: asdict(found) for name, found in measured.items()})


def _path(digest: str) -> Path:
    # One cache folder may serve several machines.
    machine = [platform.machine(), processor(), default_threads()]
    stated = [_FORMAT, digest, PIECE, _versions(), machine]
    name = hashlib.sha256(json.dumps(stated).encode()).hexdigest()[:32]
    return cache_root() / MEASUREMENTS / f"{name}.json"


def _versions() -> list[str]:
    found = []
    for package in ("tensorflow", "keras", "openvino"):
        try:
            found.append(importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            found.append("")
    return found
