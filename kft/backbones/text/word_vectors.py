"""Word vectors of a file, with an encoder of random weights on top."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from kft.backbones.crossings import feature_levels
from kft.backbones.partition import blocks_by_layer_names
from kft.backbones.record import Backbone
from kft.backbones.text.inputs import make_inputs, read_options
from kft.backbones.text.vector_files import WordVectors, read_word_vectors
from kft.config.schema import PRETRAINED, BackboneConfig
from kft.errors import BackboneError
from kft.modalities.text.input_spec import PADDING, UNKNOWN, TextSpec

_OPTIONS = {
    "encoder": ("mean", "cnn", "lstm"),
    # Of each width of the convolutions, and of each direction of the LSTM.
    "units": 100,
    # The rest of a file by frequency is hardly ever met: of sst2's words 20,000 cover 97 %.
    "max_words": 100_000,
}
_KERNELS = (3, 4, 5)


def load(config: BackboneConfig) -> Backbone:
    """Load `word_vectors`: the vectors of the file `backbone.weights`, and an encoder.

    The encoder `mean` adds nothing: the head averages the vectors. `cnn` has convolutions over
    3, 4 and 5 words, `lstm` one LSTM in each direction; they start from random weights. Both
    keep one vector per token.

    Raises:
        BackboneError: No file is given, it is damaged, or an option is not allowed.

    Source: Kim, Convolutional Neural Networks for Sentence Classification, arXiv:1408.5882, for
    the convolutions.
    """
    if config.weights in (PRETRAINED, "random"):
        raise BackboneError(
            "backbone.weights: word_vectors needs a file of word vectors, such as "
            "`backbone.weights=glove.6B.100d.txt`: GloVe's text, or word2vec's text or binary "
            "format."
        )
    options = read_options(config, _OPTIONS)
    path = Path(config.weights).expanduser()
    vectors = read_word_vectors(path, most_words=options["max_words"])
    model, names = _build(vectors, config.input_size, options)
    skipped = f", {vectors.num_skipped} entries skipped" if vectors.num_skipped else ""
    blocks = blocks_by_layer_names(model, names)
    return Backbone(
        name=config.name,
        model=model,
        input_spec=TextSpec(
            tokenizer="words",
            vocabulary=(PADDING, UNKNOWN, *vectors.words),
            max_tokens=config.input_size,
            lowercase=not vectors.is_cased,
            strip_accents=False,
        ),
        blocks=blocks,
        feature_levels=feature_levels(model, blocks),
        source=f"{len(vectors.words):,} word vectors of {path.name}{skipped}",
        licence="unknown",
        sha256=vectors.sha256,
    )


def _build(
    vectors: WordVectors, max_tokens: int | None, options: dict[str, Any]
) -> tuple[keras.Model, dict[str, list[str]]]:
    """The model from token ids and padding mask to one vector per token, and its blocks."""
    given = make_inputs(max_tokens)
    size = vectors.values.shape[1]
    # Padding and unknown words are zeros, as if they were not there.
    embedding = keras.layers.Embedding(len(vectors.words) + 2, size, name="word_embedding")
    x = embedding(given["token_ids"])
    table = embedding.embeddings
    table.assign(keras.ops.pad(vectors.values, [(2, 0), (0, 0)]))
    names = {"embeddings": ["word_embedding"]}
    if options["encoder"] == "cnn":
        x = _convolve(x, given["padding_mask"], options["units"], names.setdefault("encoder", []))
    elif options["encoder"] == "lstm":
        names["encoder"] = ["lstm"]
        lstm = keras.layers.LSTM(options["units"], return_sequences=True)
        is_token = keras.ops.cast(given["padding_mask"], "bool")
        x = keras.layers.Bidirectional(lstm, name="lstm")(x, mask=is_token)
    return keras.Model(given, x, name="word_vectors"), names


def _convolve(x: Any, padding_mask: Any, units: int, names: list[str]) -> Any:
    """Convolutions of several widths side by side; padding is zero at their ends."""
    mask = keras.ops.expand_dims(keras.ops.cast(padding_mask, x.dtype), -1)
    x = x * mask
    found = []
    for width in _KERNELS:
        names.append(f"convolution{width}")
        convolution = keras.layers.Conv1D(
            units, width, padding="same", activation="relu", name=names[-1]
        )
        found.append(convolution(x))
    return keras.layers.Concatenate(name="joined_convolutions")(found)
