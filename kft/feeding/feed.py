"""Feed of a run: decoded examples, or stored activations if a phase has a frozen prefix."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import tensorflow as tf

from kft.config import FeaturesConfig, TrainingConfig
from kft.data.batches.example_cache import Cache, ExampleCache, JoinedCache, PartOfCache
from kft.data.batches.lengths import may_shorten
from kft.data.batches.pipeline import (
    TargetReader,
    make_dataset,
    make_target_reader,
    num_steps_per_epoch,
)
from kft.data.batches.service import DataService
from kft.data.batches.shares import WHOLE, Share
from kft.display import Display
from kft.examples import SPLIT_NAMES, Examples, SplitName
from kft.features import Cut, Stored, limit_bytes
from kft.feeding.example_store import ExampleStore
from kft.feeding.frozen_prefix import PrefixCuts
from kft.feeding.phase_batches import PhaseBatches
from kft.feeding.phase_input import FoldFeed, PhaseInput, SolutionInput
from kft.feeding.prefix_store import PrefixStore
from kft.feeding.source import Source
from kft.model import Assembled
from kft.runs.arrays import join_mapped
from kft.strategies import Phase
from kft.strategies.phases import COMPUTED_FROM_INPUTS
from kft.workers import ALONE, Workers


class Feed:
    """Source of the batches of every phase, from decoded examples or from stored activations.

    Args:
        assembled: Model whose phases are fitted.
        source: Source of the examples.
        phases: Phases of the run, which decide whether decoded examples are worth keeping.
        features: The pipeline's `features` section.
        training: The pipeline's `training` section.
        display: Display for progress.
        share: This process's share of the training batches.
        workers: All processes that train together.
    """

    def __init__(
        self,
        assembled: Assembled,
        source: Source,
        phases: Sequence[Phase],
        *,
        features: FeaturesConfig,
        training: TrainingConfig,
        display: Display,
        share: Share = WHOLE,
        workers: Workers = ALONE,
    ) -> None:
        standardised = source.splits.map_targets(assembled.head.standardise)
        self._source = replace(source, splits=standardised)
        self._model = assembled.model
        self._spec = assembled.backbone.input_spec
        self._features = features
        self._training = training
        address = source.config.service
        self._service = None if address is None else DataService(address)
        self._made = PhaseBatches(self._source, training, share, self._service)
        self._cuts = PrefixCuts(assembled, source, features, display=display, workers=workers)
        self._decoded = ExampleStore(
            self._source,
            limit_gigabytes=features.limit_gigabytes,
            display=display,
            # Dense targets are read in every step, also beside stored activations.
            is_streamed=source.config.cache == "auto"
            and source.splits.task.companion is None
            and self._cuts.read_once(phases),
        )
        self._prefixes = PrefixStore(
            self._source, self._decoded, features, training, display=display, workers=workers
        )
        # Cache entries are kept as long as their memory maps may be in use.
        self._held: list[Stored] = []
        # Of the last solved phase: cut, activations of its first split, vectors.
        self._solved: tuple[Cut, Stored, np.ndarray] | None = None
        # Time that the feature vectors of solved phases took, for comparisons of cost.
        self.vector_seconds = 0.0

    @contextmanager
    def name_unreadable(self) -> Iterator[None]:
        """Translate failures to decode, while reading, into an error that names the files.

        Raises:
            DataError: Files changed after they were checked.
            ServiceError: The tf.data service lost a batch, or failed to make one.
        """
        named, service = self._source.name_unreadable, self._service
        with named() if service is None else service.translate_errors(named):
            yield

    def decode(self, splits: Iterable[SplitName] = SPLIT_NAMES) -> None:
        """Decode splits now, if a phase trains from decoded examples.

        A file that cannot be decoded then ends the run before its first step,
        and not when the holdout is evaluated.

        Args:
            splits: Splits that the run will read.
        """
        for split in splits:
            self._decoded.get(split)

    def examples(self, phase: Phase) -> Examples:
        """Return the examples that a phase trains on."""
        return self._source.splits.join(phase.learns_from)

    def read_targets(self, phase: Phase) -> np.ndarray:
        """Read the targets that a phase trains on, dense ones from their files, unaugmented."""
        examples, find = self.examples(phase), self._target_reader(phase.learns_from)
        if find is None:
            return examples.targets
        size = self._training.batch_size
        batches = [
            tf.range(start, min(start + size, len(examples)), dtype=tf.int64)
            for start in range(0, len(examples), size)
        ]
        return np.concatenate([find(tf.zeros_like(batch), batch).numpy() for batch in batches])

    def for_phase(self, phase: Phase) -> PhaseInput:
        """Make the input of a fitted phase, whose `trainable` flags must be set already."""
        cut = self._cuts.find(phase)
        if cut is not None:
            return self._from_activations(phase, cut)
        caches = [self._decoded.get(split) for split in phase.learns_from]
        by_length = may_shorten(self._spec, self._model.input)
        batches = self._made.train(
            phase, _join(caches), preset=phase.recipe.augmentation, by_length=by_length
        )
        validation = self._made.validation(
            phase, self._decoded.get("validation"), by_length=by_length
        )
        return PhaseInput(
            self._model, batches, validation, COMPUTED_FROM_INPUTS, by_length=by_length
        )

    def for_folds(self, phase: Phase) -> FoldFeed:
        """Make the feed of a phase's runs in folds, whose `trainable` flags must be set already."""
        cut, splits = self._cuts.find(phase), phase.learns_from
        plain = replace(phase, recipe=replace(phase.fit, augmentation="none"))
        found = self._find_caches(cut, (phase, plain))
        learned, judged = _join(found[: len(splits)]), _join(found[len(splits) :])
        by_length = may_shorten(self._spec, (self._model if cut is None else cut.suffix).input)
        find_targets = None
        if cut is not None:
            preset, num_views = phase.recipe.augmentation, phase.count_views(self._features)
            find_targets = self._target_reader(splits, preset, num_views)

        def make_batches(rows: np.ndarray, steps: int) -> Callable[[int], tf.data.Dataset]:
            steps_per_epoch = num_steps_per_epoch(len(rows), self._training.batch_size)
            fit = replace(phase.fit, steps=steps, steps_per_epoch=steps_per_epoch)
            preset = phase.recipe.augmentation if cut is None else "none"
            own = replace(phase, recipe=fit)
            return self._made.train(
                own,
                _part(learned, rows),
                by_length=by_length,
                preset=preset,
                find_targets=None if find_targets is None else _of_rows(find_targets, rows),
                rows=rows,
            )

        def list_in_order(rows: np.ndarray) -> tf.data.Dataset:
            return make_dataset(
                self.examples(phase).take(rows),
                self._source.reader,
                batch_size=self._training.batch_size,
                cache=_part(judged, rows),
            )

        return FoldFeed(make_batches, list_in_order)

    def _find_caches(self, cut: Cut | None, phases: Sequence[Phase]) -> list[ExampleCache | None]:
        """Find the activations, or decoded examples, of each split that each phase trains on."""
        caches: list[ExampleCache | None] = []
        like: Stored | None = None
        for phase in phases:
            for split in phase.learns_from:
                if cut is None:
                    caches.append(self._decoded.get(split))
                    continue
                stored = self._prefixes.load(cut, split, phase, like=like)
                like = like or stored
                caches.append(ExampleCache(stored.activations, entry=stored))
        return caches

    def for_solution(self, phase: Phase) -> SolutionInput:
        """Make the input of a solved phase: feature vectors of unaugmented examples."""
        begun = time.monotonic()
        cut = self._cuts.find_of_solution(phase)
        found: list[Stored] = []
        for split in phase.learns_from:
            like = found[0] if found else None
            found.append(self._prefixes.load(cut, split, phase, like=like))
        self._held += found
        self.vector_seconds += time.monotonic() - begun
        vectors = [stored.activations[cut.name][0] for stored in found]
        joined = vectors[0]
        if len(vectors) > 1:
            joined = join_mapped(vectors, room="features", limit_bytes=limit_bytes(self._features))
        self._solved = cut, found[0], joined
        return SolutionInput(joined, (found[0].selected.forward, cut.suffix))

    def vectors_beside(self, phase: Phase, split: SplitName) -> tuple[np.ndarray, np.ndarray]:
        """Load the feature vectors that a solved phase learns from, and those of another split.

        They are computed with the current weights, from unaugmented examples.

        Args:
            phase: Phase that was solved last, or any other if none was.
            split: The other split.
        """
        if self._solved is None:
            self.for_solution(phase)
        assert self._solved is not None
        cut, stored, vectors = self._solved
        other = self._prefixes.load(cut, split, phase, like=stored)
        self._held.append(other)
        return vectors, other.activations[cut.name][0]

    def in_order(self, split: SplitName) -> tf.data.Dataset:
        """Make batches of (inputs, targets) that cover a split once, in order."""
        return make_dataset(
            self._source.splits.get(split),
            self._source.reader,
            batch_size=self._training.batch_size,
            cache=self._decoded.get(split),
        )

    def _from_activations(self, phase: Phase, cut: Cut) -> PhaseInput:
        stored = self._prefixes.load(cut, "train", phase)
        caches = {"train": ExampleCache(stored.activations, entry=stored)}
        by_length = may_shorten(self._spec, cut.suffix.input)
        preset, num_views = phase.recipe.augmentation, phase.count_views(self._features)
        learned = self._target_reader(phase.learns_from, preset, num_views)
        validation = None
        if len(self._source.splits.validation):
            of_validation = self._prefixes.load(cut, "validation", phase, like=stored)
            caches["validation"] = ExampleCache(of_validation.activations, entry=of_validation)
            judged = self._target_reader(("validation",))
            validation = self._made.validation(
                phase, caches["validation"], by_length=by_length, find_targets=judged
            )
        cache = _join([caches[split] for split in phase.learns_from])
        batches = self._made.train(phase, cache, by_length=by_length, find_targets=learned)
        parts = stored.selected.forward, cut.suffix
        return PhaseInput(cut.suffix, batches, validation, cut.name, parts, by_length)

    def _target_reader(
        self, splits: Sequence[SplitName], preset: str = "none", num_views: int = 1
    ) -> TargetReader | None:
        """Make the reader of dense targets beside stored activations; None for other targets."""
        if self._source.splits.task.companion is None:
            return None
        return make_target_reader(
            self._source.splits.join(splits),
            self._source.reader,
            num_views=num_views,
            cache=_join([self._decoded.get(split) for split in splits]),
            augmentation=self._source.make_augmentation(preset),
            seed=self._training.seed,
        )


def _of_rows(find_targets: TargetReader, rows: np.ndarray) -> TargetReader:
    """Make a reader of the targets of some examples, by their places among these."""
    return lambda views, places: find_targets(views, tf.gather(rows, places))


def _part(cache: Cache | None, rows: np.ndarray) -> Cache | None:
    return None if cache is None else PartOfCache(cache, rows)


def _join(caches: Sequence[ExampleCache | None]) -> Cache | None:
    """Join caches into one; None if the examples of one are read from files."""
    kept = [cache for cache in caches if cache is not None]
    if len(kept) < len(caches):
        return None
    return kept[0] if len(kept) == 1 else JoinedCache(kept)
