"""A SavedModel that makes token ids of strings, as those of TF Hub do."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

import tensorflow as tf

from kft.errors import BackboneError, first_line

IDS, MASK = "input_word_ids", "input_mask"
"""Names of its outputs, and of the inputs of an encoder."""


class ModuleTokenizer:
    """A preprocessor of TF Hub in the graph.

    Args:
        folder: The SavedModel.

    Attributes:
        length: Number of tokens that it gives, padding included.
        packages: Packages whose ops its graph uses.

    Raises:
        BackboneError: It cannot be loaded, or does not make token ids of strings.
    """

    def __init__(self, folder: str) -> None:
        # Registers the ops of most preprocessors, where it is installed.
        with suppress(ImportError):
            __import__("tensorflow_text")
        try:
            with tf.init_scope():
                self._module = tf.saved_model.load(folder)
            graph = tf.function(self._module, autograph=False).get_concrete_function(
                tf.TensorSpec((None,), tf.string)
            )
            outputs = graph.structured_outputs
            self.length = int(outputs[IDS].shape[1])
            assert outputs[MASK].shape[1] == self.length
        except Exception as error:  # files, protocol buffers and TensorFlow each raise their own
            raise BackboneError(
                f"backbone.options.preprocessor: {folder} does not make {IDS} and {MASK} (batch, "
                f"tokens) of strings: {first_line(error)} If its ops are unknown, `pip install "
                "tensorflow-text`."
            ) from error
        definition = graph.graph.as_graph_def()
        functions = definition.library.function
        nodes = [*definition.node, *(node for each in functions for node in each.node_def)]
        names = {each.signature.name for each in functions}
        is_core = all(hasattr(tf.raw_ops, node.op) or node.op in names for node in nodes)
        self.packages: tuple[str, ...] = () if is_core else ("tensorflow-text",)

    def find(self, text: tf.Tensor) -> tf.Tensor:
        """Ids of a text, special ones included, int32 (tokens,); the first `length` at most."""
        whole = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="ignore")
        outputs = self._module(whole[tf.newaxis])
        return tf.boolean_mask(tf.cast(outputs[IDS], tf.int32)[0], outputs[MASK][0] > 0)

    @property
    def resource(self) -> Any:
        """What an export must hold, such as the tables of the vocabulary."""
        return self._module


@cache
def load_module_tokenizer(folder: str) -> ModuleTokenizer:
    """The tokenizer, loaded once in a process."""
    return ModuleTokenizer(folder)
