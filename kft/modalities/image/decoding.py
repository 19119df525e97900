"""Encoded bytes -> pixels: the one function that training and the exported graph share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import tensorflow as tf

from kft.config.modality_sections import Background, Resize
from kft.modalities.image import exif
from kft.modalities.image.background import BACKGROUND_VALUES
from kft.modalities.image.graph_exif import find_orientation
from kft.modalities.image.input_spec import PIXELS
from kft.modalities.image.sample_scale import FULL_DEPTH, FULL_SCALE, scale_samples
from kft.modalities.model_input import Decoder

# Numbers of pixels that stand for one, as libjpeg can decode at once; the work falls with them.
_JPEG_RATIOS = (1, 2, 4, 8)
# A JPEG is decoded at a fraction of its size where each side is still so many times that of the
# output: then pixels differ by 1 of 255 in the mean, as between one decoder of JPEG and another.
# At twice the output it would be 1.6, at its size 2.5.
_SPARE_SIZE = 4


@dataclass(frozen=True)
class ImageDecoder:
    """An encoded picture -> uint8 pixels (height, width, 3).

    JPEG (turned upright, as its EXIF entry says), PNG, GIF (its first frame),
    BMP and WebP; transparent parts show the background, 16 bits are scaled to
    8 by one depth. What it does not decode as meant, the gate converts.
    Resizing is bilinear with antialiasing. Rounding to uint8 is part of the
    definition, so that pixels kept in memory, read from files and decoded by
    the exported graph are the same.

    Attributes:
        height: Pixels of the output.
        width: Pixels of the output.
        resize: `stretch` changes the aspect ratio, `crop` keeps the largest
            centred part of the right one, `pad` adds black.
        background: What shows through transparent parts.
        depth: Of a PNG of 16 bits, 2**depth - 1 is white, and so is what is above.
    """

    height: int
    width: int
    resize: Resize = "stretch"
    background: Background = "white"
    depth: int = FULL_DEPTH

    @property
    def output(self) -> Mapping[str, tf.TensorSpec]:
        """Pixels uint8 (height, width, 3)."""
        return {PIXELS: tf.TensorSpec((self.height, self.width, 3), tf.uint8)}

    def __call__(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decode one picture, from a scalar string to pixels uint8 (height, width, 3)."""
        return {PIXELS: self.fit(self.decode(encoded))}

    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        """Decode one picture upright, uint8 (any height, any width, 3); a JPEG may be smaller."""
        return decode_picture(
            encoded,
            self.background,
            depth=self.depth,
            least_side=_SPARE_SIZE * max(self.height, self.width),
        )

    def beside(self, companion: str, num_rows: int) -> Decoder:
        """See `PlacingDecoder`; masks and boxes are those of the upright picture."""
        from kft.modalities.image.companions import CompanionDecoder

        # It takes one argument more than the protocol says.
        return cast(Decoder, CompanionDecoder(self, companion, num_rows))

    def with_frame(self) -> Decoder:
        """See `PlacingDecoder`."""
        from kft.modalities.image.companions import FramedDecoder

        return FramedDecoder(self)

    def fit(self, picture: tf.Tensor) -> tf.Tensor:
        """Resize a decoded picture to the output, uint8 (height, width, 3)."""
        if self.resize == "crop":
            picture = self.crop(picture)
        size = self.scale_size(picture) if self.resize == "pad" else (self.height, self.width)
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
        return tf.ensure_shape(rounded, (self.height, self.width, 3))

    def scale_size(self, picture: tf.Tensor) -> tf.Tensor:
        """Height and width of the picture within the output, its aspect ratio kept."""
        size = tf.shape(picture)[:2]
        scale = tf.reduce_min(tf.constant([self.height, self.width]) / size)
        scaled = tf.cast(tf.round(tf.cast(size, tf.float64) * scale), tf.int32)
        return tf.clip_by_value(scaled, 1, [self.height, self.width])

    def crop(self, picture: tf.Tensor) -> tf.Tensor:
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


def decode_picture(
    encoded: tf.Tensor,
    background: Background,
    *,
    depth: int = FULL_DEPTH,
    least_side: int | None = None,
) -> tf.Tensor:
    """A whole picture, upright and opaque: scalar string -> uint8 (height, width, 3).

    Args:
        encoded: The content of its file.
        background: What shows through transparent parts.
        depth: Of a PNG of 16 bits, 2**depth - 1 is white.
        least_side: A JPEG may be smaller by 2, 4 or 8 if no side falls below so many pixels.
    """
    picture = tf.cond(
        tf.equal(tf.strings.substr(encoded, 0, 2), b"\xff\xd8"),
        lambda: _decode_jpeg(encoded, least_side),
        lambda: _decode_other(encoded, background, depth),
    )
    picture.set_shape((None, None, 3))
    return picture


def _decode(encoded: tf.Tensor, *, channels: int) -> tf.Tensor:
    return tf.io.decode_image(encoded, channels=channels, expand_animations=False)


