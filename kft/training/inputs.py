"""What a phase is fitted on: pixels, or stored activations where its prefix is frozen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import keras
import tensorflow as tf

from kft.config import DataConfig, TrainingConfig
from kft.data import SPLIT_NAMES, Examples, SplitName, Splits
from kft.data.augmentation import make_augmentation
from kft.data.input_pipeline import make_dataset
from kft.data.pixels import Decoder, ExampleCache, make_pixel_cache, translate_read_errors
from kft.features import Cut, find_cut, load_or_extract
from kft.model import Assembled
from kft.strategies import Phase
from kft.training.progress import Display


@dataclass(frozen=True)
class PhaseInput:
    """What one phase is fitted on.

    Attributes:
        model: The whole model, or the part after the cut.
        train: Batches over all epochs of the phase.
        validation: Batches of the validation split, or None.
        computed_from: 'pixels', or the name of the cut whose activations are stored.
    """

    model: keras.Model
    train: tf.data.Dataset
    validation: tf.data.Dataset | None
    computed_from: str


class InputMaker:
    """Makes the inputs of every phase of a run, decoding each picture once.

    Args:
        assembled: The model whose phases are fitted.
        splits: Where the examples come from.
        decoder: Encoded bytes -> pixels.
        data: The pipeline's `data` section.
        training: The pipeline's `training` section.
        display: Shows what takes long.
    """

    def __init__(
        self,
        assembled: Assembled,
        splits: Splits,
        decoder: Decoder,
        *,
        data: DataConfig,
        training: TrainingConfig,
        display: Display,
    ) -> None:
        self._assembled = assembled
        self._splits = splits
        self._decoder = decoder
        self._data = data
        self._training = training
        self._display = display
        self._caches: dict[SplitName, ExampleCache | None] = {}

    @contextmanager
    def name_unreadable(self) -> Iterator[None]:
        """Around reading: a failure to decode becomes an error that names the files.

        Raises:
            DataError: Files changed after they were checked.
        """
        with ExitStack() as stack:
            for split in SPLIT_NAMES:
                stack.enter_context(translate_read_errors(self._splits.get(split), self._decoder))
            yield

    def for_phase(self, phase: Phase) -> PhaseInput:
        """The input of one phase, whose `trainable` flags are set already."""
        cut = None
        if phase.augmentation == "none":
            cut = find_cut(self._assembled, phase.trainable)
        if cut is not None:
            return self._from_activations(phase, cut)
        return PhaseInput(
            self._assembled.model,
            self._batches("train", self._pixel_cache("train"), phase),
            self.in_order("validation") if len(self._splits.validation) else None,
            "pixels",
        )

    def in_order(self, split: SplitName) -> tf.data.Dataset:
        """Batches of (pixels, targets) of a split, once and in order."""
        return make_dataset(
            self._splits.get(split),
            self._decoder,
            batch_size=self._training.global_batch_size,
            cache=self._pixel_cache(split),
        )

    def _from_activations(self, phase: Phase, cut: Cut) -> PhaseInput:
        kept: tuple[SplitName, ...] = ("train", "validation")
        stored = {
            split: self._load_activations(cut, split)
            for split in kept
            if len(self._splits.get(split))
        }
        validation = None
        if "validation" in stored:
            validation = make_dataset(
                self._splits.validation,
                self._decoder,
                batch_size=self._training.global_batch_size,
                cache=stored["validation"],
            )
        train = self._batches("train", stored["train"], phase)
        return PhaseInput(cut.suffix, train, validation, cut.name)

    def _load_activations(self, cut: Cut, split: SplitName) -> ExampleCache:
        examples = self._splits.get(split)
        with self._display.track(f"Features of {split}", len(examples)) as advance:
            stored = load_or_extract(
                cut,
                self._pixels_of(split),
                content_key=self._content_key(examples),
                num_examples=len(examples),
                progress=advance,
            )
            if stored.was_cached:
                advance(len(examples), note="(stored by an earlier run)")
        return ExampleCache(tf.constant(stored.activations))

    def _pixels_of(self, split: SplitName) -> Iterator[tf.Tensor]:
        """Batches of pixels in order; nothing is decoded before the first is asked for."""
        for pixels, _ in self.in_order(split):
            yield pixels

    def _batches(
        self, split: SplitName, cache: ExampleCache | None, phase: Phase
    ) -> tf.data.Dataset:
        seed = self._training.seed
        return make_dataset(
            self._splits.get(split),
            self._decoder,
            batch_size=self._training.global_batch_size,
            cache=cache,
            shuffle_seed=seed,
            epochs=phase.epochs,
            augmentation=make_augmentation(phase.augmentation),
            seed=seed,
        )

    def _pixel_cache(self, split: SplitName) -> ExampleCache | None:
        if split not in self._caches:
            examples = self._splits.get(split)
            with self._display.track(f"Decoding {split}", len(examples)) as advance:
                self._caches[split] = make_pixel_cache(
                    examples,
                    self._decoder,
                    mode=self._data.cache,
                    megabytes=self._data.cache_megabytes,
                    progress=advance,
                )
        return self._caches[split]

    def _content_key(self, examples: Examples) -> str:
        """Digest of what decides the pixels of these examples, in this order."""
        digest = hashlib.sha256(f"{self._splits.fingerprint}\n{self._decoder!r}\n".encode())
        for example_id in examples.ids:
            digest.update(f"{example_id}\n".encode())
        return digest.hexdigest()
