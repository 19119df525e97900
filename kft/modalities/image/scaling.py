"""Scaling of pixels in [0, 255] to the range of a backbone's pretraining."""

from __future__ import annotations

from typing import Any, get_args

import keras

from kft.errors import BackboneError
from kft.modalities.image.input_spec import Scaling

# Mean and deviation of ImageNet's RGB in [0, 1], used by PyTorch's models.
_TORCH_MEAN = (0.485, 0.456, 0.406)
_TORCH_DEVIATION = (0.229, 0.224, 0.225)
# Mean of ImageNet's BGR in [0, 255], used by Caffe's models.
_CAFFE_MEAN = (103.939, 116.779, 123.68)


@keras.saving.register_keras_serializable(package="kft")
class PixelScaling(keras.layers.Layer):
    """Layer that scales pixels like `preprocess_input` of `keras.applications`.

    It computes in float32 under every dtype policy: half precision cannot represent the 256
    values of a mean-free pixel exactly.

    Args:
        scaling: 'none', 'unit' ([0, 1]), 'symmetric' ([-1, 1]), 'torch' ([0, 1], then
            ImageNet's mean and deviation) or 'caffe' (BGR minus ImageNet's mean).

    Raises:
        BackboneError: `scaling` is none of these.
    """

    def __init__(self, scaling: Scaling, **options: Any) -> None:
        if scaling not in get_args(Scaling):
            raise BackboneError(
                f"unknown pixel scaling {scaling!r}. Allowed: {', '.join(get_args(Scaling))}."
            )
        options["dtype"] = "float32"
        super().__init__(**options)
        self.scaling = scaling
        self.supports_masking = True

    def call(self, pixels: Any) -> Any:
        """Scale `pixels` of shape (..., 3), float, in [0, 255]."""
        pixels = keras.ops.cast(pixels, "float32")
        if self.scaling == "unit":
            return pixels / 255.0
        if self.scaling == "symmetric":
            return pixels / 127.5 - 1.0
        if self.scaling == "torch":
            return (pixels / 255.0 - keras.ops.array(_TORCH_MEAN)) / keras.ops.array(
                _TORCH_DEVIATION
            )
        if self.scaling == "caffe":
            return pixels[..., ::-1] - keras.ops.array(_CAFFE_MEAN)
        return pixels

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        """Return the shape of the pixels."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the settings that rebuild the layer."""
        return {**super().get_config(), "scaling": self.scaling}
