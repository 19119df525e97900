"""Computation of the activations at a cut into an entry of the cache."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kft.config import FeaturesConfig
from kft.errors import ConfigError
from kft.features.cut import Cut
from kft.features.engines import Arrays
from kft.features.layout import Layout, limit_bytes
from kft.features.rounding import LARGEST_NOISE, rounding_noise, to_float16
from kft.features.selection import SelectedEngine, select_engine
from kft.features.shared_extraction import Parts, SharedExtraction
from kft.features.stored import Stored
from kft.runs.caches import check_space, make_room
from kft.runs.entries import Entry, has_entry

FORMAT = 4
ROOM = "features"

MakeBatches = Callable[[int], Iterable[Any]]


class _TooLargeError(Exception):
    """An activation is too large for float16."""


@dataclass(kw_only=True)
class Extraction:
    """Computation of activations into the empty folder of a new entry."""

    cut: Cut
    make_batches: MakeBatches
    layout: Layout
    num_examples: int
    num_views: int
    config: FeaturesConfig
    like: Stored | None
    digest: str
    progress: Callable[[int, int], None]
    selected: SelectedEngine | None = None
    parts: Parts | None = None

    def make_key(self, content_key: str) -> str:
        """Digest of everything that decides the activations."""
        stated = [FORMAT, content_key, self.digest, self.cut.name, self.num_views]
        stated += [self.num_examples, self._requested_dtype()]
        return hashlib.sha256(json.dumps(stated).encode()).hexdigest()[:32]

    def _requested_dtype(self) -> str:
        """Type of the activations, or 'auto' if it depends on their values."""
        return self.layout.find_dtype(self.config) if self.like is None else self.like.dtype

    def build(self, folder: Path) -> dict[str, Any]:
        """Write the activations; return facts on how they were computed."""
        started = time.perf_counter()
        blocks = self._begin()
        outputs = next(blocks)
        assert self.selected is not None
        dtype, found = self._choose_dtype(outputs)
        if not self._write(folder, dtype, itertools.chain([outputs], blocks)):
            if self.config.dtype == "float16":
                raise ConfigError(
                    f"features.dtype: found 'float16', but some activations at {self.cut.name} "
                    "exceed its largest number (65504). Choose `auto` or `float32`."
                )
            dtype = "float32"
            self._write(folder, dtype, self._compute(0))
        seconds = time.perf_counter() - started
        facts = {"engine": self.selected.name, "refused": self.selected.refused}
        return {**facts, "dtype": dtype, **found, "seconds": seconds}

    def share(self, shared: SharedExtraction, key: str, open_entry: Callable[[], Entry]) -> Entry:
        """Open the entry; if it is missing, the chief builds it from the parts of all workers."""
        workers = shared.workers
        entry = None
        if not workers.broadcast_from_chief(lambda: has_entry(ROOM, key)):
            self.parts = shared.compute(
                self._select,
                lambda name: SelectedEngine(name, self.cut.forward(self.digest)),
                room=ROOM,
                key=key,
                layout=self.layout,
                limit_bytes=limit_bytes(self.config),
                progress=self.progress,
            )
            self.selected = self.parts.engine
            if workers.is_chief:
                entry = open_entry()
            workers.wait()
            self.parts.discard()
        return entry if entry is not None else open_entry()

    def _begin(self) -> Iterator[Arrays]:
        """Select the engine; return the blocks of the first view."""
        if self.parts is not None:
            return self._compute(0)
        batches = iter(self.make_batches(0))
        first = next(batches)
        self.selected = self._select(first)
        outputs = None if self.like else self.selected.sample_outputs
        outputs = self.selected(first) if outputs is None else outputs
        return itertools.chain([outputs], map(self.selected, batches))

    def _compute(self, view: int) -> Iterator[Arrays]:
        """Compute the blocks of a view, in order."""
        if self.parts is not None:
            return self.parts.read(view)
        assert self.selected is not None
        return map(self.selected, self.make_batches(view))

    def _select(self, sample: Any) -> SelectedEngine:
        forward = self.cut.forward(self.digest)
        if self.like is not None:
            # With the same weights, the engine itself is reused.
            is_same = self.like._digest == self.digest
            return self.like.selected if is_same else SelectedEngine(self.like.engine, forward)
        return select_engine(
            forward,
            sample,
            engine=self.config.engine,
            num_examples=self.num_examples * self.num_views,
        )

    def _choose_dtype(self, outputs: Arrays) -> tuple[str, dict[str, Any]]:
        """Choose the type of the floats; return it with the facts behind the choice."""
        requested = self._requested_dtype()
        if requested != "auto":
            return requested, {}
        noise = max(rounding_noise(each) for each in outputs.values() if each.dtype.kind == "f")
        found = {"float16_noise": noise if math.isfinite(noise) else None}
        return ("float16" if noise <= LARGEST_NOISE else "float32"), found

    def _write(self, folder: Path, dtype: str, first_view: Iterable[Arrays]) -> bool:
        """Write all views batch by batch; return False if a number is too large for `dtype`."""
        # More than expected if float16 was possible but not selected.
        num_bytes = self.layout.count_bytes(np.dtype(dtype).itemsize)
        check_space(num_bytes, limit_bytes(self.config), what=self.cut.contents)
        make_room(limit_bytes(self.config), for_bytes=num_bytes)
        try:
            self.layout.write(folder, self._all_views(dtype, first_view), dtype)
        except _TooLargeError:
            self.layout.remove(folder)
            return False
        return True

    def _all_views(self, dtype: str, first_view: Iterable[Arrays]) -> Iterator[Arrays]:
        """Batches of every view in the stored type."""
        further = map(self._compute, range(1, self.num_views))
        done = 0
        for values in itertools.chain(first_view, itertools.chain.from_iterable(further)):
            yield _round(values) if dtype == "float16" else values
            done += len(next(iter(values.values())))
            self.progress(done, self.num_views * self.num_examples)


def _round(values: Arrays) -> Arrays:
    """Round floats to float16."""
    rounded = {}
    for name, each in values.items():
        kept = to_float16(each) if each.dtype.kind == "f" else each
        if kept is None:
            raise _TooLargeError
        rounded[name] = kept
    return rounded
