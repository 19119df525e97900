"""The examples of a prepared TFDS split, whatever format its files have, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kft.errors import DataError, first_line

# Rows of a Parquet file that are in memory at one time.
_BATCH_ROWS = 64


class DamagedError(Exception):
    """Why examples cannot be read from some place on."""


def read_elements(builder: Any, split: str, decoders: Mapping[str, Any]) -> Iterator[Any]:
    """The examples of a split in the order of its files: feature -> value.

    Args:
        builder: That of the prepared data set.
        split: Name of the split.
        decoders: Feature -> TFDS decoder, for those that are not to be decoded.

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
            f"{builder.data_path}: its files are in format {kind}, and what reads it is not "
            f"installed: {first_line(error)} Install it, or prepare the data set as TFRecord: "
            f"`tfds build {builder.info.name} --file_format=tfrecord`."
        ) from None


def _read_array_records(builder: Any, split: str, decoders: Mapping[str, Any]) -> Iterator[Any]:
    try:
        yield from builder.as_data_source(split=split, decoders=dict(decoders))
    # The reader says so of whatever it finds.
    except RuntimeError as error:
        raise DamagedError(first_line(error)) from None


def _read_parquet(builder: Any, split: str, decoders: Mapping[str, Any]) -> Iterator[Any]:
    """TFDS itself would read a whole file into memory."""
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
            # One file at a time, so that the order, and with it the ids, is always the same.
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        )
        yield from dataset.as_numpy_iterator()
    except tf.errors.OpError as error:
        raise DamagedError(first_line(error)) from None
