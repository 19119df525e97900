"""Encoded bytes -> pixels: the one function that training and the exported graph share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import tensorflow as tf

from kft.config.schema import DataConfig
from kft.registry import Registry

DECODERS = Registry("modality", {"image": "kft.data.decoding:ImageDecoder"})


@dataclass(frozen=True)
class ImageDecoder:
    """An encoded picture -> uint8 pixels (height, width, 3).

    JPEG, PNG, GIF (its first frame), BMP and WebP; alpha is dropped, 16 bits
    are cut to 8. Resizing is bilinear with antialiasing. Rounding to uint8 is
    part of the definition, so that pixels kept in memory, read from files and
    decoded by the exported graph are the same.

    Attributes:
        height: Pixels of the output.
        width: Pixels of the output.
        resize: `stretch` changes the aspect ratio, `crop` keeps the largest
            centred part of the right one, `pad` adds black.
    """

    height: int
    width: int
    resize: Literal["stretch", "crop", "pad"] = "stretch"

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return (self.height, self.width, 3)

    def __call__(self, encoded: tf.Tensor) -> tf.Tensor:
        """The pixels of one picture: scalar string -> uint8 (height, width, 3)."""
        picture = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        picture.set_shape((None, None, 3))
        if self.resize == "crop":
            picture = self._crop(picture)
        size = self._fit(picture) if self.resize == "pad" else (self.height, self.width)
        resized = tf.image.resize(picture, size, antialias=True)
        rounded = tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)
        if self.resize == "pad":
            # Not tf.image.resize_with_pad: it fails where a thin side would round to nothing.
            rounded = tf.image.pad_to_bounding_box(
                rounded,
                (self.height - size[0]) // 2,
                (self.width - size[1]) // 2,
                self.height,
                self.width,
            )
        return tf.ensure_shape(rounded, self.output_shape)

    def _fit(self, picture: tf.Tensor) -> tf.Tensor:
        """Height and width of the picture within the output, its aspect ratio kept."""
        size = tf.shape(picture)[:2]
        scale = tf.reduce_min(tf.constant([self.height, self.width]) / size)
        scaled = tf.cast(tf.round(tf.cast(size, tf.float64) * scale), tf.int32)
        return tf.clip_by_value(scaled, 1, [self.height, self.width])

    def _crop(self, picture: tf.Tensor) -> tf.Tensor:
        """The largest centred part with the aspect ratio of the output."""
        height, width = tf.shape(picture)[0], tf.shape(picture)[1]
        kept_height = tf.maximum(1, tf.minimum(height, width * self.height // self.width))
        kept_width = tf.maximum(1, tf.minimum(width, height * self.width // self.height))
        return tf.image.crop_to_bounding_box(
            picture,
            (height - kept_height) // 2,
            (width - kept_width) // 2,
            kept_height,
            kept_width,
        )


def make_decoder(modality: str, height: int, width: int, config: DataConfig) -> Any:
    """The decoder of a backbone's modality, at its input size.

    Args:
        modality: What the backbone reads; `image`.
        height: Pixels of the backbone's input.
        width: Pixels of the backbone's input.
        config: The `data` section, for `resize`.

    Raises:
        ConfigError: The modality is unknown.
    """
    return DECODERS.load(modality)(height=height, width=width, resize=config.resize)
