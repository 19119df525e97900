"""Adafactor with an absolute learning rate and little memory."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class FactoredSecondMoment(keras.optimizers.Optimizer):
    """Adafactor's update with an absolute learning rate, on the same scale as AdamW's.

    Keras's Adafactor multiplies the rate by the size of the variable. It also
    caps the rate at 1 / sqrt(step), which would break the ratio between
    blocks, and keeps the unfactored moment beside its factors. Here the root
    mean square of an update is at most the rate, and a kernel needs only two
    vectors of memory.

    Source: Shazeer and Stern, Adafactor, arXiv:1804.04235, algorithm 4 with
    an absolute step size.
    """

    DECAY_POWER = -0.8
    LEAST_SQUARE = 1e-30

    def build(self, variables: list[keras.Variable]) -> None:
        """Create moments: rows and columns of a kernel's last two axes, or all of a vector."""
        if self.built:
            return
        super().build(variables)
        self._rows = [self._moment(variable, variable.shape[:-1]) for variable in variables]
        self._columns = [
            self._moment(variable, (*variable.shape[:-2], variable.shape[-1]))
            if len(variable.shape) > 1
            else self._moment(variable, variable.shape)
            for variable in variables
        ]

    def _moment(self, variable: keras.Variable, shape: tuple[int, ...]) -> keras.Variable:
        return self.add_variable(shape=shape, dtype=variable.dtype, name="moment")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable."""
        index = self._get_variable_index(variable)
        rows, columns = self._rows[index], self._columns[index]
        step = tf.cast(self.iterations + 1, variable.dtype)
        momentum = 1 - tf.pow(step, self.DECAY_POWER)
        squares = tf.square(gradient) + self.LEAST_SQUARE
        if len(variable.shape) > 1:
            self._average_into(rows, tf.reduce_mean(squares, axis=-1), momentum)
            self._average_into(columns, tf.reduce_mean(squares, axis=-2), momentum)
            row = tf.convert_to_tensor(rows)
            shares = row / tf.reduce_mean(row, axis=-1, keepdims=True)
            moment = shares[..., None] * tf.convert_to_tensor(columns)[..., None, :]
        else:
            self._average_into(columns, squares, momentum)
            moment = tf.convert_to_tensor(columns)
        update = gradient * tf.math.rsqrt(moment)
        size = tf.sqrt(tf.reduce_mean(tf.square(update)))
        rate = tf.cast(learning_rate, variable.dtype)
        self.assign_sub(variable, rate * update / tf.maximum(1.0, size))

    def _average_into(self, average: keras.Variable, value: Any, momentum: Any) -> None:
        self.assign(average, momentum * tf.convert_to_tensor(average) + (1 - momentum) * value)
