"""Checked examples, made by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from inspections import inspect

from kft.auditing.seen_examples import SeenExamples
from kft.modalities import load_modality
from kft.tasks import find_task

MakePictures = Callable[..., SeenExamples]


@pytest.fixture
def make_pictures() -> MakePictures:
    """Make examples of alternating classes, with `changes` at some indices."""

    def make(
        count: int = 40,
        *,
        changes: dict[int, dict[str, object]] | None = None,
        classes: Sequence[int] | None = None,
        class_names: tuple[str, ...] = ("cat", "dog"),
        splits: Sequence[str] | None = None,
    ) -> SeenExamples:
        labels = np.array([i % 2 for i in range(count)] if classes is None else classes, np.int64)
        changes = changes or {}
        return SeenExamples(
            load_modality("image"),
            tuple(inspect(f"{i:04d}.jpg", **changes.get(i, {})) for i in range(len(labels))),
            labels,
            find_task("class"),
            class_names,
            None if splits is None else tuple(splits),
        )

    return make
