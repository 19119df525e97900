"""TensorFlow's first import, without the notices that it prints before logging is set up."""

from __future__ import annotations

import atexit
import gc
import logging
import re
import sys
from typing import TYPE_CHECKING

from kft.garbage import without_collection
from kft.machine import set_threads
from kft.stderr_filter import filter_stderr
from kft.workers import read_cluster

if TYPE_CHECKING:
    from kft.config import Pipeline

# No environment variable silences these: they come before TensorFlow reads any.
_NOTICE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog|"
    rb"I\d{4} .*(oneDNN custom operations|Could not find cuda drivers|optimized to use available)|"
    rb"To enable the following instructions|"
    rb"E\d{4} .*failed call to cuInit"
)


def is_not_retracing(record: logging.LogRecord) -> bool:
    """Whether a message is worth a word; each phase and each trial has a graph of its own."""
    return "triggered tf.function retracing" not in record.getMessage()


def start_tensorflow(pipeline: Pipeline | None = None) -> None:
    """Import TensorFlow and find its devices; print only what is no mere notice.

    `kft doctor` tells of devices and drivers in words.

    Args:
        pipeline: What will be run: its number of threads, which holds only if
            it is set before TensorFlow starts.

    Raises:
        DataError: There are no such data, which is told before the seconds of an import.
        StorageError: The cache folder cannot be written, likewise.
    """
    threads = None
    if pipeline is not None:
        from kft.data.loading import check_source
        from kft.runs.storage import check_cache
        from kft.timing import apply_measured, load_measured

        check_source(pipeline.data)
        check_cache()
        threads = int(apply_measured(pipeline, load_measured(pipeline)).training.threads)
    logging.getLogger("tensorflow").addFilter(is_not_retracing)
    if "tensorflow" in sys.modules:
        if threads is not None:
            set_threads(threads)
        return
    # Of its hundreds of thousands of objects none is garbage as long as the process runs. Python
    # looked through them again and again: a fifth of the import, and a second at the end.
    atexit.register(gc.freeze)
    with filter_stderr(_NOTICE), without_collection():
        import tensorflow as tf

        # TensorFlow itself keeps the number, which it takes only before it uses a device.
        if threads is not None:
            set_threads(threads)
        if read_cluster() is None:
            tf.config.list_logical_devices()
        else:
            # TensorFlow can join a cluster only before it uses a device.
            tf.config.list_physical_devices()
    gc.freeze()
