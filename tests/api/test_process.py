"""What a call sets for the whole process is as before when it returns."""

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
    """The next number of everything that draws without a seed."""
    return [
        random.random(),
        np.random.random(),
        float(tf.random.uniform(())),
        float(keras.random.uniform(())),
        float(tf.function(lambda: tf.random.uniform(()))()),
    ]


@pytest.mark.usefixtures("restored_globals")
def test_seeds_precision_determinism_and_environment_are_put_back(place, settings):
    changed = {
        **settings,
        "training": {"precision": "mixed_bfloat16", "seed": 5, "global_batch_size": 8},
    }

    def draw_around(call) -> list[float]:
        keras.utils.set_random_seed(11)
        return [*draw(), call(), *draw()]

    # Tests before may have left it on.
    config.disable_op_determinism()
    environment = dict(os.environ)
    undisturbed = draw_around(lambda: None)
    told: list[kft.Check] = []
    assert draw_around(lambda: told.append(kft.check(place / "photos", **changed))) == undisturbed
    assert told[0].pipeline.training.precision == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == "float32"
    assert not config.is_op_determinism_enabled()
    assert dict(os.environ) == environment


@pytest.mark.usefixtures("restored_globals")
def test_what_the_user_chose_stays_chosen():
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


def test_an_error_puts_everything_back_too(place, settings):
    random.seed(3)
    state = random.getstate()
    with pytest.raises(ConfigError, match=r"strategy\.freeze: has no effect"):
        kft.check(place / "photos", **{**settings, "strategy": {"name": "full", "freeze": ["x"]}})
    assert random.getstate() == state
    assert not config.is_op_determinism_enabled()


def test_a_cluster_is_left_to_the_command_line(place, settings, monkeypatch):
    monkeypatch.setenv(
        "TF_CONFIG",
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}',
    )
    with pytest.raises(ConfigError, match="unset TF_CONFIG"):
        kft.train(place / "photos", **settings)
