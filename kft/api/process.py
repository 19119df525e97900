"""Restoration of process-wide state after a call."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from kft.machine import restored_threads
from kft.startup import is_not_retracing, start_tensorflow

if TYPE_CHECKING:
    from kft.config import Pipeline


@contextmanager
def restored_process(pipeline: Pipeline | None = None) -> Iterator[None]:
    """Start TensorFlow, and restore the process-wide state after the block.

    Restored are the random states of Python, NumPy, Keras and TensorFlow, TensorFlow's op
    determinism, Keras's dtype policy, and the environment. TensorFlow's number of threads cannot
    be restored, because it is fixed once a process has used a device.

    Args:
        pipeline: Pipeline to run; see `start_tensorflow`.

    Raises:
        DataError: The data do not exist.
        StorageError: The cache folder is not writable.
    """
    own, arrays = random.getstate(), np.random.get_state()
    with restored_threads():
        try:
            start_tensorflow(pipeline)
            with _restored_tensorflow():
                yield
        finally:
            logging.getLogger("tensorflow").removeFilter(is_not_retracing)
            random.setstate(own)
            np.random.set_state(arrays)


@contextmanager
def _restored_tensorflow() -> Iterator[None]:
    # Neither library has public functions to read this state.
    import keras
    from keras.src.backend.common import global_state
    from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR
    from keras.src.utils.rng_utils import GLOBAL_RANDOM_SEED
    from tensorflow.python.eager import context
    from tensorflow.python.framework import config

    policy = keras.config.dtype_policy()
    of_keras = {
        name: global_state.get_global_attribute(name)
        for name in (GLOBAL_RANDOM_SEED, GLOBAL_SEED_GENERATOR)
    }
    is_deterministic = config.is_op_determinism_enabled()
    eager = context.context()
    # The context has its own random generator only after it was given a seed.
    seed, numbers = eager._seed, getattr(eager, "_rng", random.Random())
    state = numbers.getstate()
    # In a notebook TensorFlow also logs where it writes assets.
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(level)
        keras.config.set_dtype_policy(policy)
        for name, value in of_keras.items():
            global_state.set_global_attribute(name, value)
        if not is_deterministic:
            config.disable_op_determinism()
        eager._set_global_seed(seed)
        numbers.setstate(state)
        eager._rng = numbers
