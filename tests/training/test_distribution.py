"""Devices, seeds and precision."""

import keras
import pytest
import tensorflow as tf

from kft.errors import ConfigError
from kft.training import check_batch_size, make_distribution, seed_everything, set_precision


@pytest.mark.parametrize("name", ["none", "auto"])
def test_one_device_needs_no_strategy(name):
    if name == "auto" and len(tf.config.list_logical_devices("GPU")) > 1:
        pytest.skip("this machine has several GPUs")
    distribution = make_distribution(name)
    assert distribution.num_replicas_in_sync == 1
    assert not isinstance(distribution, tf.distribute.MirroredStrategy)


@pytest.mark.parametrize(("replicas", "size"), [(1, 7), (2, 8), (3, 3), (4, 64)])
def test_a_batch_that_divides_among_the_replicas_is_accepted(replicas, size):
    check_batch_size(replicas, size)


@pytest.mark.parametrize(
    ("replicas", "size", "advice"), [(2, 7, "Use 6 or 8"), (4, 33, "32 or 36")]
)
def test_a_batch_that_does_not_divide_is_refused_with_sizes_that_do(replicas, size, advice):
    with pytest.raises(ConfigError) as caught:
        check_batch_size(replicas, size)
    assert f"training.global_batch_size: {size} examples do not divide" in str(caught.value)
    assert f"{replicas} replicas" in str(caught.value)
    assert advice in str(caught.value)


def test_the_seed_decides_what_is_drawn(restored_globals):
    def draw(seed):
        seed_everything(seed)
        return keras.ops.convert_to_numpy(keras.random.normal((4,))).tolist()

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


@pytest.mark.parametrize("name", ["mixed_bfloat16", "mixed_float16", "float32"])
def test_layers_made_after_it_compute_in_the_precision(name, restored_globals):
    set_precision(name)
    layer = keras.layers.Dense(1)
    assert layer.compute_dtype == name.removeprefix("mixed_")
    assert layer.variable_dtype == "float32"
