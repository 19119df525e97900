"""Texts as a modality: the one place that the rest of kft reaches them by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from kft.config import TextConfig
from kft.errors import ConfigError
from kft.examples import Examples
from kft.findings import Finding
from kft.modalities.audit_records import Fact, Measure, Property
from kft.modalities.base import Modality
from kft.modalities.checked import CheckOptions, FileContent, UnusableError
from kft.modalities.corruptions import Corruption
from kft.modalities.explained import ExplainedExample
from kft.modalities.model_input import Baseline, Decoder
from kft.modalities.text import baseline, traits
from kft.modalities.text.input_spec import TextSpec
from kft.modalities.text.inspection import CheckedText, check_text
from kft.modalities.text.quality import find_poor
from kft.modalities.text.words import weigh_words
from kft.registry import Registry

# UTF-8 has at most so many bytes per character.
_BYTES_PER_CHARACTER = 4
# Tokens of a text in a benchmark.
_USUAL_TOKENS = 64
# Words that the description of an explanation names.
_MOST_WORDS = 3


class TextModality(Modality):
    """Texts: sentences, messages, reviews, articles."""

    name = "text"
    noun = "text"
    nouns = "texts"
    settings = TextConfig
    input_spec = TextSpec
    default_backbone = "minilm_l3"
    endings = (".txt", ".text")
    value_columns = ("text", "sentence", "review", "comment", "message", "content", "body")
    values = "a string, or the pathlib.Path of a file or folder"
    record_features: ClassVar[dict[str, str]] = {
        "tfrecord": "text",
        "tfrecord_label": "label",
        "tfds": "text",
    }
    augmentations = Registry(
        "augmentation",
        {
            "none": "kft.modalities.model_input:make_no_augmentation",
            "word_dropout": "kft.modalities.text.augmentation:make_word_dropout",
        },
    )
    reading_settings = frozenset({"max_characters"})
    baselines: ClassVar[dict[str, Baseline]] = {baseline.NAME: baseline.answer_by_word_counts}
    # Of 64. Measured: messages of one template with other numbers, and none of 9,602 sentences of
    # film reviews. At 8 'a small movie with a big heart' is taken for '… with a big impact'.
    most_different_bits = 6

    def encode_feature(self, feature: Any) -> Callable[[Any], bytes]:
        """See `Modality`: a text is UTF-8 already."""
        import tensorflow_datasets as tfds

        if not isinstance(feature, tfds.features.Text):
            raise UnusableError("Expected a Text.")
        return bytes

    def encode_value(self, value: Any) -> tuple[bytes] | None:
        """See `Modality`; half of a surrogate pair is refused by the check, which says where."""
        return (value.encode("utf-8", "surrogatepass"),) if isinstance(value, str) else None

    def refuse_early(self, start: bytes, size: int, settings: TextConfig) -> None:
        """See `Modality`: what is too long for a text."""
        super().refuse_early(start, size, settings)
        if size > _BYTES_PER_CHARACTER * settings.max_characters:
            raise UnusableError(
                f"{size / 1e6:,.0f} MB; at most {settings.max_characters:,} characters are read "
                "(data.text.max_characters)"
            )

    def check(self, file: FileContent, settings: TextConfig, options: CheckOptions) -> CheckedText:
        """See `Modality`."""
        return check_text(file, settings, options)

    def find_poor(self, checked: Sequence[CheckedText]) -> tuple[Finding, ...]:
        """See `Modality`."""
        return find_poor(checked)

    def list_properties(self, checked: Sequence[CheckedText]) -> tuple[Property, ...]:
        """See `Modality`."""
        return traits.list_properties(checked)

    def list_measures(self, checked: Sequence[CheckedText]) -> tuple[Measure, ...]:
        """See `Modality`."""
        return traits.list_measures(checked)

    def name_kinds(self, checked: Sequence[CheckedText]) -> tuple[str, ...]:
        """See `Modality`."""
        return traits.name_kinds(checked)

    def summarise(self, checked: Sequence[CheckedText]) -> tuple[Fact, ...]:
        """See `Modality`."""
        return traits.summarise(checked)

    def summarise_group(self, checked: Sequence[CheckedText]) -> tuple[Fact, ...]:
        """See `Modality`."""
        return traits.summarise_group(checked)

    def fit_spec(self, spec: TextSpec, settings: TextConfig, examples: Examples) -> TextSpec:
        """See `Modality`: the number of tokens, as set, or by the lengths of the training texts.

        Raises:
            ConfigError: The backbone has no positions for so many tokens, or reads another number.
        """
        from kft.modalities.text.lengths import fit_length

        wanted = settings.max_tokens
        if wanted == "auto":
            return fit_length(spec, examples)
        if spec.max_tokens not in (None, wanted):
            raise ConfigError(
                f"data.text.max_tokens: {wanted:,}, but the backbone reads {spec.max_tokens:,} "
                "tokens (backbone.input_size)."
            )
        if spec.longest is not None and wanted > spec.longest:
            raise ConfigError(
                f"data.text.max_tokens: {wanted:,}, but the backbone has positions for "
                f"{spec.longest:,} tokens."
            )
        return fit_length(replace(spec, max_tokens=wanted), examples)

    def suppose_spec(self, spec: TextSpec, settings: TextConfig) -> TextSpec:
        """See `Modality`: the number of tokens as set, or else that of two sentences."""
        wanted = _USUAL_TOKENS if settings.max_tokens == "auto" else settings.max_tokens
        usual = min(wanted, spec.longest or wanted)
        return replace(spec, max_tokens=spec.max_tokens or usual)

    def make_decoder(self, spec: TextSpec, settings: TextConfig, calibrated: Any = None) -> Decoder:
        """See `Modality`."""
        from kft.modalities.text.decoding import TextDecoder

        return TextDecoder(spec)

    def list_corruptions(self) -> tuple[Corruption, ...]:
        """See `Modality`."""
        from kft.modalities.text.corruptions import CORRUPTIONS

        return CORRUPTIONS

    def draw_explanation(
        self, spec: TextSpec, example: ExplainedExample, values: np.ndarray
    ) -> bytes:
        """See `Modality`: the words of the text."""
        from kft.modalities.text.overlays import draw_words

        return draw_words(*weigh_words(spec, example, values))

    def describe_explanation(
        self, spec: TextSpec, example: ExplainedExample, values: np.ndarray
    ) -> str:
        """See `Modality`: the words that say most for the answer."""
        words, weights = weigh_words(spec, example, values)
        best = [place for place in np.argsort(-weights)[:_MOST_WORDS] if weights[place] > 0]
        return f"most: {', '.join(words[place] for place in best) or 'no word'}"
