"""Presets `light`, `medium` and `strong`: changes that keep the label of a photograph."""

from __future__ import annotations

import math
from dataclasses import dataclass

import tensorflow as tf

from kft.modalities.image.augmentation import PictureAugmentation
from kft.modalities.image.geometry import EXTENT, Scene, move
from kft.modalities.image.input_spec import PIXELS
from kft.tasks.base import MASK, VOID

# Luma weights of red, green and blue in ITU-R BT.601.
_LUMA = (0.299, 0.587, 0.114)
# Ranges of random erasing: share of the area, and height over width.
_ERASED_AREA = (0.02, 0.2)
_ERASED_ASPECT = (0.3, 1 / 0.3)


@dataclass(frozen=True)
class ImageJitter:
    """Change that mirrors, shifts, scales, rotates, recolours and partly covers a picture.

    All geometry is one resampling, and all colour one sum of three terms: this
    blurs less than Keras's layers in sequence, and takes less than half of
    their time. The picture is continued by its mirror image, and its mask by
    nothing known; what is covered has no class either.

    Attributes:
        shift: Largest shift down and across, as a share of height and width.
        zoom: Largest change of scale, as a share.
        degrees: Largest rotation to either side.
        colour: Largest change of brightness, contrast and saturation, as a share.
        erasing: Share of pictures with a rectangle covered by the picture's mean
            brightness (Zhong et al., arXiv:1708.04896).
        mirror: Whether half of the pictures are mirrored.
    """

    shift: float = 0.0
    zoom: float = 0.0
    degrees: float = 0.0
    colour: float = 0.0
    erasing: float = 0.0
    mirror: bool = True

    def __call__(self, scene: Scene, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """Change a scene; its pixels are in [0, 255]."""
        draws = tf.unstack(tf.random.stateless_uniform((13,), seed))
        changed = self._move(scene, draws[:5])
        if self.colour and PIXELS in scene:
            changed[PIXELS] = self._light(changed[PIXELS], draws[5:8])
        if self.erasing:
            changed = self._erase(changed, draws[8:])
        return changed

    def _move(self, scene: Scene, draws: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        flip, zoom, down, across, turn = draws
        scale_y = 1.0 + self.zoom * (2.0 * zoom - 1.0)
        scale_x = tf.where(flip < 0.5, -scale_y, scale_y) if self.mirror else scale_y
        angle = math.radians(self.degrees) * (2.0 * turn - 1.0)
        linear = (
            *(scale_x * tf.cos(angle), -scale_y * tf.sin(angle)),
            *(scale_x * tf.sin(angle), scale_y * tf.cos(angle)),
        )
        shift = (self.shift * (2.0 * down - 1.0), self.shift * (2.0 * across - 1.0))
        return move(scene, linear, shift)

    def _light(self, picture: tf.Tensor, draws: list[tf.Tensor]) -> tf.Tensor:
        """Scale brightness, saturation about the grey picture, and contrast about its mean."""
        brightness, contrast, saturation = (1.0 + self.colour * (2.0 * d - 1.0) for d in draws)
        grey = _grey(picture)
        kept = brightness * contrast * saturation
        changed = (
            kept * picture
            + (brightness * contrast - kept) * grey
            + (brightness - brightness * contrast) * tf.reduce_mean(grey)
        )
        return tf.clip_by_value(changed, 0.0, 255.0)

    def _erase(self, scene: Scene, draws: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        happens, area, aspect, down, across = draws
        low, high = _ERASED_AREA
        area = tf.where(happens < self.erasing, low + (high - low) * area, 0.0)
        shortest, longest = (math.log(bound) for bound in _ERASED_ASPECT)
        aspect = tf.exp(shortest + (longest - shortest) * aspect)
        height, width = tf.unstack(scene[EXTENT])
        rows = _stretch(height, tf.sqrt(area * aspect), down)
        columns = _stretch(width, tf.sqrt(area / aspect), across)
        covered = rows[:, tf.newaxis] & columns[tf.newaxis, :]
        erased = dict(scene)
        if PIXELS in scene:
            picture = scene[PIXELS]
            grey = tf.reduce_mean(_grey(picture))
            erased[PIXELS] = tf.where(covered[..., tf.newaxis], grey, picture)
        if MASK in scene:
            erased[MASK] = tf.where(covered, tf.constant(VOID, tf.uint8), scene[MASK])
        return erased


def _grey(picture: tf.Tensor) -> tf.Tensor:
    """Convert to grey, (height, width, 1)."""
    red, green, blue = (picture[..., i : i + 1] * weight for i, weight in enumerate(_LUMA))
    return red + green + blue


def _stretch(size: tf.Tensor, share: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """Select a stretch of the given share of `size`, at a random position: bool (size)."""
    length = tf.round(share * size)
    start = tf.floor(draw * (size - length + 1.0))
    place = tf.range(size)
    return (place >= start) & (place < start + length)


LIGHT = ImageJitter(shift=0.1, zoom=0.1)


def make_light() -> PictureAugmentation:
    """Make `light`: mirrored half of the time, shifted and scaled a little."""
    return PictureAugmentation(LIGHT)


def make_medium() -> PictureAugmentation:
    """Make `medium`: like `light`, and rotated and recoloured a little."""
    return PictureAugmentation(ImageJitter(shift=0.1, zoom=0.2, degrees=15.0, colour=0.2))


def make_strong() -> PictureAugmentation:
    """Make `strong`: like `medium` but stronger; half of the pictures are partly covered."""
    return PictureAugmentation(
        ImageJitter(shift=0.15, zoom=0.3, degrees=25.0, colour=0.4, erasing=0.5)
    )
