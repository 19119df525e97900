"""Mixup and cutmix: two examples become one, with a share of each target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Mixing:
    """Blends each example of a batch with another one of it, drawn by (seed, step).

    A batch has one share, drawn from Beta(alpha, alpha), and one random
    pairing. Targets become dense float32 (batch, classes). An example alone in
    its batch stays as it is.

    Attributes:
        num_classes: Width of the dense targets.
        mixup: Alpha of mixup: inputs and targets are averaged, by the share.
            0 for none, but not for both.
        cutmix: Alpha of cutmix: a box comes from the other example, and its
            part of the whole is the other target's share. For examples that
            have extent: (batch, …, channels), as decoded. 0 for none; with
            both above 0 a fair coin chooses for each batch.

    Source: Zhang et al., mixup, arXiv:1710.09412; Yun et al., CutMix, arXiv:1905.04899.
    """

    num_classes: int
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        assert self.mixup >= 0.0 and self.cutmix >= 0.0 and self.mixup + self.cutmix > 0.0

    def __call__(
        self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, *, seed: int, step: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Mix one batch.

        Args:
            inputs: Inputs by name, float32 (batch, …); (batch, …, channels) for cutmix, which
                takes a box at the same place of each.
            targets: Class indices (batch), or dense (batch, classes).
            seed: Seed of the run.
            step: Number of the batch.

        Returns:
            Inputs of the same shapes, targets float32 (batch, classes).
        """
        # [seed, 0] is the key of augmentation.
        key = tf.random.experimental.stateless_fold_in(
            tf.constant([seed, 1], tf.int32), tf.cast(step, tf.int32)
        )
        pairing, share, box, coin = tf.unstack(tf.random.experimental.stateless_split(key, 4))
        dense = self._make_dense(targets)
        size = tf.shape(targets)[0]
        others = tf.random.experimental.index_shuffle(tf.range(size), pairing, size - 1)
        pairs = {name: (each, tf.gather(each, others)) for name, each in inputs.items()}

        def blend() -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            kept = _draw_beta(self.mixup, share)
            return {name: kept * a + (1.0 - kept) * b for name, (a, b) in pairs.items()}, kept

        def cut() -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            drawn = _draw_beta(self.cutmix, share)
            pasted = {name: _paste(*pair, drawn, box) for name, pair in pairs.items()}
            # Boxes are the same share of each element.
            _, kept = next(iter(pasted.values()))
            return {name: each for name, (each, _) in pasted.items()}, kept

        if self.mixup and self.cutmix:
            mixed, kept = tf.cond(tf.random.stateless_uniform((), coin) < 0.5, blend, cut)
        else:
            mixed, kept = blend() if self.mixup else cut()
        # Alone, an example is its own other; blending would round it.
        mixed = {
            name: tf.where(size > 1, tf.ensure_shape(mixed[name], each.shape), each)
            for name, each in inputs.items()
        }
        return mixed, kept * dense + (1.0 - kept) * tf.gather(dense, others)

    def _make_dense(self, targets: tf.Tensor) -> tf.Tensor:
        if targets.shape.rank == 1 and targets.dtype.is_integer:
            return tf.one_hot(targets, self.num_classes)
        assert targets.shape.rank == 2, f"targets of shape {targets.shape} cannot be mixed"
        return tf.cast(targets, tf.float32)


def _draw_beta(alpha: float, seed: tf.Tensor) -> tf.Tensor:
    """A number of Beta(alpha, alpha), float32 scalar.

    It is a ratio of two gamma variables. A small alpha makes both too small for
    a float; their logarithms are not, since Gamma(a) is Gamma(a + 1) times
    U**(1/a).
    """
    for_gamma, for_uniform = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    gamma = tf.random.stateless_gamma((2,), for_gamma, alpha + 1.0, dtype=tf.float64)
    # 1 - U, for U may be 0.
    uniform = 1.0 - tf.random.stateless_uniform((2,), for_uniform, dtype=tf.float64)
    logarithms = tf.math.log(gamma) + tf.math.log(uniform) / alpha
    return tf.cast(tf.sigmoid(logarithms[0] - logarithms[1]), tf.float32)


def _paste(
    inputs: tf.Tensor, others: tf.Tensor, kept: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Examples with a box of the others, about 1 - `kept` of the whole; what is kept exactly.

    Its centre is drawn from the whole extent; what sticks out is cut off.
    """
    axes = range(1, inputs.shape.rank - 1)
    assert axes, f"cutmix takes examples that have extent, not {inputs.shape}"
    centre = tf.random.stateless_uniform((len(axes),), seed)
    inside, share = None, tf.constant(1.0)
    for axis in axes:
        size = tf.shape(inputs)[axis]
        length = tf.cast(size, tf.float32)
        half = length * (1.0 - kept) ** (1.0 / len(axes)) / 2.0
        start, stop = (
            tf.clip_by_value(tf.cast(tf.round(centre[axis - 1] * length + side), tf.int32), 0, size)
            for side in (-half, half)
        )
        place = tf.range(size)
        row = tf.reshape(
            (place >= start) & (place < stop), [1, *(-1 if axis == a else 1 for a in axes), 1]
        )
        inside = row if inside is None else inside & row
        share *= tf.cast(stop - start, tf.float32) / length
    return tf.where(inside, others, inputs), 1.0 - share
