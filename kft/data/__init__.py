"""Source -> `Splits` of (inputs, targets), and their way into tf.data.

`load_splits` finds, splits and checks the examples; `kft.data.decoding` and
`kft.data.input_pipeline` (which import TensorFlow) turn them into batches.
"""

from __future__ import annotations

from kft.data.admitting import write_quarantine_csv
from kft.data.loading import SOURCES, load_splits
from kft.data.split_files import format_target, write_splits_csv
from kft.data.splits import SPLIT_NAMES, Examples, SplitName, Splits, TargetKind

__all__ = [
    "SOURCES",
    "SPLIT_NAMES",
    "Examples",
    "SplitName",
    "Splits",
    "TargetKind",
    "format_target",
    "load_splits",
    "write_quarantine_csv",
    "write_splits_csv",
]
