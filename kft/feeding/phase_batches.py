"""Batches of a phase, for training and validation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import tensorflow as tf

from kft.config import TrainingConfig
from kft.data.batches.example_cache import Cache, ExampleCache
from kft.data.batches.mixing import Mixing
from kft.data.batches.pipeline import TargetReader, make_dataset, num_steps_per_epoch
from kft.data.batches.service import DataService
from kft.data.batches.shares import Share
from kft.feeding.phase_input import Validation
from kft.feeding.source import Source
from kft.strategies import Phase


class PhaseBatches:
    """Maker of batches, from decoded examples or from stored activations.

    Args:
        source: Source of the examples, with standardised targets.
        training: The pipeline's `training` section.
        share: This process's share of the training batches.
        service: Service that makes the batches; None for this process.
    """

    def __init__(
        self,
        source: Source,
        training: TrainingConfig,
        share: Share,
        service: DataService | None,
    ) -> None:
        self._source = source
        self._training = training
        self._share = share
        self._service = service

    def train(
        self,
        phase: Phase,
        cache: Cache | None,
        *,
        by_length: bool,
        preset: str = "none",
        find_targets: TargetReader | None = None,
        rows: np.ndarray | None = None,
    ) -> Callable[[int], tf.data.Dataset]:
        """Make a function from the first step to the batches of a phase, of some examples or all.

        Stored activations are augmented already, so their preset is 'none'.
        """
        seed, mixing, examples = (
            self._training.seed,
            self._mixing(phase),
            self._source.splits.join(phase.learns_from),
        )
        examples = examples if rows is None else examples.take(rows)
        augmentation = self._source.make_augmentation(preset)

        def start_at(step: int) -> tf.data.Dataset:
            return make_dataset(
                examples,
                self._source.reader,
                batch_size=self._training.batch_size,
                cache=cache,
                shuffle_seed=seed,
                sampling=self._training.sampling,
                epochs=phase.fit.epochs,
                start_step=step,
                end_step=None if rows is None else phase.fit.steps,
                augmentation=augmentation,
                mixing=mixing,
                seed=seed,
                share=self._share,
                service=self._service if cache is None else None,
                by_length=by_length,
                find_targets=find_targets,
            )

        return start_at

    def validation(
        self,
        phase: Phase,
        cache: ExampleCache | None,
        *,
        by_length: bool,
        find_targets: TargetReader | None = None,
    ) -> Validation | None:
        """Make the batches of validation; None if it is empty or the phase trains on it."""
        examples, batch_size = self._source.splits.validation, self._training.batch_size
        if not len(examples) or "validation" in phase.learns_from:
            return None
        make = partial(
            make_dataset,
            examples,
            self._source.reader,
            batch_size=batch_size,
            cache=cache,
            find_targets=find_targets,
        )
        # Whoever asks for all batches knows the model by its one length.
        in_order, own = make(), make(share=self._share, by_length=by_length)
        return Validation(in_order, own, num_steps_per_epoch(len(examples), batch_size))

    def _mixing(self, phase: Phase) -> Mixing | None:
        mixup = self._training.mixup if phase.fit.mixup is None else phase.fit.mixup
        if not mixup and not self._training.cutmix:
            return None
        num_classes = len(self._source.splits.class_names)
        return Mixing(num_classes, mixup=mixup, cutmix=self._training.cutmix)
