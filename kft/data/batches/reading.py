"""Reading of examples: their files or values, decoded; and errors that name them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from kft.data.paths import describe_failure
from kft.data.reason_groups import list_by_reason
from kft.data.refusing import make_unreadable_error
from kft.errors import DataError
from kft.examples import Examples, Files, Inputs, Values
from kft.modalities import Decoder
from kft.modalities.model_input import PlacingDecoder, takes_companion
from kft.tasks import Task

# tf.data copies the constants of a function for each iterator; more than this is read by a call.
_LARGEST_CONSTANT_BYTES = 64_000_000


def make_reader(
    examples: Examples, decoder: Decoder
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Make a function from indices (batch) to the elements of these examples, each (batch, …).

    Args:
        examples: Examples to read.
        decoder: Decoder of their inputs, or of inputs and dense targets.
    """
    sources = _list_sources(examples, decoder)
    finders = [_make_finder(source) for source in sources]
    decode = _trace(decoder, tuple(map(_describe_source, sources)))
    return lambda indices: decode(*(find(indices) for find in finders))


Source: TypeAlias = Inputs | np.ndarray


def _list_sources(examples: Examples, decoder: Decoder) -> list[Source]:
    """List what the decoder is called with: inputs, and companions if it takes them."""
    return [examples.inputs, *([examples.companions] if takes_companion(decoder) else [])]


def _describe_source(source: Source) -> tuple[bool, tf.TensorSpec]:
    """Tell whether the items of a source are paths to read, and find the spec of a batch."""
    if isinstance(source, np.ndarray):
        return False, tf.TensorSpec((None, *source.shape[1:]), source.dtype)
    return isinstance(source, Files), tf.TensorSpec((None,), tf.string)


@cache
def _trace(
    decoder: Decoder, sources: tuple[tuple[bool, tf.TensorSpec], ...]
) -> Callable[..., dict[str, tf.Tensor]]:
    """Trace the decoding of a batch, once for all data sets of a process."""
    read_one: Callable[..., dict[str, tf.Tensor]] = decoder

    @tf.function(autograph=False, input_signature=[spec for _, spec in sources])
    def decode(*batches: tf.Tensor) -> dict[str, tf.Tensor]:
        def decode_one(items: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
            contents = [
                tf.io.read_file(item) if is_path else item
                for item, (is_path, _) in zip(items, sources, strict=True)
            ]
            return read_one(*contents)

        return tf.map_fn(
            decode_one, batches, fn_output_signature=decoder.output, parallel_iterations=32
        )

    return decode


def _make_finder(values: Source) -> Callable[[tf.Tensor], tf.Tensor]:
    """Make a function from indices to paths or contents, scalar strings, or to rows."""
    if not isinstance(values, Values):
        items = tf.constant(values.paths if isinstance(values, Files) else values)
        return lambda indices: tf.gather(items, indices)
    if sum(map(len, values.contents)) <= _LARGEST_CONSTANT_BYTES:
        contents = tf.constant(values.contents, tf.string)
        return lambda indices: tf.gather(contents, indices)
    array = np.array(values.contents, object)

    def find(indices: tf.Tensor) -> tf.Tensor:
        found = tf.numpy_function(array.__getitem__, [indices], tf.string, stateful=False)
        return tf.ensure_shape(found, indices.shape)

    return find


def pair_decoder(decoder: Decoder, task: Task, examples: Examples) -> Decoder:
    """Make the decoder of examples and their dense targets; the same decoder if they have none.

    Args:
        decoder: Decoder of the inputs.
        task: Task of the targets; its kind of companion is one that the decoder places.
        examples: Some of the examples, whose arrays of targets have the rows of all.
    """
    if task.companion is None:
        return decoder
    assert isinstance(decoder, PlacingDecoder), "planning refuses targets that cannot be placed"
    num_rows = 0 if examples.target_files is not None else examples.targets.shape[1]
    return decoder.beside(task.companion, num_rows)


def find_unreadable(examples: Examples, decoder: Decoder) -> list[tuple[str, str]]:
    """Path and reason of each example that cannot be read or decoded now, one by one.

    For after a failed iteration: tf.data does not say which file it was.
    """
    problems = []
    is_paired = takes_companion(decoder)
    decode: Callable[..., Any] = decoder
    for index, (name, read) in enumerate(list_contents(examples)):
        try:
            decode(read(), *([_read_companion(examples, index)] if is_paired else []))
        except tf.errors.OpError as error:
            problems.append((_name_both(name, examples, index), error.message.splitlines()[0]))
    return problems


def _name_both(name: str, examples: Examples, index: int) -> str:
    """Name an example, and the file with its target if it has one."""
    files = examples.target_files
    return name if files is None else f"{name} with {files.paths[index]}"


def _read_companion(examples: Examples, index: int) -> tf.Tensor:
    companions = examples.companions
    if isinstance(companions, Files):
        return tf.io.read_file(companions.paths[index])
    return tf.constant(companions[index])


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
    looked_at = list(range(len(examples)) if positions is None else positions)
    problems = [
        (files.paths[i], what)
        for files in (examples.inputs, examples.target_files)
        if isinstance(files, Files) and files.stamps is not None
        for i in looked_at
        if (what := _find_change(files, i))
    ]
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
