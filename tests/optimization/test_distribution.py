"""Devices, seeds and precision."""

import keras
import pytest
import tensorflow as tf
from phases import changed, phase_of

from kft.config import TrainingConfig
from kft.errors import ConfigError, TrainingError
from kft.optimization import (
    check_batch_size,
    check_replicas,
    count_replicas,
    make_distribution,
    seed_everything,
    set_precision,
)
from kft.optimization.distribution import name_nondeterministic
from kft.workers import Cluster

CLUSTER = Cluster(("a:1", "b:1"), 0)


@pytest.mark.parametrize("name", ["none", "auto"])
def test_one_device_needs_no_strategy(name):
    if name == "auto" and len(tf.config.list_logical_devices("GPU")) > 1:
        pytest.skip("this machine has several GPUs")
    distribution = make_distribution(name)
    assert distribution.num_replicas_in_sync == 1
    assert not isinstance(distribution, tf.distribute.MirroredStrategy)


@pytest.mark.parametrize(("replicas", "size"), [(1, 7), (2, 8), (3, 3), (4, 64)])
def test_a_batch_size_divisible_by_the_replicas_is_accepted(replicas, size):
    check_batch_size(replicas, size)


@pytest.mark.parametrize(
    ("replicas", "size", "advice"), [(2, 7, "Use 6 or 8"), (4, 33, "32 or 36")]
)
def test_an_indivisible_batch_size_is_refused_with_valid_sizes(replicas, size, advice):
    with pytest.raises(ConfigError) as caught:
        check_batch_size(replicas, size)
    assert f"training.global_batch_size: {size} examples do not divide evenly" in str(caught.value)
    assert f"{replicas} replicas" in str(caught.value)
    assert advice in str(caught.value)


def test_the_seed_determines_random_numbers(restored_globals):
    def draw(seed):
        seed_everything(seed)
        return keras.ops.convert_to_numpy(keras.random.normal((4,))).tolist()

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


@pytest.mark.parametrize("name", ["mixed_bfloat16", "mixed_float16", "float32"])
def test_layers_made_after_set_precision_compute_in_it(name, restored_globals):
    set_precision(name)
    layer = keras.layers.Dense(1)
    assert layer.compute_dtype == name.removeprefix("mixed_")
    assert layer.variable_dtype == "float32"


@pytest.mark.parametrize("name", ["none", "mirrored"])
def test_a_cluster_of_independent_workers_is_refused(name):
    with pytest.raises(ConfigError, match=f"{name}', but TF_CONFIG names 2 workers"):
        make_distribution(name, CLUSTER)


def test_several_workers_without_a_cluster_are_refused():
    with pytest.raises(
        ConfigError, match="'multi_worker' needs the environment variable TF_CONFIG"
    ):
        make_distribution("multi_worker")


def test_planning_for_a_cluster_does_not_wait_for_it():
    distribution = make_distribution("auto", CLUSTER, joins=False)
    assert distribution.num_replicas_in_sync == 1
    assert count_replicas(distribution) == 1
    assert count_replicas(distribution, CLUSTER) % 2 == 0


def test_settings_that_replicas_do_not_support_are_refused():
    trainable = phase_of("deep", ("head",), 0.1, 4, 2, batch_norm="trainable")
    check_replicas(1, TrainingConfig(jit_compile=True), [trainable])
    check_replicas(2, TrainingConfig(), [changed(trainable, batch_norm="frozen")])
    with pytest.raises(ConfigError, match="XLA compiles the step of one device, not of 2"):
        check_replicas(2, TrainingConfig(jit_compile=True))
    # With batches of 8, the last of 35 examples has 3, and the last of 36 has 4.
    config = TrainingConfig(global_batch_size=8)
    check_replicas(2, config, [trainable], count=lambda phase: 36)
    with pytest.raises(ConfigError, match=r"phase 'deep': .*last batch of an epoch has 3 examples"):
        check_replicas(2, config, [trainable], count=lambda phase: 35)


def test_a_nondeterministic_op_is_named():
    message = "A deterministic GPU implementation of SparseSoftmax is not available.\n[[node a]]"
    named = pytest.raises(TrainingError, match=r"of SparseSoftmax is not.*deterministic=false")
    with named, name_nondeterministic():
        raise tf.errors.UnimplementedError(None, None, message)
    with pytest.raises(RuntimeError, match="something else"), name_nondeterministic():
        raise RuntimeError("something else")
