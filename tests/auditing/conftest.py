"""Pictures as the gate would have seen them, made by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from kft.auditing.pictures import Pictures
from kft.modalities.image.inspection import Inspection
from kft.tasks import find_task

MakeInspection = Callable[..., Inspection]
MakePictures = Callable[..., Pictures]


def inspect(name: str, **changes: object) -> Inspection:
    """An ordinary photograph of that name, but for what is said."""
    usual = {
        "path": f"/photos/{name}",
        "digest": hashlib.sha256(name.encode()).hexdigest(),
        "size": 40_000,
        "changed_ns": 0,
        "format": "JPEG",
        "mode": "RGB",
        "width": 500,
        "height": 375,
        "likeness": 0,
        "mean_rgb": (120.0, 110.0, 100.0),
        "brightness": 110.0,
        "contrast": 60.0,
        "sharpness": 800.0,
        "border_rgb": (120.0, 110.0, 100.0),
    }
    return Inspection(name=name, **(usual | changes))


@pytest.fixture
def make_pictures() -> MakePictures:
    """Pictures of classes in turn; `changes` holds what is unusual of those at some places."""

    def make(
        count: int = 40,
        *,
        changes: dict[int, dict[str, object]] | None = None,
        classes: Sequence[int] | None = None,
        class_names: tuple[str, ...] = ("cat", "dog"),
        splits: Sequence[str] | None = None,
    ) -> Pictures:
        labels = np.array([i % 2 for i in range(count)] if classes is None else classes, np.int64)
        changes = changes or {}
        return Pictures(
            tuple(inspect(f"{i:04d}.jpg", **changes.get(i, {})) for i in range(len(labels))),
            labels,
            find_task("class"),
            class_names,
            None if splits is None else tuple(splits),
        )

    return make