def _decode_jpeg(encoded: tf.Tensor, least_side: int | None) -> tf.Tensor:
    if least_side is None:
        picture = _decode(encoded, channels=3)
    else:
        shorter = tf.reduce_min(tf.image.extract_jpeg_shape(encoded)[:2])
        enough = [tf.cast(shorter >= ratio * least_side, tf.int32) for ratio in _JPEG_RATIOS[1:]]
        picture = tf.switch_case(
            tf.add_n(enough),
            [partial(tf.io.decode_jpeg, encoded, 3, ratio) for ratio in _JPEG_RATIOS],
        )
    return _turn(picture, find_orientation(encoded))


def _decode_other(encoded: tf.Tensor, background: Background, depth: int) -> tf.Tensor:
    """Decode other formats than JPEG; only PNG and WebP may be transparent."""
    start = tf.strings.substr(encoded, 0, 4)
    return tf.case(
        [
            (tf.equal(start, b"\x89PNG"), lambda: _decode_png(encoded, background, depth)),
            (tf.equal(start, b"RIFF"), lambda: _decode_webp(encoded, background)),
        ],
        default=lambda: _decode(encoded, channels=3),
    )


def _decode_png(encoded: tf.Tensor, background: Background, depth: int) -> tf.Tensor:
    bits = _read_head(encoded)[24]
    return tf.cond(
        tf.equal(bits, 16),
        lambda: _decode_deep_png(encoded, background, depth),
        lambda: _decode_usual_png(encoded, background, bits),
    )


def _decode_deep_png(encoded: tf.Tensor, background: Background, depth: int) -> tf.Tensor:
    picture = tf.io.decode_png(encoded, channels=4, dtype=tf.uint16)
    colours = _scale_samples(picture[..., :3], 2**depth - 1)
    opacity = _scale_samples(picture[..., 3:], FULL_SCALE)
    return _lay_on(background, tf.concat([colours, opacity], axis=-1))


def _scale_samples(samples: tf.Tensor, white: int) -> tf.Tensor:
    """uint16 -> uint8 as `scale_samples` has it, from a table: no division for each value."""
    table = tf.constant(scale_samples(np.arange(FULL_SCALE + 1), white))
    return tf.gather(table, tf.cast(samples, tf.int32))


def _decode_usual_png(encoded: tf.Tensor, background: Background, bits: tf.Tensor) -> tf.Tensor:
    # Where a picture of less than 8 bits has no opacity, TensorFlow gives the largest number of
    # that many bits for it, not 255.
    full = tf.bitwise.left_shift(1, bits) - 1
    picture = _decode(encoded, channels=4)
    is_opaque = tf.reduce_all(tf.equal(tf.cast(picture[..., 3], tf.int32), full))
    return tf.cond(is_opaque, lambda: picture[..., :3], lambda: _lay_on(background, picture))


def _decode_webp(encoded: tf.Tensor, background: Background) -> tf.Tensor:
    # TensorFlow refuses a number of channels that is not the picture's own. Never ask it for
    # any number, by 0: for an animation without transparency it writes beyond its memory.
    head = _read_head(encoded)
    is_extended, is_lossless = tf.equal(head[15], ord("X")), tf.equal(head[15], ord("L"))
    has_opacity = tf.logical_or(
        tf.logical_and(is_extended, tf.bitwise.bitwise_and(head[20], 0x10) > 0),
        tf.logical_and(is_lossless, tf.bitwise.bitwise_and(head[24], 0x10) > 0),
    )
    return tf.cond(
        has_opacity,
        lambda: _lay_on(background, _decode(encoded, channels=4)),
        lambda: _decode(encoded, channels=3),
    )


def _read_head(encoded: tf.Tensor) -> tf.Tensor:
    """The first 25 bytes, and zeros after them: int32."""
    head = tf.io.decode_raw(tf.strings.substr(encoded, 0, 25), tf.uint8)
    return tf.pad(tf.cast(head, tf.int32), [[0, 25]])


def _lay_on(background: Background, picture: tf.Tensor) -> tf.Tensor:
    """Pixels of 4 channels (height, width, 4) -> 3."""
    colours, opacity = (tf.cast(part, tf.int32) for part in (picture[..., :3], picture[..., 3:]))
    behind = BACKGROUND_VALUES[background] * (255 - opacity)
    return tf.cast((colours * opacity + behind + 127) // 255, tf.uint8)


def _turn(picture: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Pixels as stored -> upright: from 5 on rows are columns, then either way may be mirrored."""

    def holds(orientations: tuple[int, ...]) -> tf.Tensor:
        return tf.reduce_any(tf.equal(orientation, orientations))

    def turn() -> tf.Tensor:
        turned = tf.cond(orientation >= 5, lambda: _swap_sides(picture), lambda: picture)
        turned = tf.cond(holds((2, 3, 6, 7)), lambda: turned[:, ::-1], lambda: turned)
        return tf.cond(holds((3, 4, 7, 8)), lambda: turned[::-1], lambda: turned)

    return tf.cond(orientation > exif.UPRIGHT, turn, lambda: picture)


def _swap_sides(picture: tf.Tensor) -> tf.Tensor:
    """Pixels uint8 (height, width, 3) -> (width, height, 3).

    By places: for a transpose of bytes oneDNN writes an error on processors without AVX-512,
    though nothing is amiss.
    """
    height, width = tf.shape(picture)[0], tf.shape(picture)[1]
    places = tf.range(width)[:, tf.newaxis] + tf.range(height)[tf.newaxis, :] * width
    return tf.gather(tf.reshape(picture, (-1, 3)), places)
