"""Model that a phase fits: Keras's training step, with accumulation and replicas if configured."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kft.optimization.frozen_inference import frozen_inference
from kft.optimization.norm_fusion import fused_norms
from kft.optimization.optimizers import block_rates
from kft.optimization.replicas import whole_statistics


class FitModel(keras.Model):
    """Functional model of layers that others own, with a training step that may run in parts.

    Over several replicas too, the step equals that of the undivided batch: batches carry weights
    (`Share`), so that each example counts once even if the last batch does not divide evenly.

    Keras 3.15 fails at two places if replicas are in several processes: it builds metrics from a
    batch that it reduces over the replicas, and it reduces their scalars over an axis. Therefore
    metrics are built from shapes (`build_metrics`), and scalars get an axis in that case.

    Args:
        inputs: Symbolic inputs of the graph, by name.
        outputs: Logits of the graph.
        accumulation: Number of parts of a batch. Gradients of the parts are
            averaged by their share of the examples, and one update follows.
            The step equals that of the undivided batch if no layer computes
            across the batch (frozen batch norm, no dropout). It needs the
            memory of one part.

    Attributes:
        train_traces: Number of traces of the training step.
        test_traces: Number of traces of the validation step.
    """

    def __init__(
        self,
        inputs: Mapping[str, keras.KerasTensor],
        outputs: keras.KerasTensor,
        *,
        accumulation: int = 1,
    ) -> None:
        super().__init__(inputs, outputs)
        self.accumulation = accumulation
        self.train_traces = 0
        self.test_traces = 0

    def fit(self, *args: Any, **settings: Any) -> Any:
        """Fit like Keras, with frozen layers in inference mode and batch norm synced or fused."""
        with (
            whole_statistics(self),
            frozen_inference(self),
            fused_norms(self),
            warnings.catch_warnings(),
        ):
            # `check_movement` reports them in phase.json.
            warnings.filterwarnings("ignore", "Gradients do not exist for variables")
            return super().fit(*args, **settings)

    def evaluate(self, *args: Any, **settings: Any) -> Any:
        """Evaluate like Keras, with normalization traced as in `fit`."""
        with whole_statistics(self), fused_norms(self):
            return super().evaluate(*args, **settings)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Update the weights from one batch, per replica."""
        self.train_traces += 1
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        if self.accumulation == 1 and weights is None:
            return super().train_step(data)
        differentiate = self._differentiate if self.accumulation == 1 else self._accumulate
        loss, gradients, logits = differentiate(inputs, targets, weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return self._update_metrics(loss, inputs, targets, weights, logits)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Evaluate one batch, per replica."""
        self.test_traces += 1
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        if weights is None:
            return super().test_step(data)
        logits = self(inputs, training=False)
        loss = self.compute_loss(inputs, targets, logits, weights, training=False)
        return self._update_metrics(loss, inputs, targets, weights, logits)

    def build_metrics(self, targets: tf.TensorSpec) -> None:
        """Make the variables of loss and metrics before the first batch.

        Args:
            targets: Shape and type of the targets of a batch.
        """
        batch = (self.input, keras.KerasTensor(targets.shape, targets.dtype.name))
        self._symbolic_build(data_batch=batch)

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Do nothing, since `build_metrics` has built the metrics without reading a batch."""

    def _update_metrics(
        self, loss: Any, inputs: Any, targets: Any, weights: Any, logits: Any
    ) -> dict[str, Any]:
        """Add a batch to the mean loss and the metrics, each example once."""
        strategy = tf.distribute.get_strategy()
        # Keras divides losses by the number of replicas, so that their gradients add up.
        loss *= strategy.num_replicas_in_sync
        count = tf.cast(_count(inputs), tf.float32)
        counted = None
        if weights is not None:
            # Convert the weighted mean over all rows to the mean over this replica's examples.
            loss = tf.math.divide_no_nan(loss * count, tf.reduce_sum(weights))
            counted = tf.cast(weights > 0, tf.float32)
            count = tf.reduce_sum(counted)
        tracker = next(metric for metric in self.metrics if metric.name == "loss")
        tracker.update_state(loss, sample_weight=count)
        found = self.compute_metrics(inputs, targets, logits, sample_weight=counted)
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return {name: tf.reshape(value, (1,)) for name, value in found.items()}
        return found

    def _differentiate(self, inputs: Any, targets: Any, weights: Any) -> tuple[Any, list[Any], Any]:
        """Compute loss, gradients and logits of a batch."""
        with tf.GradientTape() as tape:
            logits = self(inputs, training=True)
            loss = self.compute_loss(inputs, targets, logits, weights, training=True)
            scaled = self.optimizer.scale_loss(loss)
        return loss, tape.gradient(scaled, self.trainable_variables), logits

    def _accumulate(self, inputs: Any, targets: Any, weights: Any) -> tuple[Any, list[Any], Any]:
        """Compute the same as `_differentiate`, part by part."""
        examples = _count(inputs)
        # The last batch may have fewer examples than parts; then there are fewer parts.
        size = tf.maximum(1, -(-examples // self.accumulation))
        num_parts = -(-examples // size)
        variables = self.trainable_variables
        unconnected: set[int] = set()

        def add_part(part: Any, total: Any, sums: list[Any], found: Any) -> tuple[Any, ...]:
            begin, end = part * size, tf.minimum(part * size + size, examples)
            of_part = None if weights is None else weights[begin:end]
            own = {name: each[begin:end] for name, each in inputs.items()}
            loss, gradients, logits = self._differentiate(own, targets[begin:end], of_part)
            share = tf.cast(end - begin, "float32") / tf.cast(examples, "float32")
            unconnected.update(i for i, gradient in enumerate(gradients) if gradient is None)
            sums = [
                so_far
                if gradient is None
                else so_far + tf.convert_to_tensor(gradient) * tf.cast(share, gradient.dtype)
                for so_far, gradient in zip(sums, gradients, strict=True)
            ]
            return part + 1, total + loss * share, sums, found.write(part, logits)

        _, total, sums, found = tf.while_loop(
            lambda part, *_: part < num_parts,
            add_part,
            (
                tf.constant(0),
                tf.constant(0.0),
                [tf.zeros(variable.shape, variable.dtype) for variable in variables],
                tf.TensorArray(
                    self.output.dtype,
                    size=num_parts,
                    infer_shape=False,
                    element_shape=self.output.shape,
                ),
            ),
            # Parts in parallel would need the memory of the whole batch.
            parallel_iterations=1,
        )
        gradients = [None if i in unconnected else total for i, total in enumerate(sums)]
        return total, gradients, found.concat()


def _count(inputs: Mapping[str, Any]) -> Any:
    """Count the examples of a batch."""
    return tf.shape(next(iter(inputs.values())))[0]


class WeightAverages(keras.callbacks.Callback):
    """Callback that validates with moving averages of the weights and ends a phase with them.

    The optimizer keeps the averages (`BlockRates`); without them, the
    callback does nothing. Batch statistics are averages already.

    Args:
        fitted: The compiled model.
    """

    def __init__(self, fitted: keras.Model) -> None:
        super().__init__()
        self._fitted = fitted
        self._present: list[np.ndarray] = []

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Swap in the averages, saving the current weights."""
        self._present = [variable.numpy() for variable, _ in self._pairs()]
        self.keep()

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        """Restore the saved weights."""
        for (variable, _), value in zip(self._pairs(), self._present, strict=True):
            variable.assign(value)
        self._present = []

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Make the averages the weights."""
        self.keep()

    def keep(self) -> None:
        """Assign the averages to the weights."""
        for variable, average in self._pairs():
            variable.assign(average)

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Use the averages in place of the weights within the block."""
        self.on_test_begin()
        try:
            yield
        finally:
            self.on_test_end()

    def _pairs(self) -> list[tuple[keras.Variable, keras.Variable]]:
        averages = block_rates(self._fitted.optimizer).averages
        return [
            (variable, averages[id(variable)])
            for variable in self._fitted.trainable_variables
            if id(variable) in averages
        ]
