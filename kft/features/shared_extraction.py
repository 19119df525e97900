"""Activations that several workers compute, each those of its own examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kft.errors import ConfigError
from kft.features.selection import SelectedEngine
from kft.runs.arrays import write_blocks
from kft.runs.caches import cache_folder, discard
from kft.runs.entries import Entry, open_or_build
from kft.workers import Workers

_FILE = "activations.npy"
# Rows that the chief reads of a part at a time.
_ROWS = 256


@dataclass(frozen=True)
class SharedExtraction:
    """How the workers of a cluster share out the examples of a split.

    Attributes:
        workers: All that want its activations.
        make_part: View and places of examples -> batches of their pixels, in that order.
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
        shape: tuple[int, ...],
        limit_bytes: int,
        progress: Callable[[int, int], None],
    ) -> Parts:
        """Write this worker's part, and wait until all have written theirs.

        Parts that are there from a run that was stopped are not computed again.

        Args:
            select: First batch -> the engine that all use; called in the chief.
            take: Name -> that engine; called in the others.
            room: Of the cache.
            key: Of the whole.
            shape: (views, examples, …) of the whole.
            limit_bytes: Size of the cache.
            progress: Told how many are done of how many, views times examples.
        """
        num_views, num_examples, *rest = shape
        number, count = self.workers.number, self.workers.count
        selected: list[SelectedEngine] = []

        def select_first() -> str:
            first = next(iter(self.make_part(0, _places(num_examples, 0, count))))
            selected.append(select(first))
            return selected[0].name

        name = self.workers.broadcast_from_chief(select_first)
        engine = selected[0] if selected else take(name)
        parts = Parts(engine, room, f"{key}-{name}", shape, count, limit_bytes)
        places = _places(num_examples, number, count)

        def compute_own() -> Iterator[np.ndarray]:
            done = 0
            for view in range(num_views):
                for block in map(engine, self.make_part(view, places)):
                    yield block
                    done += len(block)
                    total = num_views * num_examples
                    progress(min(done * count, total), total)

        def build(folder: Path) -> None:
            own = (num_views, len(places), *rest)
            write_blocks(folder / _FILE, compute_own(), own, "float32")

        if len(places):
            parts.hold(number, build)
        self.workers.wait()
        return parts


@dataclass
class Parts:
    """What the workers computed, in the cache folder that all of them see.

    Attributes:
        engine: That computed it.
        room: Of the cache.
        key: Of all parts.
        shape: (views, examples, …) of the whole.
        count: How many parts there are.
        limit_bytes: Size of the cache.
    """

    engine: SelectedEngine
    room: str
    key: str
    shape: tuple[int, ...]
    count: int
    limit_bytes: int

    def __post_init__(self) -> None:
        self._held: dict[int, Entry] = {}

    def hold(self, number: int, build: Callable[[Path], None]) -> np.ndarray:
        """One part (views, its examples, …), mapped; held until `discard`."""
        if number not in self._held:
            self._held[number] = open_or_build(
                self.room,
                self._key(number),
                build,
                about=f"part {number + 1} of {self.count}",
                limit_bytes=self.limit_bytes,
            )
        path = self._held[number].path / _FILE
        values: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        return values

    def read(self, view: int) -> Iterator[np.ndarray]:
        """Blocks (examples, …) of a view, over all parts in order.

        Raises:
            ConfigError: Another worker's part is not where this one looks.
        """
        for number in range(self.count):
            if not len(_places(self.shape[1], number, self.count)):
                continue
            rows = self.hold(number, self._refuse)[view]
            for start in range(0, len(rows), _ROWS):
                yield np.array(rows[start : start + _ROWS])

    def discard(self) -> None:
        """Remove the parts that this worker holds."""
        for number in self._held:
            with suppress(OSError):
                discard(cache_folder(self.room) / self._key(number))
        self._held = {}

    def _key(self, number: int) -> str:
        return f"{self.key}-{number}-of-{self.count}"

    def _refuse(self, folder: Path) -> None:
        raise ConfigError(
            f"{folder.parent}: the parts that other workers computed are not here. Set "
            "KFT_CACHE_DIR to one folder that all workers see."
        )


def _places(num_examples: int, number: int, count: int) -> np.ndarray:
    """Places of the examples of one part: equally many, or one more in the first ones."""
    return np.array_split(np.arange(num_examples), count)[number]
