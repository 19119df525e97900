"""The first import of TensorFlow, without the notices that it prints before logging is set up."""

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

# No environment variable silences these, because they come before TensorFlow reads any.
_NOTICE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog|"
    rb"I\d{4} .*(oneDNN custom operations|Could not find cuda drivers|optimized to use available)|"
    rb"To enable the following instructions|"
    rb"E\d{4} .*failed call to cuInit"
)


def is_not_retracing(record: logging.LogRecord) -> bool:
    """Whether a message is not about retracing, which is normal: each phase has its own graph."""
    return "triggered tf.function retracing" not in record.getMessage()


def start_tensorflow(pipeline: Pipeline | None = None) -> None:
    """Import TensorFlow and find its devices, without its notices.

    `kft doctor` describes devices and drivers instead.

    Args:
        pipeline: Pipeline to run; its number of threads must be set before
            TensorFlow starts.

    Raises:
        DataError: The data do not exist; checked before the slow import.
        StorageError: The cache folder is not writable; checked before the slow import.
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
    # None of TensorFlow's hundreds of thousands of objects becomes garbage while the process runs.
    # Scanning them again and again took a fifth of the import, and a second at the end.
    atexit.register(gc.freeze)
    with filter_stderr(_NOTICE), without_collection():
        import tensorflow as tf

        # TensorFlow accepts a number of threads only before it uses a device.
        if threads is not None:
            set_threads(threads)
        if read_cluster() is None:
            tf.config.list_logical_devices()
        else:
            # TensorFlow can join a cluster only before it uses a device.
            tf.config.list_physical_devices()
    gc.freeze()
