"""Random changes of training pictures, as pure functions of seed, epoch and example."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from kft.modalities.image.geometry import EXTENT, Scene
from kft.modalities.image.input_spec import PIXELS
from kft.tasks.base import COMPANIONS

# (scene, seed int32 (2,)) -> changed scene, each element of the same shape.
Change = Callable[[Scene, tf.Tensor], dict[str, tf.Tensor]]
# (float32 picture (height, width, 3), seed int32 (2,)) -> picture in other colours.
Recolouring = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class Recoloured:
    """Change of the pixels of a scene, which moves nothing.

    Attributes:
        recolour: Change of one picture.
    """

    recolour: Recolouring

    def __call__(self, scene: Scene, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """Change the pixels, if the scene has any."""
        if PIXELS not in scene:
            return dict(scene)
        return {**scene, PIXELS: self.recolour(scene[PIXELS], seed)}


@dataclass(frozen=True)
class PictureAugmentation:
    """Change that is applied to each picture of a batch separately, and to its mask and boxes.

    Changes therefore need not handle batches, and of several alternatives only
    the chosen one is computed.

    Attributes:
        change: Change of one scene.
    """

    change: Change

    def __call__(self, examples: Mapping[str, tf.Tensor], seeds: tf.Tensor) -> dict[str, tf.Tensor]:
        """Change each picture by its own seed.

        Args:
            examples: Mapping with pixels, uint8 or float32 (batch, height, width, 3).
            seeds: Seeds, int32 (batch, 2).

        Returns:
            Mapping with pixels of the same shape, float32 in [0, 255].
        """
        return {**examples, **self._change(examples, (PIXELS, *COMPANIONS), seeds)}

    def move_companions(
        self, examples: Mapping[str, tf.Tensor], seeds: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Move masks (batch, height, width) and boxes (batch, boxes, 5) as a call does."""
        return self._change(examples, COMPANIONS, seeds)

    def _change(
        self, examples: Mapping[str, tf.Tensor], names: Sequence[str], seeds: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        scenes = {name: examples[name] for name in names if name in examples}
        extent = tf.constant(tuple(examples[PIXELS].shape[1:3]), tf.float32)
        changed: dict[str, tf.Tensor] = tf.map_fn(
            lambda pair: self._change_one(extent, *pair),
            (scenes, seeds),
            fn_output_signature={
                name: tf.TensorSpec(each.shape[1:], tf.float32 if name == PIXELS else each.dtype)
                for name, each in scenes.items()
            },
            parallel_iterations=32,
        )
        return changed

    def _change_one(self, extent: tf.Tensor, scene: Scene, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        scene = dict(scene)
        if PIXELS in scene:
            scene[PIXELS] = tf.cast(scene[PIXELS], tf.float32)
        changed = self.change({**scene, EXTENT: extent}, seed)
        if PIXELS in scene:
            changed[PIXELS] = tf.clip_by_value(changed[PIXELS], 0.0, 255.0)
        return {name: tf.ensure_shape(changed[name], each.shape) for name, each in scene.items()}


class SeededLayer:
    """Keras image preprocessing layer as a recolouring that draws from the given seed.

    The layer's own generator holds a variable that advances with each call, so
    a picture would depend on earlier draws. Here each draw uses the next seed
    derived from the picture's seed.

    Args:
        layer: Layer that takes pixels in [0, 255]. Set `dtype="float32"`, or a
            mixed policy computes it in 16 bits. AugMix does not work: it chooses
            with Python's `random`, once, when it is traced.
    """

    def __init__(self, layer: keras.Layer) -> None:
        self._layer = layer
        self._draws = _Draws()
        for part in layer._flatten_layers():
            if hasattr(part, "generator"):
                part.generator = self._draws

    def __call__(self, picture: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Change a picture: float32 (height, width, 3)."""
        self._draws.start(seed)
        return tf.ensure_shape(self._layer(picture, training=True), picture.shape)


class _Draws(keras.random.SeedGenerator):
    """Seeds of the draws of one picture: fold_in(seed of the picture, index of the draw)."""

    def __init__(self) -> None:
        super().__init__(seed=0)
        self._seed: tf.Tensor | None = None
        self._num_draws = 0

    def start(self, seed: tf.Tensor) -> None:
        """Start the draws of a picture with this seed, int32 (2,)."""
        self._seed, self._num_draws = seed, 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        """Return the seed of the next draw, int32 (2,)."""
        assert self._seed is not None, "an augmentation layer drew outside a picture"
        self._num_draws += 1
        return tf.random.experimental.stateless_fold_in(self._seed, self._num_draws)
