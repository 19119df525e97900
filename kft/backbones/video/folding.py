"""Layers that let a network of pictures see clips: frames become examples, and clips again."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="kft")
class FoldFrames(keras.layers.Layer):
    """Clips (batch, frames, …) -> the frames of all clips (batch * frames, …)."""

    def call(self, clips: Any) -> Any:
        """Fold clips."""
        return ops.reshape(clips, (-1, *clips.shape[2:]))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the frames."""
        return (None, *input_shape[2:])


@keras.saving.register_keras_serializable(package="kft")
class UnfoldFrames(keras.layers.Layer):
    """Frames of all clips (batch * frames, …) -> clips (batch, frames, …).

    Args:
        frames: Number of frames of a clip.
    """

    def __init__(self, frames: int, **options: Any) -> None:
        super().__init__(**options)
        self.frames = frames

    def call(self, frames: Any) -> Any:
        """Unfold frames."""
        return ops.reshape(frames, (-1, self.frames, *frames.shape[1:]))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the clips."""
        return (None, self.frames, *input_shape[1:])

    def get_config(self) -> dict[str, Any]:
        """Configuration from which Keras rebuilds the layer."""
        return {**super().get_config(), "frames": self.frames}


@keras.saving.register_keras_serializable(package="kft")
class FramePool(keras.layers.Layer):
    """Maps of frames (batch, frames, h, w, c) -> one vector per frame (batch, frames, features).

    Args:
        has_places: Whether to average the four quarters of a map apart, so that the vector tells
            where something is: 4 c features, else c.
    """

    def __init__(self, *, has_places: bool, **options: Any) -> None:
        super().__init__(**options)
        self.has_places = has_places

    def call(self, maps: Any) -> Any:
        """Average maps over their height and width."""
        if not self.has_places:
            return ops.mean(maps, axis=(2, 3))
        height, width = maps.shape[2:4]
        # Quarters of an odd size share its middle.
        rows = (slice(None, -(-height // 2)), slice(height // 2, None))
        columns = (slice(None, -(-width // 2)), slice(width // 2, None))
        quarters = [
            ops.mean(maps[:, :, across, down], axis=(2, 3)) for across in rows for down in columns
        ]
        return ops.concatenate(quarters, axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the vectors."""
        channels = input_shape[-1]
        assert channels is not None
        return (*input_shape[:2], 4 * channels if self.has_places else channels)

    def get_config(self) -> dict[str, Any]:
        """Configuration from which Keras rebuilds the layer."""
        return {**super().get_config(), "has_places": self.has_places}
