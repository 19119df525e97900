"""Optimizers whose rate differs by block, and their schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from kft.config import TrainingConfig
from kft.model import BlockTable
from kft.strategies import Phase


class BlockRates:
    """Mixed into a Keras optimizer: each block has its own learning rate.

    Scaling gradients would do nothing under Adam, which divides by their
    size: the rate of the update is scaled. Decoupled weight decay is applied
    here too, since Keras's own bypasses `update_step` and so would ignore
    the rate of the block.
    """

    def set_block_rates(
        self, multipliers: Mapping[str, float], weight_decay: float, clip_norm: float | None
    ) -> None:
        """Set the factors before the optimizer is built.

        Args:
            multipliers: Variable path -> factor on the learning rate; 1 where absent.
            weight_decay: Share of a variable taken away per step, times its rate.
            clip_norm: Largest global norm of the gradients of a whole batch.
        """
        self._multiplier_by_path = dict(multipliers)
        self._decoupled_weight_decay = weight_decay
        self._clip_norm = clip_norm

    def build(self, variables: list[keras.Variable]) -> None:
        """As Keras's, noting the factors of each variable by its index."""
        super().build(variables)  # type: ignore[misc]
        self._factors = [
            (
                self._multiplier_by_path.get(variable.path, 1.0),
                # Biases, and scales and shifts of normalisation, have one dimension: spared.
                self._decoupled_weight_decay if len(variable.shape) > 1 else 0.0,
            )
            for variable in variables
        ]

    def _all_reduce_sum_gradients(self, grads_and_vars: list[Any]) -> list[Any]:
        """As Keras's, then clipped: Keras would clip each replica's share before the sum."""
        reduced = super()._all_reduce_sum_gradients(grads_and_vars)  # type: ignore[misc]
        if self._clip_norm is None:
            return reduced
        gradients, variables = zip(*reduced, strict=True)
        clipped, _ = tf.clip_by_global_norm(gradients, self._clip_norm)
        return list(zip(clipped, variables, strict=True))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One variable's decay and update, at its own rate."""
        # Under a strategy `variable` is a bare tf.Variable, which has no path: hence the index.
        index = self._get_variable_index(variable)  # type: ignore[attr-defined]
        multiplier, weight_decay = self._factors[index]
        rate = learning_rate * multiplier
        if weight_decay:
            variable.assign_sub(variable * tf.cast(rate * weight_decay, variable.dtype))
        super().update_step(gradient, variable, rate)  # type: ignore[misc]


class AdamW(BlockRates, keras.optimizers.Adam):
    """Adam with decoupled weight decay and a rate per block.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization,
    arXiv:1711.05101.
    """


class SGD(BlockRates, keras.optimizers.SGD):
    """SGD with decoupled weight decay and a rate per block."""


def make_optimizer(
    config: TrainingConfig, phase: Phase, blocks: BlockTable
) -> keras.optimizers.Optimizer:
    """A fresh optimizer for one phase.

    Args:
        config: The pipeline's `training` section.
        phase: Its rate, steps, multipliers and weight decay.
        blocks: To find each block's variables.
    """
    common: dict[str, Any] = {"learning_rate": make_schedule(config, phase)}
    optimizer: Any = (
        SGD(momentum=0.9, nesterov=True, **common) if config.optimizer == "sgd" else AdamW(**common)
    )
    optimizer.set_block_rates(
        {
            variable.path: factor
            for name, factor in phase.multipliers.items()
            for variable in blocks[name].variables
        },
        config.weight_decay if phase.weight_decay is None else phase.weight_decay,
        config.clip_norm,
    )
    return optimizer


def make_schedule(
    config: TrainingConfig, phase: Phase
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Linear warmup, then cosine to zero or a constant."""
    warmup_steps = round(config.warmup * phase.steps)
    # From one step's share rather than zero: the first step moves something.
    start = phase.learning_rate / (warmup_steps + 1)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=start if warmup_steps else phase.learning_rate,
        decay_steps=max(1, phase.steps - warmup_steps),
        alpha=1.0 if config.schedule == "constant" else 0.0,
        warmup_target=phase.learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
