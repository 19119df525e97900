"""What a model learns from texts without labels: to name hidden tokens, or the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from kft.modalities.text.input_spec import TextSpec

ASKED = "asked_ids"
"""Name of the ids that the model is to name, int32 (batch, tokens); -1 where it is not asked."""
_SHARE = 0.15
_NOT_ASKED = -1


@dataclass(frozen=True)
class HideTokens:
    """Asks for one token in seven, most of which are hidden.

    Of these, 8 of 10 become the unknown token, 1 another token at random, and 1 stays, so that
    what is read later, without hidden tokens, is not strange to the model.

    Attributes:
        spec: Input of the backbone.

    Source: Devlin et al., BERT, arXiv:1810.04805, section 3.1.
    """

    spec: TextSpec

    def __call__(self, decoded: Mapping[str, tf.Tensor], seeds: tf.Tensor) -> dict[str, tf.Tensor]:
        """Hide tokens of each text by its own seed; see `Augmentation`."""
        ids, mask = decoded["token_ids"], decoded["padding_mask"]
        length = tf.shape(ids)[1]
        draws = tf.map_fn(
            lambda seed: tf.random.stateless_uniform((3, length), seed),
            seeds,
            fn_output_signature=tf.float32,
        )
        chosen, kind, other = tf.unstack(draws, axis=1)
        is_asked = (chosen < _SHARE) & (mask > 0)
        for token in filter(None, (self.spec.start, self.spec.end)):
            is_asked &= ids != self.spec.vocabulary.index(token)
        unknown = self.spec.vocabulary.index(self.spec.unknown)
        random_ids = tf.cast(other * float(count_tokens(self.spec)), ids.dtype)
        hidden = tf.where(kind < 0.8, unknown, tf.where(kind < 0.9, random_ids, ids))
        return {
            "token_ids": tf.where(is_asked, hidden, ids),
            "padding_mask": mask,
            ASKED: tf.where(is_asked, ids, _NOT_ASKED),
        }


@dataclass(frozen=True)
class AskNext:
    """Asks for the next token at each token, for models that see only those before."""

    def __call__(self, decoded: Mapping[str, tf.Tensor], seeds: tf.Tensor) -> dict[str, tf.Tensor]:
        """Add the next ids; see `Augmentation`."""
        ids, mask = decoded["token_ids"], decoded["padding_mask"]
        following = tf.where(mask[:, 1:] > 0, ids[:, 1:], _NOT_ASKED)
        return {**decoded, ASKED: tf.pad(following, [[0, 0], [0, 1]], constant_values=_NOT_ASKED)}


def count_tokens(spec: TextSpec) -> int:
    """Number of different ids."""
    return len(spec.vocabulary) + spec.buckets
