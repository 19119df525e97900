"""Motion of a picture, and of the mask and the boxes that describe it."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf

from kft.modalities.image.input_spec import PIXELS
from kft.tasks.base import ABSENT, BOXES, MASK, VOID

EXTENT = "extent"
"""Name of the element that holds height and width of a scene in pixels, float32 (2,)."""

Scene = Mapping[str, tf.Tensor]
"""One picture and what moves with it: `EXTENT`, and any of pixels, float32 (height, width, 3), a
mask, uint8 (height, width), and boxes, float32 (boxes, 5)."""

# Share of a box that must stay in the picture: of less, nobody could tell what it is.
_LEAST_VISIBLE = 0.25
# Side of a box in pixels below which nothing of its object is left.
_LEAST_SIDE = 1.0


def move(
    scene: Scene,
    linear: tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor],
    shift: tuple[tf.Tensor, tf.Tensor] = (0.0, 0.0),
) -> dict[str, tf.Tensor]:
    """Move everything in a scene by one affine transformation about its centre.

    A picture is continued by its mirror image, bilinear; a mask by `VOID`, of the nearest pixel.
    Boxes are those around their moved corners.

    Args:
        scene: Picture, mask and boxes.
        linear: a0, a1, b0, b1: output (x, y) comes from input (a0 x + a1 y, b0 x + b1 y).
        shift: Shift of the input, down and across, as a share of height and width.
    """
    height, width = tf.unstack(scene[EXTENT])
    a0, a1, b0, b1 = (tf.convert_to_tensor(each, tf.float32) for each in linear)
    x, y = (width - 1.0) / 2.0, (height - 1.0) / 2.0  # the centre is fixed, apart from the shift
    a2 = x - a0 * x - a1 * y + shift[1] * width
    b2 = y - b0 * x - b1 * y + shift[0] * height
    matrix = tf.stack([a0, a1, a2, b0, b1, b2, 0.0, 0.0])
    moved = dict(scene)
    if PIXELS in scene:
        moved[PIXELS] = _resample(scene[PIXELS], matrix, "bilinear", "reflect")
    if MASK in scene:
        mask = tf.cast(scene[MASK][..., tf.newaxis], tf.float32)
        mask = _resample(mask, matrix, "nearest", "constant", float(VOID))
        moved[MASK] = tf.cast(mask[..., 0], tf.uint8)
    if BOXES in scene:
        moved[BOXES] = _move_boxes(scene[BOXES], matrix, scene[EXTENT])
    return moved


def _resample(
    picture: tf.Tensor, matrix: tf.Tensor, interpolation: str, fill: str, value: float = 0.0
) -> tf.Tensor:
    moved = keras.ops.image.affine_transform(
        picture,
        matrix,
        interpolation=interpolation,
        fill_mode=fill,
        fill_value=value,
        data_format="channels_last",
    )
    return tf.ensure_shape(moved, picture.shape)


def _move_boxes(boxes: tf.Tensor, matrix: tf.Tensor, extent: tf.Tensor) -> tf.Tensor:
    """Boxes around the moved corners; the matrix leads from output to input, so it is inverted."""
    height, width = tf.unstack(extent)
    a0, a1, a2, b0, b1, b2 = tf.unstack(matrix[:6])
    corners = tf.gather(boxes, [[1, 2], [3, 2], [3, 4], [1, 4]], axis=1)  # (boxes, corners, xy)
    # A fraction counts from the edge of the first pixel, the matrix from its centre.
    x = corners[..., 0] * width - 0.5 - a2
    y = corners[..., 1] * height - 0.5 - b2
    determinant = a0 * b1 - a1 * b0
    moved_x = ((b1 * x - a1 * y) / determinant + 0.5) / width
    moved_y = ((a0 * y - b0 * x) / determinant + 0.5) / height
    sides = [
        tf.reduce_min(moved_x, axis=1),
        tf.reduce_min(moved_y, axis=1),
        tf.reduce_max(moved_x, axis=1),
        tf.reduce_max(moved_y, axis=1),
    ]
    return clip_boxes(tf.stack([boxes[:, 0], *sides], axis=1), extent)


def clip_boxes(boxes: tf.Tensor, extent: tf.Tensor) -> tf.Tensor:
    """Cut boxes at the edges of the picture; of one that is nearly outside nothing is left.

    Args:
        boxes: Boxes (boxes, 5), which may lie outside of 0 to 1.
        extent: Height and width of the picture in pixels.
    """
    left, top, right, bottom = tf.unstack(boxes[:, 1:], axis=1)
    clipped = tf.clip_by_value(boxes[:, 1:], 0.0, 1.0)
    across, down = clipped[:, 2] - clipped[:, 0], clipped[:, 3] - clipped[:, 1]
    is_seen = (
        (boxes[:, 0] >= 0.0)
        & (across * down >= _LEAST_VISIBLE * (right - left) * (bottom - top))
        & (across * extent[1] >= _LEAST_SIDE)
        & (down * extent[0] >= _LEAST_SIDE)
    )
    kept = tf.concat([boxes[:, :1], clipped], axis=1)
    gone = tf.constant([ABSENT, 0.0, 0.0, 0.0, 0.0])
    return tf.where(is_seen[:, tf.newaxis], kept, gone)
