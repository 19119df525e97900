"""Store of the activations at a cut, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kft.config import FeaturesConfig
from kft.errors import ConfigError
from kft.features.cut import Cut
from kft.features.fingerprint import digest_model
from kft.features.rounding import LARGEST_NOISE, rounding_noise, to_float16
from kft.features.selection import SelectedEngine, select_engine
from kft.features.shared_extraction import Parts, SharedExtraction
from kft.runs.arrays import write_blocks
from kft.runs.caches import check_space, make_room, max_entry_bytes
from kft.runs.entries import Entry, has_entry, open_or_build

FORMAT = 3
ROOM = "features"
_FILE = "activations.npy"
# For smaller feature maps, float16 would save no noticeable space or time.
_LARGE_BYTES = 64_000_000

MakeBatches = Callable[[int], Iterable[Any]]


@dataclass(frozen=True, eq=False)
class Stored:
    """Stored activations of one split; the cache keeps their entry while this object lives.

    Attributes:
        activations: Memory-mapped array (views, examples, …) in the order of the split, of type
            float32 or float16.
        was_cached: Whether the activations were in the cache already.
        selected: Engine that computed them.
    """

    activations: np.ndarray
    was_cached: bool
    selected: SelectedEngine
    _digest: str = field(repr=False)
    _entry: Entry = field(repr=False)

    @property
    def engine(self) -> str:
        """Name of the engine that computed the activations."""
        return self.selected.name

    @property
    def path(self) -> Path:
        """Folder of the cache entry."""
        return self._entry.path

    @property
    def dtype(self) -> str:
        """Type of the activations: 'float32' or 'float16'."""
        return self.activations.dtype.name


def load_or_extract(
    cut: Cut,
    make_batches: MakeBatches,
    *,
    content_key: str,
    num_examples: int,
    num_views: int = 1,
    config: FeaturesConfig,
    like: Stored | None = None,
    progress: Callable[[int, int], None],
    on_wait: Callable[[], None] | None = None,
    shared: SharedExtraction | None = None,
) -> Stored:
    """Load the activations of every example at the cut from the cache, or compute them.

    Memory does not grow with the number of examples. If several processes want the same
    activations, one computes them and the others wait.

    Args:
        cut: End of the prefix.
        make_batches: Function from the number of a view to its batches of pixels (batch, height,
            width, 3), in the order of the split; called only if the cache lacks the activations.
        content_key: Digest of everything that decides the pixels of all views: files, contents,
            order, decoding, the preset of the augmentation and its seed.
        num_examples: Number of examples in the split.
        num_views: Number of differently augmented views of each example.
        config: The pipeline's `features` section.
        like: Activations of another split at this cut, whose engine and type are reused.
        progress: Called with the numbers done and in total, views times examples.
        on_wait: Called if another process is computing the activations.
        shared: How workers share the computation; all of them call this function.

    Raises:
        ConfigError: The activations do not fit into the cache, or the requested engine is not
            available for this model.
    """
    extraction = _Extraction(
        cut=cut,
        make_batches=make_batches,
        num_examples=num_examples,
        num_views=num_views,
        config=config,
        like=like,
        digest=digest_model(cut.prefix),
        progress=progress,
    )
    own_key = extraction.make_key(content_key)
    # The key depends on installed versions, which may differ between workers.
    key = own_key if shared is None else shared.workers.broadcast_from_chief(lambda: own_key)

    def open_entry() -> Entry:
        return open_or_build(
            ROOM,
            key,
            extraction.build,
            about=f"{cut.backbone} at {cut.name}, examples: {num_examples}, views: {num_views}",
            limit_bytes=limit_bytes(config),
            expected_bytes=extraction.least_bytes,
            on_wait=on_wait,
        )

    entry = open_entry() if shared is None else extraction.share(shared, key, open_entry)
    activations = np.load(entry.path / _FILE, mmap_mode="r", allow_pickle=False)
    assert activations.shape == extraction.shape
    if entry.was_cached:
        progress(num_views * num_examples, num_views * num_examples)
    return Stored(
        activations,
        entry.was_cached,
        extraction.selected
        or SelectedEngine(entry.facts["engine"], cut.forward(extraction.digest)),
        extraction.digest,
        entry,
    )


def fits_store(
    cut: Cut,
    *,
    num_examples: int,
    num_views: int,
    num_beside: int = 0,
    config: FeaturesConfig,
    in_parts: bool = False,
) -> bool:
    """Tell whether limit and disk have room for the result of `load_or_extract` at this cut.

    Args:
        cut: End of the prefix.
        num_examples: Number of examples to store.
        num_views: Number of views of each.
        num_beside: Number of other examples stored at the same time, with one view each.
        config: The pipeline's `features` section.
        in_parts: Whether several workers compute parts, which need space beside the whole.
    """
    shape = _shape(cut, num_views * num_examples + num_beside, num_views=1)
    return _needed_bytes(shape, config, in_parts) <= max_entry_bytes(limit_bytes(config))


def check_store(
    cut: Cut, *, num_examples: int, config: FeaturesConfig, in_parts: bool = False
) -> None:
    """Refuse examples whose activations must be stored but do not fit, with one view each.

    Raises:
        ConfigError: Limit or disk have no room for the activations.
    """
    num_bytes = _needed_bytes(_shape(cut, num_examples, num_views=1), config, in_parts)
    check_space(num_bytes, limit_bytes(config), what=_describe(cut))


def limit_bytes(config: FeaturesConfig) -> int:
    """Size limit of the cache, in bytes."""
    return int(config.limit_gigabytes * 1e9)


def _shape(cut: Cut, num_examples: int, num_views: int) -> tuple[int, ...]:
    return (num_views, num_examples, *cut.shape)


def _describe(cut: Cut) -> str:
    return f"the activations at {cut.name}"


def _least_bytes(shape: tuple[int, ...], config: FeaturesConfig) -> int:
    """Smallest size of the activations: in float16 if it is requested or may be selected."""
    return math.prod(shape) * (4 if _requested_dtype(shape, config) == "float32" else 2)


def _needed_bytes(shape: tuple[int, ...], config: FeaturesConfig, in_parts: bool) -> int:
    """Largest size of the activations, with the float32 parts from which they are joined.

    With `dtype: auto` the activations may have to stay float32.
    """
    each = (2 if config.dtype == "float16" else 4) + (4 if in_parts else 0)
    return each * math.prod(shape)


def _requested_dtype(shape: tuple[int, ...], config: FeaturesConfig) -> str:
    """Type set in the pipeline; 'auto' stays open only for large feature maps."""
    is_large_map = len(shape) == 5 and 4 * math.prod(shape) >= _LARGE_BYTES
    return "float32" if config.dtype == "auto" and not is_large_map else config.dtype


class _TooLargeError(Exception):
    """An activation is too large for float16."""


@dataclass(kw_only=True)
class _Extraction:
    """Computation of activations into the empty folder of a new entry."""

    cut: Cut
    make_batches: MakeBatches
    num_examples: int
    num_views: int
    config: FeaturesConfig
    like: Stored | None
    digest: str
    progress: Callable[[int, int], None]
    selected: SelectedEngine | None = None
    parts: Parts | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (views, examples, …) of the activations."""
        return _shape(self.cut, self.num_examples, self.num_views)

    @property
    def least_bytes(self) -> int:
        """Smallest size of the entry."""
        return _least_bytes(self.shape, self.config)

    def make_key(self, content_key: str) -> str:
        """Digest of everything that decides the activations."""
        stated = [FORMAT, content_key, self.digest, self.cut.name, self.num_views]
        stated += [self.num_examples, self._requested_dtype()]
        return hashlib.sha256(json.dumps(stated).encode()).hexdigest()[:32]

    def _requested_dtype(self) -> str:
        """Type of the activations, or 'auto' if it depends on their values."""
        return _requested_dtype(self.shape, self.config) if self.like is None else self.like.dtype

    def build(self, folder: Path) -> dict[str, Any]:
        """Write the activations; return facts on how they were computed."""
        started = time.perf_counter()
        blocks = self._begin()
        outputs = next(blocks)
        assert self.selected is not None
        dtype, found = self._choose_dtype(outputs)
        if not self._write(folder / _FILE, dtype, itertools.chain([outputs], blocks)):
            if self.config.dtype == "float16":
                raise ConfigError(
                    f"features.dtype: found 'float16', but some activations at {self.cut.name} "
                    "exceed its largest number (65504). Choose `auto` or `float32`."
                )
            dtype = "float32"
            self._write(folder / _FILE, dtype, self._compute(0))
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
                shape=self.shape,
                limit_bytes=limit_bytes(self.config),
                progress=self.progress,
            )
            self.selected = self.parts.engine
            if workers.is_chief:
                entry = open_entry()
            workers.wait()
            self.parts.discard()
        return entry if entry is not None else open_entry()

    def _begin(self) -> Iterator[np.ndarray]:
        """Select the engine; return the blocks of the first view."""
        if self.parts is not None:
            return self._compute(0)
        batches = iter(self.make_batches(0))
        first = next(batches)
        self.selected = self._select(first)
        outputs = None if self.like else self.selected.sample_outputs
        outputs = self.selected(first) if outputs is None else outputs
        return itertools.chain([outputs], map(self.selected, batches))

    def _compute(self, view: int) -> Iterator[np.ndarray]:
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

    def _choose_dtype(self, outputs: np.ndarray) -> tuple[str, dict[str, Any]]:
        """Choose the type of the activations; return it with the facts behind the choice."""
        requested = self._requested_dtype()
        if requested != "auto":
            return requested, {}
        noise = rounding_noise(outputs)
        found = {"float16_noise": noise if math.isfinite(noise) else None}
        return ("float16" if noise <= LARGEST_NOISE else "float32"), found

    def _write(self, path: Path, dtype: str, first_view: Iterable[np.ndarray]) -> bool:
        """Write all views batch by batch; return False if a number is too large for `dtype`."""
        # More than expected if float16 was possible but not selected.
        num_bytes = math.prod(self.shape) * np.dtype(dtype).itemsize
        check_space(num_bytes, limit_bytes(self.config), what=_describe(self.cut))
        make_room(limit_bytes(self.config), for_bytes=num_bytes)
        try:
            write_blocks(path, self._all_views(dtype, first_view), self.shape, dtype)
        except _TooLargeError:
            path.unlink()
            return False
        return True

    def _all_views(self, dtype: str, first_view: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Batches of every view in the stored type."""
        further = map(self._compute, range(1, self.num_views))
        done = 0
        for values in itertools.chain(first_view, itertools.chain.from_iterable(further)):
            kept = to_float16(values) if dtype == "float16" else values
            if kept is None:
                raise _TooLargeError
            yield kept
            done += len(values)
            self.progress(done, self.num_views * self.num_examples)
