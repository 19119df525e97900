"""The bytes of a video -> a clip of a fixed number of frames: shared by training and the export."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from kft.config.modality_sections import Resize
from kft.modalities.image.decoding import ImageDecoder
from kft.modalities.image.input_spec import PIXELS
from kft.modalities.video.frame_file import FRAMES, MAGIC
from kft.modalities.video.input_spec import CLIP


@dataclass(frozen=True)
class VideoDecoder:
    """An animated GIF, or a file of frames as kft keeps them -> uint8 (frames, height, width, 3).

    Attributes:
        frames: Number of frames of the clip. A video with fewer repeats some.
        height: Height in pixels.
        width: Width in pixels.
        stride: Frames from one of the clip to the next, with the clip in the middle of the
            video; None spreads the clip evenly over all of it.
        resize: See `ImageDecoder`.
    """

    frames: int
    height: int
    width: int
    stride: int | None = None
    resize: Resize = "stretch"

    @property
    def output(self) -> dict[str, tf.TensorSpec]:
        """The clip, uint8 (frames, height, width, 3)."""
        return {CLIP: tf.TensorSpec((self.frames, self.height, self.width, 3), tf.uint8)}

    def __call__(self, content: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decode the clip of one file.

        Raises:
            InvalidArgumentError: The file is neither, or is damaged.
        """
        is_gif = tf.equal(tf.strings.substr(content, 0, 4), b"GIF8")
        clip = tf.cond(is_gif, lambda: self._read_gif(content), lambda: self._read_frames(content))
        return {CLIP: tf.ensure_shape(clip, self.output[CLIP].shape)}

    def choose_places(self, count: tf.Tensor) -> tf.Tensor:
        """Numbers of the frames of the clip in a video of `count` frames, int64 (frames,)."""
        count = tf.cast(count, tf.int64)
        steps = tf.range(self.frames, dtype=tf.int64)
        if self.stride is None:
            # The middle of each of equal parts.
            return (2 * steps + 1) * count // (2 * self.frames)
        length = (self.frames - 1) * self.stride + 1
        first = tf.maximum((count - length) // 2, 0)
        return tf.minimum(first + steps * self.stride, count - 1)

    def _read_gif(self, content: tf.Tensor) -> tf.Tensor:
        every = tf.io.decode_gif(content)
        chosen = tf.gather(every, self.choose_places(tf.shape(every)[0]))
        fit = ImageDecoder(self.height, self.width, self.resize).fit
        return tf.map_fn(fit, chosen, fn_output_signature=tf.uint8)

    def _read_frames(self, content: tf.Tensor) -> tf.Tensor:
        begin = len(MAGIC)
        is_known = tf.debugging.Assert(
            tf.equal(tf.strings.substr(content, 0, begin), MAGIC),
            ["neither an animated GIF nor a file of frames that kft made"],
        )
        with tf.control_dependencies([is_known]):
            packed = tf.strings.substr(content, begin, tf.strings.length(content))
        listed = tf.io.parse_single_example(packed, {FRAMES: tf.io.VarLenFeature(tf.string)})
        frames = listed[FRAMES].values
        decode = ImageDecoder(self.height, self.width, self.resize)
        return tf.map_fn(
            lambda frame: decode(frame)[PIXELS],
            tf.gather(frames, self.choose_places(tf.size(frames))),
            fn_output_signature=decode.output[PIXELS],
        )
