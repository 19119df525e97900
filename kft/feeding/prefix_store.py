"""Store of the activations of frozen prefixes, computed once and shared by phases and runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from kft import __version__
from kft.config import FeaturesConfig, TrainingConfig
from kft.data.batches.pipeline import make_view_dataset
from kft.display import Display
from kft.examples import Examples, SplitName
from kft.features import Cut, SharedExtraction, Stored, load_or_extract
from kft.feeding.example_store import ExampleStore
from kft.feeding.source import Source
from kft.strategies import Phase
from kft.workers import Workers


class PrefixStore:
    """Store of the activations of each split at a cut, filled on first request.

    Args:
        source: Source of the examples.
        decoded: Store of the decoded examples.
        features: The pipeline's `features` section.
        training: The pipeline's `training` section, for its seed and batch size.
        display: Display for progress.
        workers: All processes, which share the computation.
    """

    def __init__(
        self,
        source: Source,
        decoded: ExampleStore,
        features: FeaturesConfig,
        training: TrainingConfig,
        *,
        display: Display,
        workers: Workers,
    ) -> None:
        self._source = source
        self._decoded = decoded
        self._features = features
        self._training = training
        self._display = display
        self._workers = workers
        # Entries that this run computed or loaded, to describe later where activations come from.
        self._computed: set[Path] = set()

    def load(
        self, cut: Cut, split: SplitName, phase: Phase, *, like: Stored | None = None
    ) -> Stored:
        """Load the activations of a split for a phase, or compute them if they are not stored.

        Args:
            cut: Cut at which the prefix ends.
            split: Split to load, augmented as the phase requires if it trains on this split.
            phase: Phase that is fitted or solved on the activations.
            like: Activations of another split, whose engine and type are reused.

        Raises:
            ConfigError: The activations do not fit into the cache.
        """
        examples = self._source.splits.get(split)
        is_learned = split in phase.learns_from
        preset = phase.recipe.augmentation if is_learned else "none"
        num_views = phase.count_views(self._features) if is_learned else 1
        # Another version of kft may draw other augmentations from the same seed.
        drawn = "" if preset == "none" else f"{preset} {self._training.seed} {__version__}"
        if self._source.config.service is not None and like is None:
            self._display.stage("  data.service makes no features: this run reads their files")
        make_batches = self._batch_maker(examples, split, preset)
        title = f"Features of {split}" + (f", {num_views} views" if num_views > 1 else "")
        with self._display.track(title, num_views * len(examples)) as advance:
            stored = load_or_extract(
                cut,
                make_batches,
                content_key=self._source.content_key(examples, drawn),
                num_examples=len(examples),
                num_views=num_views,
                config=self._features,
                like=like,
                progress=advance,
                on_wait=lambda: self._display.stage("  another process is computing them; waiting"),
                shared=SharedExtraction(self._workers, make_batches)
                if self._workers.count > 1
                else None,
            )
            advance(num_views * len(examples), note=f"({self._describe_origin(stored)})")
        self._computed.add(stored.path)
        return stored

    def _batch_maker(
        self, examples: Examples, split: SplitName, preset: str
    ) -> Callable[..., tf.data.Dataset]:
        augmentation = self._source.make_augmentation(preset)

        def make_batches(view: int, chosen: np.ndarray | None = None) -> tf.data.Dataset:
            return make_view_dataset(
                examples,
                self._source.reader,
                view=view,
                chosen=chosen,
                batch_size=self._training.batch_size,
                cache=self._decoded.get(split),
                augmentation=augmentation,
                seed=self._training.seed,
            )

        return make_batches

    def _describe_origin(self, stored: Stored) -> str:
        if stored.was_cached:
            is_own = stored.path in self._computed
            return "stored by this run" if is_own else "stored by an earlier run"
        refused = stored.selected.refused
        return f"by {stored.engine}" + (f"; {refused}" if refused else "")
