"""Masks and boxes, placed as the decoder places their picture; and the frame that it chose.

Masks and boxes are those of the upright picture: its EXIF entry turns the picture alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from kft.modalities.image.decoding import ImageDecoder
from kft.modalities.image.geometry import clip_boxes
from kft.modalities.image.graph_exif import find_orientation
from kft.modalities.model_input import FRAME
from kft.tasks.base import MASK, VOID


@dataclass(frozen=True)
class CompanionDecoder:
    """A picture and its mask or boxes -> pixels, and the mask or boxes of these pixels.

    Of a mask the nearest pixel is taken, so that no class is mixed; what `pad` adds is `VOID`.
    Boxes that `crop` cuts off are gone.

    Attributes:
        decoder: Decoder of the picture.
        companion: `MASK` or `BOXES`.
        num_rows: Rows of boxes of each picture.
    """

    decoder: ImageDecoder
    companion: str
    num_rows: int = 0

    @property
    def output(self) -> Mapping[str, tf.TensorSpec]:
        """Pixels; and the mask uint8 (height, width), or boxes float32 (rows, 5)."""
        size = (self.decoder.height, self.decoder.width)
        spec = (
            tf.TensorSpec(size, tf.uint8)
            if self.companion == MASK
            else tf.TensorSpec((self.num_rows, 5), tf.float32)
        )
        return {**self.decoder.output, self.companion: spec}

    def __call__(self, encoded: tf.Tensor, companion: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decode one picture.

        Args:
            encoded: The file, a scalar string.
            companion: A PNG of class indices in 8 bits, a scalar string; or boxes (rows, 5).
        """
        picture = self.decoder.decode(encoded)
        if self.companion == MASK:
            placed = self._place_mask(tf.io.decode_png(companion, channels=1))
        else:
            placed = self._place_boxes(companion, find_bounds(self.decoder, picture))
        pixels = {name: self.decoder.fit(picture) for name in self.decoder.output}
        return {**pixels, self.companion: placed}

    def _place_mask(self, mask: tf.Tensor) -> tf.Tensor:
        decoder = self.decoder
        height, width = decoder.height, decoder.width
        if decoder.resize == "crop":
            mask = decoder.crop(mask)
        size = decoder.scale_size(mask) if decoder.resize == "pad" else (height, width)
        mask = tf.image.resize(mask, size, method="nearest")[..., 0]
        if decoder.resize == "pad":
            top, left = (height - size[0]) // 2, (width - size[1]) // 2
            around = [[top, height - size[0] - top], [left, width - size[1] - left]]
            mask = tf.pad(mask, around, constant_values=VOID)
        return tf.ensure_shape(mask, (height, width))

    def _place_boxes(self, boxes: tf.Tensor, bounds: tf.Tensor) -> tf.Tensor:
        top, left, bottom, right = tf.unstack(bounds)
        start = tf.stack([left, top, left, top])
        placed = (boxes[:, 1:] - start) / (tf.stack([right, bottom, right, bottom]) - start)
        extent = tf.constant([self.decoder.height, self.decoder.width], tf.float32)
        return clip_boxes(tf.concat([boxes[:, :1], placed], axis=1), extent)


@dataclass(frozen=True)
class FramedDecoder:
    """A picture -> pixels and the frame that these pixels show of it; see `FRAME`.

    Attributes:
        decoder: Decoder of the picture.
    """

    decoder: ImageDecoder

    @property
    def output(self) -> Mapping[str, tf.TensorSpec]:
        """Pixels, and the frame float32 (6,)."""
        return {**self.decoder.output, FRAME: tf.TensorSpec((6,), tf.float32)}

    def __call__(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decode one picture, from a scalar string."""
        picture = self.decoder.decode(encoded)
        size = tf.cond(
            tf.equal(tf.strings.substr(encoded, 0, 2), b"\xff\xd8"),
            lambda: _find_jpeg_size(encoded),
            lambda: tf.shape(picture)[:2],
        )
        frame = tf.concat([tf.cast(size, tf.float32), find_bounds(self.decoder, picture)], axis=0)
        pixels = {name: self.decoder.fit(picture) for name in self.decoder.output}
        return {**pixels, FRAME: tf.ensure_shape(frame, (6,))}


def find_bounds(decoder: ImageDecoder, picture: tf.Tensor) -> tf.Tensor:
    """Find the part of a picture that the output shows: top, left, bottom, right, float32 (4,).

    They are fractions of its height and width; what `pad` adds lies outside of 0 to 1.
    """
    size = tf.cast(tf.shape(picture)[:2], tf.float32)
    if decoder.resize == "stretch":
        return tf.constant([0.0, 0.0, 1.0, 1.0])
    if decoder.resize == "crop":
        kept = tf.shape(decoder.crop(picture))[:2]
        start = tf.cast((tf.shape(picture)[:2] - kept) // 2, tf.float32)
        return tf.concat([start / size, (start + tf.cast(kept, tf.float32)) / size], axis=0)
    whole, scaled = tf.constant([decoder.height, decoder.width]), decoder.scale_size(picture)
    start = tf.cast((whole - scaled) // 2, tf.float32)
    inside = tf.cast(scaled, tf.float32)
    return tf.concat([-start / inside, (tf.cast(whole, tf.float32) - start) / inside], axis=0)


def _find_jpeg_size(encoded: tf.Tensor) -> tf.Tensor:
    """Height and width of an upright JPEG, which may have been decoded at a fraction of them."""
    size = tf.image.extract_jpeg_shape(encoded)[:2]
    return tf.where(find_orientation(encoded) >= 5, size[::-1], size)
