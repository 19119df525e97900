"""Random changes of training clips, as a pure function of (seed, epoch, example)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from kft.modalities.image.augmentation import PictureAugmentation
from kft.modalities.image.input_spec import PIXELS
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
        given = inputs[CLIP]
        clips = self._start(tf.cast(given, tf.float32), seeds)
        if self.change is not None:
            frames = tf.reshape(clips, (-1, *clips.shape[2:]))
            # A change is a function of its seed: so it is the same for all frames of a clip.
            for_frames = tf.repeat(seeds, clips.shape[1], axis=0)
            changed = PictureAugmentation(self.change)({PIXELS: frames}, for_frames)[PIXELS]
            clips = tf.reshape(changed, (-1, *clips.shape[1:]))
        return {**inputs, CLIP: tf.ensure_shape(clips, given.shape)}

    def _start(self, clips: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """Move the frames, so that those in the middle, which the model reads, are others."""
        if not self.spare:
            return clips
        # Of another seed than the change of the frames.
        starts = tf.map_fn(
            lambda seed: tf.random.stateless_uniform((), seed + 1, 0, self.spare + 1, tf.int32),
            seeds,
        )
        count = clips.shape[1]
        places = (tf.range(count) + starts[:, tf.newaxis] - self.spare // 2) % count
        return tf.gather(clips, places, batch_dims=1)


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
