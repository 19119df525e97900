"""Shared extraction: several workers compute activations, each those of its own examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kft.errors import ConfigError
from kft.features.engines import Arrays
from kft.features.layout import Layout
from kft.features.selection import SelectedEngine
from kft.runs.caches import cache_folder, discard
from kft.runs.entries import Entry, open_or_build
from kft.workers import Workers

# Rows of a part that the chief reads at a time.
_ROWS = 256


@dataclass(frozen=True)
class SharedExtraction:
    """Division of a split's examples between the workers of a cluster.

    Attributes:
        workers: Workers that want the activations.
        make_part: Function from the number of a view and the indices of examples to batches of
            their inputs, in that order.
    """

    workers: Workers
    make_part: Callable[[int, np.ndarray], Iterable[Any]]

    def compute(
        self,
        select: Callable[[Any], SelectedEngine],
        take: Callable[[str], SelectedEngine],
        *,
        room: str,
        key: str,
        layout: Layout,
        limit_bytes: int,
        progress: Callable[[int, int], None],
    ) -> Parts:
        """Write this worker's part, and wait until all workers have written theirs.

        Parts left by an interrupted run are reused.

        Args:
            select: Function from the first batch to the engine for all; called in the chief.
            take: Function from an engine's name to the engine; called in the other workers.
            room: Room of the cache.
            key: Key of the whole entry.
            layout: Layout of the whole entry.
            limit_bytes: Size limit of the cache.
            progress: Called with the numbers done and in total, views times examples.
        """
        num_views, num_examples, *_ = next(iter(layout.shapes.values()))
        number, count = self.workers.number, self.workers.count
        selected: list[SelectedEngine] = []

        def select_first() -> str:
            first = next(iter(self.make_part(0, _indices(num_examples, 0, count))))
            selected.append(select(first))
            return selected[0].name

        name = self.workers.broadcast_from_chief(select_first)
        engine = selected[0] if selected else take(name)
        parts = Parts(engine, room, f"{key}-{name}", layout, count, limit_bytes)
        indices = _indices(num_examples, number, count)

        def compute_own() -> Iterator[Arrays]:
            done = 0
            for view in range(num_views):
                for block in map(engine, self.make_part(view, indices)):
                    yield block
                    done += len(next(iter(block.values())))
                    total = num_views * num_examples
                    progress(min(done * count, total), total)

        def build(folder: Path) -> None:
            layout.of_examples(len(indices)).write(folder, compute_own())

        if len(indices):
            parts.hold(number, build)
        self.workers.wait()
        return parts


@dataclass
class Parts:
    """Parts that the workers computed, in the cache folder that all of them see.

    Attributes:
        engine: Engine that computed them.
        room: Room of the cache.
        key: Common beginning of the parts' keys.
        layout: Layout of the whole entry.
        count: Number of parts.
        limit_bytes: Size limit of the cache.
    """

    engine: SelectedEngine
    room: str
    key: str
    layout: Layout
    count: int
    limit_bytes: int

    def __post_init__(self) -> None:
        self._held: dict[int, Entry] = {}

    def hold(self, number: int, build: Callable[[Path], None]) -> Arrays:
        """Open or build one part (views, its examples, …), memory-mapped; kept until `discard`."""
        if number not in self._held:
            self._held[number] = open_or_build(
                self.room,
                self._key(number),
                build,
                about=f"part {number + 1} of {self.count}",
                limit_bytes=self.limit_bytes,
            )
        layout = self.layout.of_examples(len(self._indices(number)))
        return layout.load(self._held[number].path)

    def read(self, view: int) -> Iterator[Arrays]:
        """Read the blocks (examples, …) of a view, over all parts in order.

        Raises:
            ConfigError: This worker's cache folder does not hold another worker's part.
        """
        for number in range(self.count):
            size = len(self._indices(number))
            if not size:
                continue
            arrays = self.hold(number, self._refuse)
            for start in range(0, size, _ROWS):
                rows = slice(start, start + _ROWS)
                yield {name: np.array(each[view, rows]) for name, each in arrays.items()}

    def discard(self) -> None:
        """Remove the parts that this worker holds."""
        for number in self._held:
            with suppress(OSError):
                discard(cache_folder(self.room) / self._key(number))
        self._held = {}

    def _indices(self, number: int) -> np.ndarray:
        _, num_examples, *_ = next(iter(self.layout.shapes.values()))
        return _indices(num_examples, number, self.count)

    def _key(self, number: int) -> str:
        return f"{self.key}-{number}-of-{self.count}"

    def _refuse(self, folder: Path) -> None:
        raise ConfigError(
            f"{folder.parent}: parts that other workers computed are missing. Set KFT_CACHE_DIR "
            "to one folder that all workers see."
        )


def _indices(num_examples: int, number: int, count: int) -> np.ndarray:
    """Indices of the examples of one part; the first parts may hold one more than the others.

    >>> [_indices(5, number, 2).tolist() for number in (0, 1)]
    [[0, 1, 2], [3, 4]]
    """
    return np.array_split(np.arange(num_examples), count)[number]
