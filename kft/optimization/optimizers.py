"""Optimizers with a learning rate per block, decoupled decay and averages of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kft.config import TrainingConfig
from kft.model import BlockTable
from kft.optimization.adafactor import FactoredSecondMoment
from kft.optimization.schedules import PhaseSchedule, make_schedule
from kft.optimization.update_rules import UpdateRule, make_rules
from kft.strategies import Phase


class BlockRates:
    """Mixin for a Keras optimizer with rules per variable and averages of the weights.

    The rate of the update is scaled, because scaling gradients would have no
    effect under Adam, which divides by their size. Decoupled decay is applied
    here too, because Keras's own bypasses `update_step` and would ignore the
    rate of the block. Decay toward the pretrained value (L2-SP) is decoupled
    for the same reason as weight decay: the gradient of a penalty would be
    divided by the size of past gradients, so that the weights that move most
    would be pulled back least.

    The average of a variable follows it with momentum
    min(momentum, (1 + t) / (10 + t)) at step t, so that the initial weights
    are soon forgotten.

    Source: Li et al., Explicit Inductive Bias for Transfer Learning (L2-SP),
    arXiv:1802.01483; the momentum of the first steps follows
    tf.train.ExponentialMovingAverage.
    """

    def set_rules(
        self,
        schedule: PhaseSchedule,
        rules: Mapping[int, UpdateRule],
        *,
        pretrained: Mapping[int, np.ndarray] = MappingProxyType({}),
        clip_norm: float | None = None,
        average_momentum: float | None = None,
    ) -> None:
        """Set the rules per variable, before the optimizer is built.

        Args:
            schedule: Schedule that the optimizer was made with.
            rules: `id` of a variable -> its rule.
            pretrained: `id` of a variable -> value that it decays to.
            clip_norm: Largest global norm of the gradients of a whole batch.
            average_momentum: Momentum of the averages; None for no averages.
        """
        self.schedule = schedule
        # A separate attribute makes Keras count them among the optimizer's variables.
        self.schedule_variables = schedule.variables
        self._rule_by_id = dict(rules)
        self._pretrained = pretrained
        self._clip_norm = clip_norm
        self._average_momentum = average_momentum

    def build(self, variables: list[keras.Variable]) -> None:
        """Build as Keras does, then index the rules and create the variables that they need."""
        # Keras's wrapper for float16 calls this again inside the step, which must not reset copies.
        if self.built:  # type: ignore[attr-defined]
            return
        super().build(variables)  # type: ignore[misc]
        self._rules = [self._rule_by_id[id(variable)] for variable in variables]
        self._goals = [
            self._copy(variable, "goal") if rule.decays_to_pretrained else None
            for variable, rule in zip(variables, self._rules, strict=True)
        ]
        for variable, goal in zip(variables, self._goals, strict=True):
            if goal is not None and id(variable) in self._pretrained:
                goal.assign(self._pretrained[id(variable)])
        self._averages = [
            self._copy(variable, "average") if self._average_momentum else None
            for variable in variables
        ]

    def _copy(self, variable: keras.Variable, name: str) -> keras.Variable:
        copy = self.add_variable_from_reference(variable, name=name)  # type: ignore[attr-defined]
        copy.assign(variable)
        return copy

    @property
    def averages(self) -> dict[int, keras.Variable]:
        """Map from the `id` of each variable to its average; empty if none are kept."""
        variables = self._trainable_variables  # type: ignore[attr-defined]
        return {
            id(variable): average
            for variable, average in zip(variables, self._averages, strict=True)
            if average is not None
        }

    def restart(self) -> None:
        """Reset slots, the step counter and averages.

        The schedule and the pretrained values that decay goes to are kept.
        """
        kept = {id(v) for v in (*self.schedule_variables, *self._goals) if v is not None}
        for variable in self.variables:  # type: ignore[attr-defined]
            if id(variable) not in kept:
                variable.assign(keras.ops.zeros_like(variable))
        for variable, average in zip(self._trainable_variables, self._averages, strict=True):  # type: ignore[attr-defined]
            if average is not None:
                average.assign(variable)

    def _all_reduce_sum_gradients(self, grads_and_vars: list[Any]) -> list[Any]:
        """Sum the gradients as Keras does, then clip; Keras would clip before the sum."""
        reduced = super()._all_reduce_sum_gradients(grads_and_vars)  # type: ignore[misc]
        if self._clip_norm is None:
            return reduced
        gradients, variables = zip(*reduced, strict=True)
        clipped, _ = tf.clip_by_global_norm(gradients, self._clip_norm)
        return list(zip(clipped, variables, strict=True))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Apply decay and update to one variable at its own rate, then update its average."""
        # Under a strategy `variable` is a bare tf.Variable without a path, hence the index.
        index = self._get_variable_index(variable)  # type: ignore[attr-defined]
        rule = self._rules[index]
        rate = learning_rate * rule.multiplier
        if rule.decay:
            goal = self._goals[index]
            distance = variable if goal is None else variable - tf.convert_to_tensor(goal)
            variable.assign_sub(distance * tf.cast(rate * rule.decay, variable.dtype))
        super().update_step(gradient, variable, rate)  # type: ignore[misc]
        average = self._averages[index]
        if average is not None:
            self._follow(average, variable)

    def _follow(self, average: keras.Variable, variable: Any) -> None:
        taken = tf.cast(self.iterations, "float32")  # type: ignore[attr-defined]
        momentum = tf.minimum(self._average_momentum, (1 + taken) / (10 + taken))
        step = (variable - tf.convert_to_tensor(average)) * tf.cast(1 - momentum, variable.dtype)
        self.assign_add(average, step)  # type: ignore[attr-defined]


