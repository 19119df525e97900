"""A call restores the process-wide state when it returns."""

import os
import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import config

import kft
from kft.api.process import restored_process
from kft.errors import ConfigError


def draw() -> list[float]:
    """Draw the next number from every global random generator."""
    return [
        random.random(),
        np.random.random(),
        float(tf.random.uniform(())),
        float(keras.random.uniform(())),
        float(tf.function(lambda: tf.random.uniform(()))()),
    ]


@pytest.fixture(autouse=True)
def nothing_set(restored_globals):
    """As in a new process, whatever the tests before it set."""
    config.disable_op_determinism()


def test_seeds_precision_determinism_and_environment_are_restored(place, settings):
    changed = {
        **settings,
        "training": {"precision": "mixed_bfloat16", "seed": 5, "global_batch_size": 8},
    }

    def draw_around(call) -> list[float]:
        keras.utils.set_random_seed(11)
        return [*draw(), call(), *draw()]

    environment = dict(os.environ)
    undisturbed = draw_around(lambda: None)
    checks: list[kft.Check] = []
    assert draw_around(lambda: checks.append(kft.check(place / "photos", **changed))) == undisturbed
    assert checks[0].pipeline.training.precision == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == "float32"
    assert not config.is_op_determinism_enabled()
    assert dict(os.environ) == environment


def test_the_users_own_settings_are_restored():
    keras.utils.set_random_seed(1)
    tf.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy("mixed_float16")
    with restored_process():
        keras.config.set_dtype_policy("float32")
    assert config.is_op_determinism_enabled()
    assert keras.config.dtype_policy().name == "mixed_float16"


def test_a_process_without_a_seed_has_none_afterwards(monkeypatch):
    eager = context.context()
    monkeypatch.setattr(eager, "_seed", None)
    monkeypatch.delattr(eager, "_rng", raising=False)
    with restored_process():
        tf.random.set_seed(4)
    assert context.global_seed() is None
    assert len({float(tf.random.uniform(())) for _ in range(3)}) == 3


def test_the_state_is_restored_after_an_error_too(place, settings):
    random.seed(3)
    state = random.getstate()
    with pytest.raises(ConfigError, match=r"strategy\.freeze: has no effect"):
        kft.check(place / "photos", **{**settings, "strategy": {"name": "full", "freeze": ["x"]}})
    assert random.getstate() == state
    assert not config.is_op_determinism_enabled()


def test_a_cluster_is_refused_in_python(place, settings, monkeypatch):
    monkeypatch.setenv(
        "TF_CONFIG",
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}',
    )
    with pytest.raises(ConfigError, match="unset TF_CONFIG"):
        kft.train(place / "photos", **settings)
