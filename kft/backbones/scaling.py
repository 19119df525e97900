"""Scaling of pixels in [0, 255] to the range of a backbone's pretraining."""

from __future__ import annotations

from typing import Any, cast, get_args

import keras

from kft.backbones.record import Scaling
from kft.config.schema import BackboneConfig
from kft.errors import BackboneError

# ImageNet's mean and deviation of RGB in [0, 1], used for PyTorch's models.
_TORCH_MEAN = (0.485, 0.456, 0.406)
_TORCH_DEVIATION = (0.229, 0.224, 0.225)
# ImageNet's mean of BGR in [0, 255], used for Caffe's models.
_CAFFE_MEAN = (103.939, 116.779, 123.68)


def requested_scaling(config: BackboneConfig) -> Scaling | None:
    """Read `options.scaling`, the only option of a backbone from a file; None if not set.

    Raises:
        BackboneError: Other options are set, or the scaling is unknown.
    """
    unknown = sorted(set(config.options) - {"scaling"})
    requested = config.options.get("scaling")
    if unknown or (requested is not None and requested not in get_args(Scaling)):
        raise BackboneError(
            f"backbone.options of {config.name!r}: found {dict(config.options)}. "
            f"Allowed: scaling ({', '.join(get_args(Scaling))})."
        )
    return cast("Scaling | None", requested)


@keras.saving.register_keras_serializable(package="kft")
class PixelScaling(keras.layers.Layer):
    """Layer that scales pixels like `preprocess_input` of `keras.applications`.

    It computes in float32 under every dtype policy, since half precision cannot represent the
    256 values of a mean-free pixel exactly.

    Args:
        scaling: 'none', 'unit' ([0, 1]), 'symmetric' ([-1, 1]), 'torch' ([0, 1], then
            ImageNet's mean and deviation) or 'caffe' (BGR minus ImageNet's mean).

    Raises:
        BackboneError: The scaling is unknown.
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
        """Shape of the outputs, equal to that of the inputs."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Configuration from which Keras rebuilds the layer."""
        return {**super().get_config(), "scaling": self.scaling}
