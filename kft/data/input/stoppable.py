"""The elements of a data set, by an iteration that can be stopped while it waits for the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

# What tf.distribute's coordinator cancels functions with; there is no public name for it.
from tensorflow.python.eager import cancellation, context, execute


class Stoppable:
    """One iteration over a data set.

    An iterator of TensorFlow's that waits for another machine cannot be let go
    of: nothing ends its wait, and the thread in it keeps it alive.

    Args:
        dataset: Of tensors, in any structure.
    """

    def __init__(self, dataset: tf.data.Dataset) -> None:
        self._dataset = dataset
        self._cancellation = cancellation.CancellationManager()

    def __iter__(self) -> Iterator[Any]:
        """The elements.

        Raises:
            CancelledError: It was stopped.
        """
        specs = tf.nest.flatten(self._dataset.element_spec)
        types, shapes = [spec.dtype for spec in specs], [spec.shape for spec in specs]
        inputs = [tf.raw_ops.AnonymousIteratorV3(output_types=types, output_shapes=shapes)]
        variant = tf.data.experimental.to_variant(self._dataset)
        tf.raw_ops.MakeIterator(dataset=variant, iterator=inputs[0])
        attributes = ("output_types", [t.as_datatype_enum for t in types], "output_shapes", shapes)
        try:
            while True:
                element = execute.execute_with_cancellation(
                    "IteratorGetNext",
                    len(types),
                    inputs,
                    attributes,
                    context.context(),
                    self._cancellation,
                )
                yield tf.nest.pack_sequence_as(self._dataset.element_spec, element)
        except tf.errors.OutOfRangeError:
            return
        finally:
            # The iterator ends with the last reference, and a traceback holds on to this list.
            inputs.clear()

    def stop(self) -> None:
        """End the iteration, also one that waits; from any thread."""
        self._cancellation.start_cancel()
