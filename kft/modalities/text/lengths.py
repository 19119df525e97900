"""The number of tokens that a model reads, by the texts that it is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from kft.examples import Examples, Values
from kft.modalities.text.decoding import TextDecoder
from kft.modalities.text.input_spec import TextSpec

_PERCENTILE = 95
# A percentile of more texts would hardly differ.
_MOST_TEXTS = 2_000
# Sizes that vector units like.
_MULTIPLE = 8


def choose_length(spec: TextSpec, examples: Examples) -> TextSpec:
    """The spec with as many tokens as 95 of 100 texts need, if the backbone has positions for them.

    Args:
        spec: Spec of the backbone.
        examples: Training texts; of more than 2,000, evenly chosen ones are looked at.
    """
    chosen = np.linspace(0, len(examples) - 1, min(len(examples), _MOST_TEXTS)).astype(int)
    inputs = examples.inputs.take(chosen)
    texts = (
        inputs.contents
        if isinstance(inputs, Values)
        else [Path(path).read_bytes() for path in inputs.paths]
    )
    counts = count_tokens(spec, texts)
    needed = int(np.percentile(counts, _PERCENTILE, method="inverted_cdf"))
    length = -(-needed // _MULTIPLE) * _MULTIPLE
    return replace(spec, max_tokens=min(length, spec.longest or length))


def count_tokens(spec: TextSpec, texts: Sequence[bytes]) -> np.ndarray:
    """Number of tokens of each whole text, special ones included, int32 (texts,)."""
    decoder = TextDecoder(spec)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None,), tf.string)])
    def count(batch: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(decoder.count, batch, fn_output_signature=tf.TensorSpec((), tf.int32))

    counted: np.ndarray = count(tf.constant(list(texts), tf.string)).numpy()
    return counted
