"""Training step in parts, and validation with averages."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from phases import phase_of

from kft.config import HeadConfig, TrainingConfig
from kft.model import HEAD
from kft.optimization.optimizers import make_optimizer
from kft.optimization.trainer import FitModel, WeightAverages
from kft.tasks.classification.head import ClassificationHead
from kft.tasks.loss_terms import LossTerms

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.uniform(0, 255, (22, 32, 32, 3)).astype(np.float32)
TARGETS = RANDOM.integers(0, 3, 22)
BLOCKS = ("stage4", HEAD)


def batches(size: int) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(({"pixels": PIXELS}, TARGETS)).batch(size)


@pytest.fixture
def compile_tiny(assemble_tiny):
    """Function that compiles a FitModel of small_cnn."""

    def make(*, accumulation=1, optimizer="sgd", clip_norm=0.5, **options):
        assembled = assemble_tiny(head=options.pop("head", None))
        assembled.blocks.set_trainable(BLOCKS, batch_norm="frozen")
        config = TrainingConfig(
            optimizer=optimizer, clip_norm=clip_norm, warmup=0, schedule="constant", **options
        )
        phase = phase_of("a", BLOCKS, 0.05, 100, 10)
        model = FitModel(assembled.model.input, assembled.model.output, accumulation=accumulation)
        made = make_optimizer(config, phase, assembled.blocks, num_examples=22)
        made.build(model.trainable_variables)
        model.compile(
            made,
            loss=assembled.head.make_loss(LossTerms(class_weights=(1.0, 2.0, 0.5))),
            metrics=assembled.head.make_metrics(),
            jit_compile=False,
        )
        return model

    return make


def fitted(model, size, epochs=2):
    history = model.fit(batches(size), epochs=epochs, verbose=0, shuffle=False)
    return history.history, [variable.numpy() for variable in model.weights]


# Accumulation


@pytest.mark.parametrize(
    "parts", [3, *(pytest.param(parts, marks=pytest.mark.full) for parts in (2, 4, 8))]
)
def test_accumulated_parts_give_the_update_of_the_whole_batch(compile_tiny, parts):
    """Batches have 8, 8 and 6 examples: 6 allow only six parts, and 8 give three uneven parts."""
    whole, weights = fitted(compile_tiny(), 8)
    model = compile_tiny(accumulation=parts)
    found, accumulated = fitted(model, 8)
    assert model.train_traces == 1
    assert int(model.optimizer.iterations.numpy()) == 6
    for name, values in whole.items():
        assert found[name] == pytest.approx(values, abs=1e-6), name
    for one, other in zip(weights, accumulated, strict=True):
        assert np.allclose(one, other, atol=1e-6)
    assert whole["loss"][0] > whole["loss"][1]


def test_more_parts_than_examples_become_one_part_per_example(compile_tiny):
    whole, _ = fitted(compile_tiny(), 2)
    found, _ = fitted(compile_tiny(accumulation=16), 2)
    assert found["loss"] == pytest.approx(whole["loss"], abs=1e-6)


def test_dense_targets_are_divided_with_their_examples(compile_tiny):
    dense = np.eye(3, dtype=np.float32)[TARGETS]
    dense = 0.6 * dense + 0.4 * dense[::-1]
    losses = []
    for parts in (1, 3):
        model = compile_tiny(accumulation=parts)
        data = tf.data.Dataset.from_tensor_slices(({"pixels": PIXELS}, dense)).batch(8)
        losses.append(model.fit(data, epochs=2, verbose=0, shuffle=False).history["loss"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_dropout_draws_separately_for_each_part(compile_tiny):
    head = ClassificationHead(("a", "b", "c"), HeadConfig(dropout=0.5))
    model = compile_tiny(accumulation=4, head=head)
    state = next(v for v in model.variables if "seed_generator" in v.path)
    before = state.numpy()
    fitted(model, 22, epochs=1)
    assert (state.numpy() - before)[1] == 4


class WithUnusedWeight(keras.layers.Dense):
    """A layer with a weight that it does not use."""

    def build(self, input_shape):
        self.unused = self.add_weight(shape=(2, 2), name="unused")
        super().build(input_shape)


def test_an_unused_variable_gets_no_gradient():
    """Keras skips it, as without accumulation: no momentum, no decay."""
    inputs = keras.Input((3,), name="x")
    layer = WithUnusedWeight(1)
    model = FitModel({"x": inputs}, layer(inputs), accumulation=2)
    model.compile(keras.optimizers.AdamW(0.1, weight_decay=0.0), loss="mse", jit_compile=False)
    before, kernel = layer.unused.numpy(), layer.kernel.numpy()
    data = tf.data.Dataset.from_tensor_slices(({"x": np.ones((4, 3))}, np.ones((4, 1)))).batch(4)
    model.fit(data, verbose=0, shuffle=False)
    assert np.array_equal(layer.unused.numpy(), before)
    assert not np.array_equal(layer.kernel.numpy(), kernel)


# Traces


def test_one_trace_serves_smaller_batches_and_later_fits(compile_tiny):
    for parts in (1, 2):
        model = compile_tiny(accumulation=parts)
        for _ in range(2):
            model.fit(batches(8), epochs=2, verbose=0, shuffle=False, validation_data=batches(5))
        assert (model.train_traces, model.test_traces) == (1, 1)


# Averages


def test_validation_uses_the_averages_and_the_fit_ends_with_them(compile_tiny):
    model = compile_tiny(ema=0.8, optimizer="adamw")
    seen: dict[str, list] = {"validation": [], "training": []}

    class Watch(keras.callbacks.Callback):
        def on_test_batch_begin(self, batch, logs=None):
            seen["validation"].append(model.get_layer("logits").kernel.numpy())
            averages = model.optimizer.averages
            seen["average"] = averages[id(model.get_layer("logits").kernel)].numpy()

        def on_epoch_end(self, epoch, logs=None):
            seen["training"].append(model.get_layer("logits").kernel.numpy())
            seen["loss"] = logs["val_loss"]

    model.fit(
        batches(8),
        epochs=2,
        verbose=0,
        shuffle=False,
        validation_data=batches(22),
        callbacks=[WeightAverages(model), Watch()],
    )
    assert np.array_equal(seen["validation"][-1], seen["average"])
    assert not np.allclose(seen["validation"][-1], seen["training"][-1], atol=1e-4)
    # The weights are the averages now, so their outputs are those of validation.
    assert np.array_equal(model.get_layer("logits").kernel.numpy(), seen["average"])
    assert model.evaluate(batches(22), verbose=0)[0] == pytest.approx(seen["loss"], abs=1e-6)


def test_averages_do_not_change_training(compile_tiny):
    plain, _ = fitted(compile_tiny(), 8)
    model = compile_tiny(ema=0.9)
    history = model.fit(
        batches(8),
        epochs=2,
        verbose=0,
        shuffle=False,
        validation_data=batches(22),
        callbacks=[WeightAverages(model)],
    )
    assert history.history["loss"] == pytest.approx(plain["loss"], abs=1e-6)


def test_averages_can_be_swapped_in_temporarily(compile_tiny):
    model = compile_tiny(ema=0.9)
    fitted(model, 8)
    kernel = model.get_layer("logits").kernel
    present, average = kernel.numpy(), model.optimizer.averages[id(kernel)].numpy()
    assert not np.array_equal(present, average)
    with WeightAverages(model).swapped_in():
        assert np.array_equal(kernel.numpy(), average)
    assert np.array_equal(kernel.numpy(), present)


def test_without_averages_weights_are_not_swapped(compile_tiny):
    model = compile_tiny()
    _, weights = fitted(model, 8)
    with WeightAverages(model).swapped_in():
        for variable, value in zip(model.weights, weights, strict=True):
            assert np.array_equal(variable.numpy(), value)


# Several processes


def test_keras_still_has_the_bug_that_kft_works_around(monkeypatch):
    """If this fails, Keras is fixed, and `build_metrics` and the axis of scalars can be removed."""
    from keras.src.backend.tensorflow import trainer

    monkeypatch.setattr(trainer, "_collective_all_reduce_multi_worker", lambda strategy: True)
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    values = strategy.run(lambda: {"loss": tf.constant(1.0)})
    with pytest.raises(ValueError, match="Invalid reduction dimension 0"):
        trainer.reduce_per_replica(values, strategy, "auto")
    values = strategy.run(lambda: {"loss": tf.constant([1.0])})
    assert trainer.reduce_per_replica(values, strategy, "auto")["loss"].numpy() == 1.0
    source = inspect.getsource(keras.Model._maybe_symbolic_build)
    assert 'reduce(\n                        "MEAN",' in source


def test_metrics_are_built_without_a_batch(compile_tiny):
    model = compile_tiny()
    assert len(model.metrics_variables) == 2
    model.build_metrics(tf.TensorSpec((None,), tf.int64))
    names = [variable.path for variable in model.metrics_variables]
    assert len(names) == 4
    fitted(model, 8, epochs=1)
    assert [variable.path for variable in model.metrics_variables] == names
