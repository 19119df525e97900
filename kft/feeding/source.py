"""Source of a run's examples, with the settings that decide how they are decoded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property

from kft.config import DataConfig
from kft.data.batches.decoded import describe_decoding
from kft.data.batches.reading import pair_decoder, translate_read_errors
from kft.examples import SPLIT_NAMES, Examples, Splits
from kft.modalities import Augmentation, Decoder, Modality, load_modality


@dataclass(frozen=True)
class Source:
    """Examples and their decoder.

    Attributes:
        splits: Examples of each split.
        decoder: Decoder of the files.
        config: The pipeline's `data` section.
    """

    splits: Splits
    decoder: Decoder
    config: DataConfig

    @property
    def modality(self) -> Modality:
        """Modality of the examples."""
        return load_modality(self.splits.modality)

    def make_augmentation(self, preset: str) -> Augmentation | None:
        """Make the augmentation of a preset under the settings; None if it changes nothing."""
        return self.modality.make_augmentation(preset, self.modality.settings_of(self.config))

    @cached_property
    def reader(self) -> Decoder:
        """Decoder of the files, with their dense targets if the task has such."""
        return pair_decoder(self.decoder, self.splits.task, self.splits.train)

    def content_key(self, examples: Examples, drawn: str = "") -> str:
        """Compute a digest of everything that decides these decoded examples, in this order.

        Args:
            examples: Examples of this source.
            drawn: Description of the augmentation; empty if there is none.
        """
        decoded = describe_decoding(self.decoder, self.modality, self.config)
        digest = hashlib.sha256(f"{self.splits.fingerprint}\n{decoded}\n{drawn}\n".encode())
        for example_id in examples.ids:
            digest.update(f"{example_id}\n".encode())
        return digest.hexdigest()

    @contextmanager
    def name_unreadable(self) -> Iterator[None]:
        """Translate failures to decode, while reading, into an error that names the files.

        Raises:
            DataError: Files changed after they were checked.
        """
        with ExitStack() as stack:
            for split in SPLIT_NAMES:
                stack.enter_context(translate_read_errors(self.splits.get(split), self.reader))
            yield