class AdamW(BlockRates, keras.optimizers.Adam):
    """Adam with decoupled weight decay.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization,
    arXiv:1711.05101.
    """


class SGD(BlockRates, keras.optimizers.SGD):
    """SGD with decoupled weight decay."""


class Lion(BlockRates, keras.optimizers.Lion):
    """Lion with decoupled weight decay: the sign of the momentum, so each weight moves by the rate.

    It needs a rate three to ten times lower than AdamW's, and a decay higher
    by the same factor.

    Source: Chen et al., Symbolic Discovery of Optimization Algorithms, arXiv:2302.06675.
    """


class Lamb(BlockRates, keras.optimizers.Lamb):
    """Lamb with decoupled weight decay: Adam's update rescaled to the norm of the variable.

    The learning rate is therefore relative to the size of the weights.

    Source: You et al., Large Batch Optimization for Deep Learning, arXiv:1904.00962.
    """


class Adafactor(BlockRates, FactoredSecondMoment):
    """Adafactor with decoupled weight decay."""


class Muon(BlockRates, keras.optimizers.Muon):
    """Muon for kernels; AdamW for the head, embeddings, biases and normalisation.

    The updates of kernels are made orthogonal. A convolution's kernel is
    flattened to a matrix by joining all axes but the last, as Muon's authors
    advise; Keras would use AdamW for it. Depthwise kernels have no such
    matrix.

    Source: Jordan et al., Muon, github.com/KellerJordan/Muon; with the rate
    of Liu et al., arXiv:2502.16982, which equals AdamW's.
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        rule = self._rule_by_id[id(variable)]
        return (
            not rule.is_kernel
            or variable.shape[-1] == 1
            or rule.is_of_head
            or "embedding" in variable.path.lower()
        )

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        self.assign_add(m, gradient + tf.convert_to_tensor(m) * (self.momentum - 1))
        ahead = gradient + self.momentum * tf.convert_to_tensor(m)
        matrix = tf.reshape(ahead, (-1, variable.shape[-1]))
        matrix.set_shape((variable.shape.num_elements() // variable.shape[-1], variable.shape[-1]))
        update = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, tf.reshape(update, variable.shape))


# The mixin applies decay, so Keras's own is turned off where it is on by default.
OPTIMIZERS: Mapping[str, tuple[type, Mapping[str, Any]]] = {
    "adamw": (AdamW, {}),
    "sgd": (SGD, {"momentum": 0.9, "nesterov": True}),
    "adafactor": (Adafactor, {}),
    "lion": (Lion, {}),
    "lamb": (Lamb, {}),
    "muon": (Muon, {"weight_decay": None, "adam_weight_decay": None}),
}


def make_optimizer(
    config: TrainingConfig,
    phase: Phase,
    blocks: BlockTable,
    *,
    num_examples: int,
    pretrained: Mapping[int, np.ndarray] = MappingProxyType({}),
) -> keras.optimizers.Optimizer:
    """Make a new optimizer for one phase.

    Args:
        config: The pipeline's `training` section.
        phase: Phase with its rate, steps, multipliers and weight decay.
        blocks: Block table, which lists each block's variables.
        num_examples: Number of examples in the training split, for a warmup
            in examples.
        pretrained: `id` of a variable -> value that L2-SP pulls it to; by
            default the current values.

    Raises:
        ConfigError: The warmup does not fit the phase.
    """
    schedule = make_schedule(config, phase, num_examples=num_examples)
    optimizer_class, options = OPTIMIZERS[config.optimizer]
    optimizer: Any = optimizer_class(learning_rate=schedule, **options)
    optimizer.set_rules(
        schedule,
        make_rules(config, phase, blocks),
        pretrained=pretrained,
        clip_norm=config.clip_norm,
        average_momentum=config.ema,
    )
    return optimizer


def reset_optimizer(
    optimizer: keras.optimizers.Optimizer, *, learning_rate: float, steps: int, warmup_steps: int
) -> None:
    """Reset a built optimizer, except for the values that L2-SP pulls to.

    All its state is in variables, so the traced training step stays valid.

    Args:
        optimizer: Optimizer from `make_optimizer`, or Keras's loss-scaling wrapper of it.
        learning_rate: New peak of the schedule.
        steps: New length of the schedule.
        warmup_steps: New number of warmup steps, below `steps`.
    """
    inner = block_rates(optimizer)
    inner.restart()
    inner.schedule.reset(peak=learning_rate, steps=steps, warmup_steps=warmup_steps)
    if inner is not optimizer:
        optimizer.step_counter.assign(0)
        optimizer.dynamic_scale.assign(optimizer.initial_scale)


def block_rates(optimizer: Any) -> Any:
    """Return the optimizer from `make_optimizer`, without the wrapper that float16 adds."""
    return getattr(optimizer, "inner_optimizer", optimizer)
