"""TF Hub modules that read clips, such as MoViNet and I3D."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kft.backbones.hub import HubLayer, make_backbone
from kft.backbones.record import Backbone
from kft.backbones.video.options import DEFAULT_FRAMES, FRAMES, Allowed, read_options
from kft.config.schema import BackboneConfig
from kft.errors import BackboneError, first_line
from kft.modalities.video.input_spec import CLIP, VideoSpec

# That of I3D and of MoViNet-A2; a smaller MoViNet takes 172.
_DEFAULT_SIZE = 224
_OPTIONS: Allowed = {"frames": (DEFAULT_FRAMES, FRAMES)}


def reads_clips(layer: HubLayer) -> bool:
    """Whether a module takes clips (batch, frames, height, width, 3)."""
    return _find_clip(layer) is not None


def _find_clip(layer: HubLayer) -> tf.TensorSpec | None:
    for concrete in layer.function.concrete_functions:
        for argument in tf.nest.flatten(concrete.structured_input_signature):
            if isinstance(argument, tf.TensorSpec) and argument.shape.rank == 5:
                return argument
    return None


class ClipSignature:
    """The signature of a module in TF1's format, called like the function of one in TF2's."""

    def __init__(self, function: Any, name: str) -> None:
        self.concrete_functions = [function]
        self._name = name

    def __call__(self, clips: Any) -> Any:
        """Compute the outputs by name."""
        return self.concrete_functions[0](**{self._name: clips})


def find_signature(module: Any) -> ClipSignature | None:
    """Find the signature of clips of a module that cannot be called, such as I3D; else None.

    It computes as in inference: its batch statistics stay as they are while its weights train.
    """
    if callable(module) or "default" not in getattr(module, "signatures", {}):
        return None
    function = module.signatures["default"]
    given = function.structured_input_signature[1]
    is_of_clips = len(given) == 1 and next(iter(given.values())).shape.rank == 5
    return ClipSignature(function, next(iter(given))) if is_of_clips else None


@keras.saving.register_keras_serializable(package="kft")
class ClipHubLayer(HubLayer):
    """A module of clips as a layer: float (batch, frames, height, width, 3) -> features.

    MoViNet takes its clip by name, in a mapping.
    """

    def call_module(self, inputs: Any, training: bool | None) -> Any:
        """See `HubLayer`."""
        positional = self.function.concrete_functions[0].structured_input_signature[0]
        if positional and isinstance(positional[0], dict):
            inputs = dict.fromkeys(positional[0], inputs)
        return super().call_module(inputs, training)


def wrap(config: BackboneConfig, module: HubLayer) -> Backbone:
    """Make a backbone of a module that `reads_clips`.

    Its input is in [0, 1]. Numbers of frames and pixels that the module leaves open are those of
    `backbone.options.frames` and `backbone.input_size`.

    Raises:
        BackboneError: Other numbers are set than the module takes, or the module is random at
            inference.

    Source: https://www.kaggle.com/models/google/movinet, whose modules take {"image": clip}, and
    https://www.kaggle.com/models/deepmind/i3d-kinetics.
    """
    layer = ClipHubLayer(module.handle, like=module, name="hub_module")
    given = _find_clip(layer)
    assert given is not None, "the module reads clips"
    frames = _choose(read_options(config, _OPTIONS)["frames"], given.shape[1], config)
    size = _choose(config.input_size or given.shape[2] or _DEFAULT_SIZE, given.shape[2], config)
    clip = keras.Input((frames, size, size, 3), name=CLIP)
    try:
        model = keras.Model(clip, layer(clip), name="hub_backbone")
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise BackboneError(
            f"{config.name!r} does not accept {frames} frames of {size} x {size}: "
            f"{first_line(error)} Set `backbone.options.frames` and `backbone.input_size`."
        ) from error
    return make_backbone(config, model, layer, VideoSpec(frames, size, size, "unit"))


def _choose(requested: int, fixed: int | None, config: BackboneConfig) -> int:
    """Return a number of frames or pixels, unless the module takes another.

    Raises:
        BackboneError: It does.
    """
    if fixed not in (None, requested):
        raise BackboneError(
            f"backbone.options.frames, backbone.input_size: found {requested}, but "
            f"{config.name!r} takes {fixed} only."
        )
    return requested
