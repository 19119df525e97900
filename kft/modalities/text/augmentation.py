"""Random changes of training texts, as a pure function of (seed, epoch, example)."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

_RATE = 0.1


@dataclass(frozen=True)
class TokenDropout:
    """Hides tokens from the attention of the model and from the mean of its outputs.

    The padding mask of a hidden token is 0, whatever the tokenizer. The first token of a text,
    which is `[CLS]` for BERT, always stays.

    Attributes:
        rate: Share of the tokens.

    Source: Iyyer et al., Deep Unordered Composition Rivals Syntactic Methods, ACL 2015.
    """

    rate: float

    def __call__(self, decoded: dict[str, tf.Tensor], seeds: tf.Tensor) -> dict[str, tf.Tensor]:
        """Hide tokens of each text by its own seed.

        Args:
            decoded: `token_ids` and `padding_mask`, int32 (batch, tokens).
            seeds: int32 (batch, 2).

        Returns:
            The same ids, and another mask.
        """
        mask = decoded["padding_mask"]
        length = tf.shape(mask)[1]
        draws = tf.map_fn(
            lambda seed: tf.random.stateless_uniform((length,), seed),
            seeds,
            fn_output_signature=tf.float32,
        )
        is_kept = (draws >= self.rate) | (tf.range(length) == 0)
        return decoded | {"padding_mask": mask * tf.cast(is_kept, mask.dtype)}


def make_word_dropout() -> TokenDropout:
    """One token in ten is hidden."""
    return TokenDropout(_RATE)
