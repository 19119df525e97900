"""Places of decoded examples in their files, for answers about the files."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from kft.data.batches.reading import make_reader
from kft.examples import Examples
from kft.modalities import Decoder
from kft.modalities.model_input import FRAME, PlacingDecoder
from kft.tasks import BOXES, Task

_BATCH_SIZE = 32


def find_frames(examples: Examples, decoder: Decoder, task: Task) -> np.ndarray | None:
    """Find the place of each example in its file, float32 (examples, 6); see `FRAME`.

    Args:
        examples: Examples to read.
        decoder: Decoder of their files.
        task: Task of the targets; None is returned unless they are boxes.
    """
    if task.companion != BOXES:
        return None
    assert isinstance(decoder, PlacingDecoder), "planning refuses targets that cannot be placed"
    read = make_reader(examples, decoder.with_frame())
    starts = range(0, len(examples), _BATCH_SIZE)
    found = [
        read(tf.range(start, min(start + _BATCH_SIZE, len(examples))))[FRAME].numpy()
        for start in starts
    ]
    return np.concatenate(found)
