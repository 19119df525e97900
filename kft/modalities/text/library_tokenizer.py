"""Tokenizers of KerasHub over SentencePiece, whose graphs need TensorFlow Text."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import tensorflow as tf

from kft.errors import BackboneError


class LibraryTokenizer:
    """A tokenizer of KerasHub in the graph.

    Args:
        kind: Class in `keras_hub.tokenizers`, such as `AlbertTokenizer`.
        proto: Its SentencePiece model, in base64.

    Raises:
        BackboneError: KerasHub is not installed.
    """

    def __init__(self, kind: str, proto: str) -> None:
        try:
            import keras_hub
        except ImportError as error:
            raise BackboneError(
                f"this model's {kind} needs KerasHub, which cannot be imported ({error}). Install "
                "it with `pip install 'kft[hub]'`."
            ) from error
        with tf.init_scope():
            self._tokenizer = getattr(keras_hub.tokenizers, kind)(proto=base64.b64decode(proto))

    def find(self, text: tf.Tensor) -> tf.Tensor:
        """Ids of a text's tokens, int32 (tokens,); bytes that are not UTF-8 are dropped."""
        whole = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="ignore")
        with self._model_in_graph():
            return tf.cast(self._tokenizer(whole), tf.int32)

    @contextmanager
    def _model_in_graph(self) -> Iterator[None]:
        """Make the SentencePiece model an op of the graph that is traced.

        TensorFlow Text makes it outside, in a kernel that owns it: whatever empties TensorFlow's
        caches, such as a new global seed, would free it.
        """
        model = self._tokenizer._sentence_piece._model_resource
        kept = model._resource_handle
        model._resource_handle = model._create_resource()
        try:
            yield
        finally:
            model._resource_handle = kept

    @property
    def resource(self) -> Any:
        """What an export holds: the SentencePiece model."""
        return self._tokenizer._sentence_piece


@cache
def load_library_tokenizer(kind: str, proto: str) -> LibraryTokenizer:
    """The tokenizer, made once in a process."""
    return LibraryTokenizer(kind, proto)
