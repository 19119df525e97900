"""Random changes of training clips, as a pure function of (seed, epoch, example)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from kft.modalities.image.jitter import ImageJitter
from kft.modalities.video.input_spec import CLIP


@dataclass(frozen=True)
class ClipJitter:
    """Change of a clip: where it begins, and one change of all of its frames.

    No preset mirrors a clip: to the left would become to the right.

    Attributes:
        change: Change of a frame; None changes only where the clip begins.
        spare: Number of frames around those that the model reads; each of them may be the start.
    """

    change: ImageJitter | None = None
    spare: int = 0

    def __call__(self, inputs: Mapping[str, tf.Tensor], seeds: tf.Tensor) -> dict[str, tf.Tensor]:
        """Change each clip by its own seed.

        Args:
            inputs: {"clip": uint8 or float32 (batch, frames, height, width, 3)}.
            seeds: int32 (batch, 2).
        """
        clips = inputs[CLIP]
        changed = tf.map_fn(
            lambda pair: self._change(*pair),
            (clips, seeds),
            fn_output_signature=tf.TensorSpec(clips.shape[1:], tf.float32),
            parallel_iterations=32,
        )
        return {**inputs, CLIP: changed}

    def _change(self, clip: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        for_start, for_frames = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        changed, change = tf.cast(clip, tf.float32), self.change
        if self.spare:
            start = tf.random.stateless_uniform((), for_start, 0, self.spare + 1, tf.int32)
            # The model reads the frames in the middle.
            changed = tf.roll(changed, self.spare // 2 - start, axis=0)
        if change is not None:
            changed = tf.map_fn(lambda frame: change(frame, for_frames), changed)
            changed = tf.clip_by_value(changed, 0.0, 255.0)
        return tf.ensure_shape(changed, clip.shape)


def make_start() -> ClipJitter:
    """Make the preset `start`: a clip begins at any of the spare frames."""
    return ClipJitter()


def make_light() -> ClipJitter:
    """Make the preset `light`: shifted and scaled a little."""
    return ClipJitter(ImageJitter(shift=0.1, zoom=0.1, mirror=False))


def make_medium() -> ClipJitter:
    """Make the preset `medium`: like `light`, and rotated and recoloured a little."""
    return ClipJitter(ImageJitter(shift=0.1, zoom=0.2, degrees=10.0, colour=0.2, mirror=False))


def make_strong() -> ClipJitter:
    """Make the preset `strong`: `medium` but stronger; half of the clips are partly covered."""
    return ClipJitter(
        ImageJitter(shift=0.15, zoom=0.3, degrees=15.0, colour=0.4, erasing=0.5, mirror=False)
    )
