"""What a phase is fitted on: pixels, or stored activations where its prefix is frozen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kft import __version__
from kft.config import DataConfig, FeaturesConfig, TrainingConfig
from kft.data.batches.decoded import (
    describe_decoding,
    make_decoded_cache,
    translate_read_errors,
)
from kft.data.batches.example_cache import Cache, ExampleCache, JoinedCache
from kft.data.batches.mixing import Mixing
from kft.data.batches.pipeline import make_dataset, make_view_dataset, num_steps_per_epoch
from kft.data.batches.service import DataService
from kft.data.batches.shares import WHOLE, Share
from kft.display import Display
from kft.examples import SPLIT_NAMES, Examples, SplitName, Splits
from kft.features import (
    Cut,
    Forward,
    Stored,
    Together,
    find_cut,
    limit_bytes,
    load_or_extract,
)
from kft.feeding.frozen_prefix import count_views, find_stored_cut
from kft.feeding.phase_input import PhaseInput, Validation
from kft.modalities import Augmentation, Decoder, load_modality
from kft.model import Assembled
from kft.runs.arrays import join_mapped
from kft.strategies import Phase
from kft.workers import ALONE, Workers


class InputMaker:
    """Makes the inputs of every phase of a run, decoding no picture more often than it must.

    Args:
        assembled: The model whose phases are fitted.
        splits: Where the examples come from.
        decoder: Encoded bytes -> pixels.
        phases: That will be asked for; they decide whether pixels are worth keeping.
        data: The pipeline's `data` section.
        features: The pipeline's `features` section.
        training: The pipeline's `training` section.
        display: Shows what takes long.
        share: This process's part of the batches that phases are fitted on.
        workers: All processes that fit them.
    """

    def __init__(
        self,
        assembled: Assembled,
        splits: Splits,
        decoder: Decoder,
        *,
        phases: Sequence[Phase],
        data: DataConfig,
        features: FeaturesConfig,
        training: TrainingConfig,
        display: Display,
        share: Share = WHOLE,
        workers: Workers = ALONE,
    ) -> None:
        self._share = share
        self._workers = workers
        self._assembled = assembled
        self._splits = splits.map_targets(assembled.head.standardise)
        self._decoder = decoder
        self._modality = load_modality(splits.modality)
        self._data = data
        self._features = features
        self._training = training
        self._display = display
        self._service: DataService | None = None
        if data.service is not None:
            self._service = DataService(data.service)
        self._caches: dict[SplitName, ExampleCache | None] = {}
        # Entries whose memory maps were handed out, and those that this run computed.
        self._held: list[Stored] = []
        self._computed: set[Path] = set()
        # Of the phase that was last asked for; None where it starts from pixels.
        self._cut: Cut | None = None
        self._parts: tuple[Forward, keras.Model] | None = None
        variants = [variant for phase in phases for variant in phase.candidates or (phase,)]
        cuts = {self._find_plain_cut(variant) for variant in variants}
        # One reading of each picture: it goes from its file through the prefix, and is not kept.
        self._is_streamed = data.cache == "auto" and len(cuts) <= 1 and None not in cuts

    @contextmanager
    def name_unreadable(self) -> Iterator[None]:
        """Around reading: a failure to decode becomes an error that names the files.

        Raises:
            DataError: Files changed after they were checked.
            ServiceError: The tf.data service lost a batch, or failed to make one.
        """
        service = self._service
        with self._name_files() if service is None else service.translate_errors(self._name_files):
            yield

    @contextmanager
    def _name_files(self) -> Iterator[None]:
        with ExitStack() as stack:
            for split in SPLIT_NAMES:
                stack.enter_context(translate_read_errors(self._splits.get(split), self._decoder))
            yield

    def decode_everything(self, splits: Iterable[SplitName] = SPLIT_NAMES) -> None:
        """Decode splits now, where a phase trains from pixels.

        A picture that does not decode then ends the run before its first
        step, and not when the holdout is judged.

        Args:
            splits: That will be read.
        """
        if not self._is_streamed:
            for split in splits:
                self._pixel_cache(split)

    def for_phase(self, phase: Phase) -> PhaseInput:
        """The input of one phase, whose `trainable` flags are set already."""
        cut = self._find_cut(phase, say=self._display.stage)
        if cut is not None:
            return self._from_activations(phase, self._keep(cut))
        self._cut = self._parts = None
        return PhaseInput(
            self._assembled.model,
            self._batches(
                phase,
                _join([self._pixel_cache(split) for split in phase.learns_from]),
                self._modality.make_augmentation(phase.augmentation),
            ),
            self._validation(phase, self._pixel_cache("validation")),
            "pixels",
        )

    def find_parts(self) -> tuple[Forward, keras.Model] | None:
        """The frozen prefix of the last phase, and what follows it; None where there was none.

        The prefix was traced for its features, and holds no layers that the phase changed: the
        whole model need not trace it again.
        """
        return self._parts

    def examples(self, phase: Phase) -> Examples:
        """What a phase learns from."""
        return self._splits.join(phase.learns_from)

    def vectors(self, phase: Phase) -> np.ndarray:
        """Feature vectors (examples, features) of what a phase learns from, memory-mapped.

        Their files stay as long as this value lives.

        Args:
            phase: One that trains a head alone, on pictures as they are.
        """
        cut = find_cut(self._assembled, phase.trainable)
        assert cut is not None
        cut = self._keep(cut)
        found: list[Stored] = []
        for split in phase.learns_from:
            like = found[0] if found else None
            found.append(self._load_activations(cut, split, phase, like=like))
        self._held += found
        vectors = [stored.activations[0] for stored in found]
        if len(vectors) == 1:
            return vectors[0]
        return join_mapped(vectors, room="features", limit_bytes=limit_bytes(self._features))

    def in_order(self, split: SplitName) -> tf.data.Dataset:
        """Batches of (pixels, targets) of a split, once and in order."""
        return make_dataset(
            self._splits.get(split),
            self._decoder,
            batch_size=self._training.batch_size,
            cache=self._pixel_cache(split),
        )

    def _validation(self, phase: Phase, cache: ExampleCache | None) -> Validation | None:
        examples, batch_size = self._splits.validation, self._training.batch_size
        if not len(examples) or "validation" in phase.learns_from:
            return None
        in_order, own = (
            make_dataset(
                examples,
                self._decoder,
                batch_size=batch_size,
                cache=cache,
                share=share,
            )
            for share in (WHOLE, self._share)
        )
        return Validation(in_order, own, num_steps_per_epoch(len(examples), batch_size))

    def _find_plain_cut(self, phase: Phase) -> str | None:
        """Name of the cut where a phase has pictures stored as they are, if it has."""
        cut = self._find_cut(phase) if phase.augmentation == "none" else None
        return cut.name if cut is not None else None

    def _find_cut(self, phase: Phase, say: Callable[[str], None] | None = None) -> Cut | None:
        cut = find_stored_cut(
            self._assembled,
            phase,
            self._features,
            num_train=len(self._splits.train),
            num_validation=len(self._splits.validation),
            in_parts=self._workers.count > 1,
            say=say,
        )
        # Whether there is room, the disks of several workers may say differently.
        if not self._workers.ask_chief(lambda: cut is not None):
            return None
        return cut or find_cut(self._assembled, phase.trainable)

    def _keep(self, cut: Cut) -> Cut:
        """That of the last phase if it is the same: what was traced of it serves on."""
        if self._cut is None or self._cut.name != cut.name:
            self._cut = cut
        return self._cut

    def _from_activations(self, phase: Phase, cut: Cut) -> PhaseInput:
        stored = self._load_activations(cut, "train", phase)
        caches = {"train": ExampleCache(stored.activations, entry=stored)}
        validation = None
        if len(self._splits.validation):
            of_validation = self._load_activations(cut, "validation", phase, like=stored)
            caches["validation"] = ExampleCache(of_validation.activations, entry=of_validation)
            validation = self._validation(phase, caches["validation"])
        learnt = _join([caches[split] for split in phase.learns_from])
        return PhaseInput(cut.suffix, self._batches(phase, learnt, None), validation, cut.name)

    def _load_activations(
        self, cut: Cut, split: SplitName, phase: Phase, *, like: Stored | None = None
    ) -> Stored:
        examples = self._splits.get(split)
        # What is judged is judged on pictures as they are.
        is_learnt = split in phase.learns_from
        preset = phase.augmentation if is_learnt else "none"
        num_views = count_views(phase, self._features) if is_learnt else 1
        augmentation = self._modality.make_augmentation(preset)
        if self._service is not None and like is None:
            self._display.stage("  data.service makes no features: this run reads their pictures")

        def make_batches(view: int, chosen: np.ndarray | None = None) -> tf.data.Dataset:
            return make_view_dataset(
                examples,
                self._decoder,
                view=view,
                chosen=chosen,
                batch_size=self._training.batch_size,
                cache=self._pixel_cache(split),
                augmentation=augmentation,
                seed=self._training.seed,
            )

        is_shared = self._workers.count > 1
        together = Together(self._workers, make_batches) if is_shared else None
        title = f"Features of {split}" + (f", {num_views} views" if num_views > 1 else "")
        with self._display.track(title, num_views * len(examples)) as advance:
            stored = load_or_extract(
                cut,
                make_batches,
                content_key=self._content_key(examples, preset),
                num_examples=len(examples),
                num_views=num_views,
                config=self._features,
                like=like,
                progress=advance,
                on_wait=lambda: self._display.stage("  another process is computing them; waiting"),
                together=together,
            )
            refused = stored.selected.refused
            note = f"by {stored.engine}" + (f"; {refused}" if refused else "")
            if stored.was_cached:
                is_own = stored.path in self._computed
                note = "stored by this run" if is_own else "stored by an earlier run"
            self._computed.add(stored.path)
            self._parts = stored.selected.forward, cut.suffix
            done = num_views * len(examples)
            advance(done, note=f"({note})")
        return stored

    def _batches(
        self, phase: Phase, cache: Cache | None, augmentation: Augmentation | None
    ) -> Callable[[int], tf.data.Dataset]:
        seed, mixing = self._training.seed, self._mixing(phase)
        examples = self.examples(phase)

        def start_at(step: int) -> tf.data.Dataset:
            return make_dataset(
                examples,
                self._decoder,
                batch_size=self._training.batch_size,
                cache=cache,
                shuffle_seed=seed,
                sampling=self._training.sampling,
                epochs=phase.epochs,
                start_step=step,
                augmentation=augmentation,
                mixing=mixing,
                seed=seed,
                share=self._share,
                service=self._service if cache is None else None,
            )

        return start_at

    def _mixing(self, phase: Phase) -> Mixing | None:
        mixup = self._training.mixup if phase.mixup is None else phase.mixup
        if not mixup and not self._training.cutmix:
            return None
        return Mixing(len(self._splits.class_names), mixup=mixup, cutmix=self._training.cutmix)

    def _pixel_cache(self, split: SplitName) -> ExampleCache | None:
        examples = self._splits.get(split)
        # What data workers decode, this process need not keep.
        is_served = split == "train" and self._service is not None
        if self._is_streamed or is_served or not len(examples):
            return None
        if split not in self._caches:
            share = len(examples) / sum(len(self._splits.get(name)) for name in SPLIT_NAMES)
            with self._display.track(f"Decoding {split}", len(examples)) as advance:
                self._caches[split] = make_decoded_cache(
                    examples,
                    self._decoder,
                    mode=self._data.cache,
                    megabytes=share * self._data.cache_megabytes,
                    content_key=self._content_key(examples, "none"),
                    limit_gigabytes=self._features.limit_gigabytes,
                    progress=advance,
                    on_wait=lambda: self._display.stage(
                        "  another process is decoding them; waiting"
                    ),
                )
                if self._caches[split] is None:
                    advance(len(examples), note="(no room to keep them: decoded when needed)")
        return self._caches[split]

    def _content_key(self, examples: Examples, preset: str) -> str:
        """Digest of what decides the pixels of these examples, in this order."""
        # What a preset draws may change with kft.
        drawn = "" if preset == "none" else f"{preset} {self._training.seed} {__version__}"
        decoded = describe_decoding(self._decoder, self._modality, self._data)
        digest = hashlib.sha256(f"{self._splits.fingerprint}\n{decoded}\n{drawn}\n".encode())
        for example_id in examples.ids:
            digest.update(f"{example_id}\n".encode())
        return digest.hexdigest()


def _join(caches: Sequence[ExampleCache | None]) -> Cache | None:
    """One cache of them all; None where some are read from files."""
    kept = [cache for cache in caches if cache is not None]
    if len(kept) < len(caches):
        return None
    return kept[0] if len(kept) == 1 else JoinedCache(kept)
