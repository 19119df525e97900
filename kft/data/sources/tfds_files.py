"""Readers of the examples of a prepared TFDS split, one at a time, for each file format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kft.errors import DataError, first_line

# Number of Parquet rows in memory at a time.
_BATCH_ROWS = 64


class DamagedError(Exception):
    """Reason why the rest of the examples cannot be read."""


def read_elements(builder: Any, split: str, decoders: Mapping[str, Any]) -> Iterator[Any]:
    """Read the examples of a split in the order of its files, as feature -> value.

    Args:
        builder: Builder of the prepared data set.
        split: Name of the split.
        decoders: Feature -> TFDS decoder, for features to leave encoded.

    Raises:
        DamagedError: The files are damaged.
        DataError: Their format needs a package that is not installed.
    """
    kind = builder.info.file_format.value
    read = {"array_record": _read_array_records, "parquet": _read_parquet}.get(kind, _read_dataset)
    try:
        yield from read(builder, split, decoders)
    except ImportError as error:
        raise DataError(
            f"{builder.data_path}: the files are in format {kind}, and the package that reads it "
            f"is not installed: {first_line(error)} Install it, or prepare the data set "
            f"as TFRecord: `tfds build {builder.info.name} --file_format=tfrecord`."
        ) from None


def _read_array_records(builder: Any, split: str, decoders: Mapping[str, Any]) -> Iterator[Any]:
    try:
        yield from builder.as_data_source(split=split, decoders=dict(decoders))
    # The reader raises this for every kind of damage.
    except RuntimeError as error:
        raise DamagedError(first_line(error)) from None


def _read_parquet(builder: Any, split: str, decoders: Mapping[str, Any]) -> Iterator[Any]:
    """Read Parquet in batches; TFDS itself would read a whole file into memory."""
    import pyarrow
    from google.protobuf.message import DecodeError
    from pyarrow import parquet

    features = builder.info.features
    try:
        for path in builder.info.splits[split].filepaths:
            with parquet.ParquetFile(path) as file:
                # One column, of serialised examples.
                for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                    for serialised in batch.column(0):
                        yield features.deserialize_example_np(
                            serialised.as_py(), decoders=dict(decoders)
                        )
    except (pyarrow.ArrowException, DecodeError) as error:
        raise DamagedError(first_line(error)) from None


def _read_dataset(builder: Any, split: str, decoders: Mapping[str, Any]) -> Iterator[Any]:
    import tensorflow as tf
    import tensorflow_datasets as tfds

    try:
        dataset = builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders=dict(decoders) or None,
            # One file at a time keeps the order, and therefore the ids, constant.
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        )
        yield from dataset.as_numpy_iterator()
    except tf.errors.OpError as error:
        raise DamagedError(first_line(error)) from None
