"""Loading of data sources into `Splits`, and tf.data pipelines over them.

`load_splits` finds, splits and checks the examples; `kft.data.batches.pipeline` (which imports
TensorFlow) turns them into batches.
"""

from __future__ import annotations

from kft.data.admission.admit import write_quarantine_csv
from kft.data.loading import SOURCES, load_splits
from kft.data.splitting.split_files import write_splits_csv
from kft.examples import SPLIT_NAMES, Examples, SplitName, Splits

__all__ = [
    "SOURCES",
    "SPLIT_NAMES",
    "Examples",
    "SplitName",
    "Splits",
    "load_splits",
    "write_quarantine_csv",
    "write_splits_csv",
]
