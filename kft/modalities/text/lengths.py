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
_BATCH_SIZE = 32


def fit_length(spec: TextSpec, examples: Examples) -> TextSpec:
    """Choose the number of tokens if the spec has none, and say how much of the texts it covers.

    The number is that of the tokens that 95 of 100 texts need, or of the positions of the backbone
    if it has fewer.

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
    length = spec.max_tokens
    if length is None:
        needed = int(np.percentile(counts, _PERCENTILE, method="inverted_cdf"))
        length = -(-needed // _MULTIPLE) * _MULTIPLE
        length = min(length, spec.longest or length)
    whole = float((counts <= length).mean())
    lost = float(np.maximum(counts - length, 0).sum() / counts.sum())
    coverage = f"{whole:.1%} of the training texts are whole, {lost:.1%} of their tokens are cut"
    read = np.minimum(counts, length)
    if spec.may_shorten:
        coverage += (
            f"; {1 - read.mean() / length:.0%} would be padding, {measure_padding(read):.0%} in "
            "batches by length"
        )
    return replace(spec, max_tokens=length, coverage=coverage)


def measure_padding(counts: np.ndarray) -> float:
    """Measure the share of padding in batches of 32 texts of similar length.

    Args:
        counts: Tokens that are read of each text, int (texts,).
    """
    batches = np.array_split(np.sort(counts), -(-len(counts) // _BATCH_SIZE))
    widths = np.array([-(-int(batch[-1]) // _MULTIPLE) * _MULTIPLE for batch in batches])
    return 1.0 - float(counts.sum() / (widths @ np.array([len(batch) for batch in batches])))


def count_tokens(spec: TextSpec, texts: Sequence[bytes]) -> np.ndarray:
    """Number of tokens of each whole text, special ones included, int32 (texts,)."""
    decoder = TextDecoder(spec)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None,), tf.string)])
    def count(batch: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(decoder.count, batch, fn_output_signature=tf.TensorSpec((), tf.int32))

    counted: np.ndarray = count(tf.constant(list(texts), tf.string)).numpy()
    return counted
