"""The model of pretraining: a backbone, and a layer that names tokens by its vectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kft.backbones.record import Backbone
from kft.modalities.model_input import PADDING_MASK, Augmentation
from kft.modalities.text.input_spec import TextSpec
from kft.modalities.text.language import ASKED, AskNext, HideTokens, count_tokens

_CLIP_NORM = 1.0
_WEIGHT_DECAY = 0.01
_WARMUP_SHARE = 0.1
_PROBED_TOKENS = 8


class Judged(NamedTuple):
    """Judgement of the named tokens.

    Attributes:
        loss: Mean cross-entropy of a token in nats.
        accuracy: Share of the tokens that are named right.
        commonest: Share of the most frequent token, which is right without reading.
        asked: Number of tokens.
    """

    loss: float
    accuracy: float
    commonest: float
    asked: int

    @property
    def perplexity(self) -> float:
        """Number of tokens among which a guess would be as hard."""
        return float(np.exp(self.loss))


def is_causal(backbone: Backbone) -> bool:
    """Tell whether vectors depend only on the tokens up to theirs, by changing the last one."""
    ids = np.full((2, _PROBED_TOKENS), 1, np.int32)
    ids[1, -1] = 0
    states = backbone.model({"token_ids": ids, PADDING_MASK: np.ones_like(ids)}).numpy()
    return bool(np.allclose(states[0, :-1], states[1, :-1], rtol=0, atol=1e-6))


def choose_task(backbone: Backbone) -> tuple[str, Augmentation]:
    """Choose what the backbone learns: its name, and what makes questions of decoded texts."""
    spec = backbone.input_spec
    assert isinstance(spec, TextSpec)
    if is_causal(backbone):
        return "the next token", AskNext()
    return "hidden tokens", HideTokens(spec)


class Learner:
    """A backbone that learns to name tokens.

    Args:
        backbone: The backbone, all of which is trained.
        learning_rate: Peak of the rate, after a warmup of a tenth of the steps; it falls to zero
            along half a cosine.
        steps: Number of steps in all.
    """

    def __init__(self, backbone: Backbone, *, learning_rate: float, steps: int) -> None:
        spec = backbone.input_spec
        assert isinstance(spec, TextSpec)
        self._model = backbone.model
        self._names = keras.layers.Dense(count_tokens(spec), dtype="float32", name="token_names")
        self._names.build(self._model.output.shape)
        warmup = int(_WARMUP_SHARE * steps)
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0, max(steps - warmup, 1), warmup_target=learning_rate, warmup_steps=warmup
        )
        self._optimizer = keras.optimizers.AdamW(
            schedule, weight_decay=_WEIGHT_DECAY, global_clipnorm=_CLIP_NORM
        )
        self._optimizer.build(self._trained)
        self._train = tf.function(self._train_eagerly, autograph=False, reduce_retracing=True)
        self._answer = tf.function(self._answer_eagerly, autograph=False, reduce_retracing=True)

    @property
    def variables(self) -> list[keras.Variable]:
        """What a later step depends on: weights, random states, the state of the optimizer."""
        return [*self._model.variables, *self._names.variables, *self._optimizer.variables]

    @property
    def _trained(self) -> list[keras.Variable]:
        return [*self._model.trainable_variables, *self._names.trainable_variables]

    def train(self, inputs: Mapping[str, tf.Tensor]) -> float:
        """Take a step on a batch; returns its loss."""
        return float(self._train(inputs))

    def judge(self, batches: Iterable[tuple[Mapping[str, tf.Tensor], Any]]) -> Judged:
        """Judge the names of the asked tokens of all batches."""
        answers = [self._answer(inputs) for inputs, _ in batches]
        losses, right, asked = (
            np.concatenate([each.numpy() for each in part]) for part in zip(*answers, strict=True)
        )
        most = float(np.bincount(asked).max() / len(asked))
        return Judged(float(losses.mean()), float(right.mean()), most, len(asked))

    def _train_eagerly(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        with tf.GradientTape() as tape:
            losses, _, _ = self._compute(inputs, training=True)
            loss = tf.math.divide_no_nan(
                tf.reduce_sum(losses), tf.cast(tf.size(losses), losses.dtype)
            )
        gradients = tape.gradient(loss, self._trained)
        self._optimizer.apply(gradients, self._trained)
        return loss

    def _answer_eagerly(self, inputs: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        losses, logits, asked = self._compute(inputs, training=False)
        return losses, tf.argmax(logits, axis=-1, output_type=tf.int32) == asked, asked

    def _compute(
        self, inputs: Mapping[str, tf.Tensor], *, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Losses, logits and ids of the tokens that are asked for; only these are computed."""
        read = {name: value for name, value in inputs.items() if name != ASKED}
        states = self._model(read, training=training)
        is_asked = inputs[ASKED] >= 0
        logits = self._names(tf.boolean_mask(states, is_asked))
        asked = tf.boolean_mask(inputs[ASKED], is_asked)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=asked, logits=logits)
        return losses, logits, asked
