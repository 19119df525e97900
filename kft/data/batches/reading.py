"""Reading of examples: their files or values, decoded; and errors that name them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kft.data.paths import describe_failure
from kft.data.reason_groups import list_by_reason
from kft.data.refusing import make_unreadable_error
from kft.errors import DataError
from kft.examples import Examples, Files, Inputs, Values
from kft.modalities import Decoder

# tf.data copies the constants of a function for each iterator; more than this is read by a call.
_LARGEST_CONSTANT_BYTES = 64_000_000


def make_reader(inputs: Inputs, decoder: Decoder) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Make a function from indices (batch) to the elements of these examples, each (batch, …)."""
    if isinstance(inputs, Files):
        paths, decode_files = tf.constant(inputs.paths, tf.string), _trace(decoder, True)
        return lambda indices: decode_files(tf.gather(paths, indices))
    find, decode = _make_finder(inputs), _trace(decoder, False)
    return lambda indices: decode(find(indices))


@cache
def _trace(decoder: Decoder, reads_files: bool) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Trace the decoding of a batch, once for all data sets of a process."""

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None,), tf.string)])
    def decode(sources: tf.Tensor) -> dict[str, tf.Tensor]:
        return tf.map_fn(
            lambda source: decoder(tf.io.read_file(source) if reads_files else source),
            sources,
            fn_output_signature=decoder.output,
            parallel_iterations=32,
        )

    return decode


def _make_finder(values: Values) -> Callable[[tf.Tensor], tf.Tensor]:
    """Make a function from indices to contents, scalar strings."""
    if sum(map(len, values.contents)) <= _LARGEST_CONSTANT_BYTES:
        contents = tf.constant(values.contents, tf.string)
        return lambda indices: tf.gather(contents, indices)
    array = np.array(values.contents, object)

    def find(indices: tf.Tensor) -> tf.Tensor:
        found = tf.numpy_function(array.__getitem__, [indices], tf.string, stateful=False)
        return tf.ensure_shape(found, indices.shape)

    return find


def find_unreadable(examples: Examples, decoder: Decoder) -> list[tuple[str, str]]:
    """Path and reason of each example that cannot be read or decoded now, one by one.

    For after a failed iteration: tf.data does not say which file it was.
    """
    problems = []
    for name, read in list_contents(examples):
        try:
            decoder(read())
        except tf.errors.OpError as error:
            problems.append((name, error.message.splitlines()[0]))
    return problems


def list_contents(examples: Examples) -> Iterator[tuple[str, Callable[[], Any]]]:
    """List the path of each file, or the name of each value, with a function to read it."""
    if isinstance(examples.inputs, Files):
        for path in examples.inputs.paths:
            yield path, partial(tf.io.read_file, path)
    else:
        for name, content in zip(examples.ids, examples.inputs.contents, strict=True):
            yield name, partial(tf.constant, content)


def refuse_changed(examples: Examples, positions: Iterable[int] | None = None) -> None:
    """Make sure that files are still those that were checked, by their size and time of change.

    For after they were read: so what was read is what was checked.

    Args:
        examples: What was read; those without stamps pass.
        positions: Of the examples to look at; None for all.

    Raises:
        DataError: It names files that changed or vanished.
    """
    files = examples.inputs
    if not isinstance(files, Files) or files.stamps is None:
        return
    looked_at = range(len(examples)) if positions is None else positions
    problems = [(files.paths[i], what) for i in looked_at if (what := _find_change(files, i))]
    if problems:
        raise DataError(
            f"{len(problems)} of {len(examples)} files changed since they were checked, so that "
            "this run would use others than it says. Let nothing write there meanwhile, and run "
            f"again.\n{list_by_reason(problems)}"
        )


def _find_change(files: Files, position: int) -> str | None:
    assert files.stamps is not None
    path = files.paths[position]
    try:
        status = Path(path).stat()
    except OSError as error:
        return describe_failure(path, error)
    is_same = (status.st_size, status.st_mtime_ns) == files.stamps[position]
    return None if is_same else "written anew"


@contextmanager
def translate_read_errors(examples: Examples, decoder: Decoder) -> Iterator[None]:
    """Around an iteration: an error of TensorFlow's becomes one that names the files behind it.

    Raises:
        DataError: Some file is missing, changed since it was checked, or does not decode.
    """
    try:
        yield
    except tf.errors.OpError as error:
        refuse_changed(examples)
        problems = find_unreadable(examples, decoder)
        if not problems:
            raise
        raise make_unreadable_error(problems, len(examples)) from error
