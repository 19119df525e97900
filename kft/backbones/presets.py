"""Presets of KerasHub, an optional dependency imported on demand."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Any

import keras

from kft.backbones import vision_transformers
from kft.backbones.crossings import feature_levels
from kft.backbones.partition import partition_by_stride
from kft.backbones.record import Backbone
from kft.backbones.weights import digest_folder
from kft.config.schema import PRETRAINED, BackboneConfig
from kft.errors import BackboneError, first_line
from kft.modalities.image.input_spec import ImageSpec

_DEFAULT_SIZE = 224


def load(config: BackboneConfig) -> Backbone:
    """Load the backbone `keras_hub:PRESET`: for pictures with their scaling, for text or speech.

    PRESET is a preset's name, a handle (`kaggle://…`, `hf://…`) or a folder that
    `save_to_preset` wrote; for text also a folder of Hugging Face.

    Raises:
        BackboneError: KerasHub is missing, the preset is unknown or unreachable, or it is
            neither a convolutional backbone or vision transformer for pictures nor a transformer
            for text, nor Whisper.
    """
    from kft.backbones.audio import whisper
    from kft.backbones.text import transformers

    keras_hub = _import_keras_hub()
    preset = config.name.removeprefix("keras_hub:")
    if config.weights not in (PRETRAINED, "random"):
        raise BackboneError(
            f"backbone.weights: {config.name!r} brings its own weights. Remove the setting, or "
            "set it to `random`."
        )
    if config.options:
        raise BackboneError(
            f"backbone.options: {config.name!r} takes no options; the preset sets them."
        )
    trunk = from_preset(keras_hub.models.Backbone, preset, load_weights=config.weights != "random")
    if transformers.is_for_text(trunk):
        return transformers.wrap(config, trunk, preset)
    if whisper.is_whisper(trunk):
        return whisper.wrap(config, trunk, preset)
    converter = _find_converter(keras_hub, preset)
    size = config.input_size or _preset_size(trunk, converter)
    is_transformer = vision_transformers.is_vision_transformer(trunk)
    if is_transformer and trunk.image_shape[0] != size:
        trunk = _resized_transformer(config, keras_hub, trunk, preset)
    model = _flat_model(trunk, converter, size)
    if is_transformer:
        blocks = vision_transformers.find_blocks(model, trunk)
    else:
        blocks = partition_by_stride(model)
    return Backbone(
        name=config.name,
        model=model,
        input_spec=ImageSpec(size, size, 3, "none"),
        blocks=blocks,
        feature_levels=feature_levels(model, blocks),
        source=f"KerasHub {keras_hub.__version__}, preset {preset}",
        licence="unknown",
        sha256=None if config.weights == "random" else digest_preset(preset, model),
        prefix_tokens=vision_transformers.count_prefix_tokens(trunk) if is_transformer else 0,
    )


def _resized_transformer(config: BackboneConfig, keras_hub: Any, trunk: Any, preset: str) -> Any:
    """Load a vision transformer again, for pictures of another size.

    Raises:
        BackboneError: Its position embeddings are for one size alone.
    """
    size, own = config.input_size, trunk.image_shape[0]
    if not vision_transformers.resizes(trunk):
        raise BackboneError(
            f"backbone.input_size: {size}, but the position embeddings of {preset} are for {own} "
            "pixels. Remove it."
        )
    return from_preset(
        keras_hub.models.Backbone,
        preset,
        load_weights=config.weights != "random",
        image_shape=(size, size, 3),
    )


def digest_preset(preset: str, model: keras.Model) -> str:
    """Digest of the preset's folder, or of the weights if KerasHub fetched the preset by name."""
    if Path(preset).is_dir():
        return digest_folder(Path(preset))
    total = hashlib.sha256()
    for variable in model.weights:
        total.update(variable.numpy().tobytes())
    return total.hexdigest()


def _import_keras_hub() -> Any:
    """Import KerasHub.

    Raises:
        BackboneError: KerasHub cannot be imported.
    """
    try:
        return importlib.import_module("keras_hub")
    except ImportError as error:
        raise BackboneError(
            f"backbone.name: `keras_hub:` needs KerasHub, which cannot be imported ({error}). "
            "Install it with `pip install 'kft[hub]'`."
        ) from error


def from_preset(constructor: Any, preset: str, **options: Any) -> Any:
    """Call `constructor.from_preset`, turning its many errors into one.

    Raises:
        BackboneError: The preset is unknown, unreachable or damaged.
    """
    try:
        return constructor.from_preset(preset, **options)
    except Exception as error:  # kagglehub, huggingface_hub and Keras each raise their own
        raise BackboneError(
            f"backbone.name: KerasHub cannot load the preset {preset!r}: {first_line(error)} "
            "Without a network, give the folder of a preset: `keras_hub:FOLDER`."
        ) from error


def _find_converter(keras_hub: Any, preset: str) -> Any | None:
    """Find the preset's image converter; None if it has none."""
    try:
        return keras_hub.layers.ImageConverter.from_preset(preset)
    except (ValueError, FileNotFoundError):
        return None


def _preset_size(trunk: Any, converter: Any | None) -> int:
    """Height and width of pretraining in pixels, or the default if the preset does not say."""
    for shape in (getattr(converter, "image_size", None), getattr(trunk, "image_shape", None)):
        if shape and shape[0]:
            return int(shape[0])
    return _DEFAULT_SIZE


def _flat_model(trunk: Any, converter: Any | None, size: int) -> keras.Model:
    """Build a model from pixels in [0, 255] to a feature map, with the trunk's layers in one graph.

    Raises:
        BackboneError: The trunk takes other inputs, or does not output a feature map.
    """
    if len(trunk.inputs) != 1 or len(trunk.inputs[0].shape) != 4:
        raise BackboneError(
            f"KerasHub's {type(trunk).__name__} takes {[i.name for i in trunk.inputs]}; kft "
            "provides pictures (batch, height, width, 3)."
        )
    inputs = keras.Input((size, size, 3), name="pixels")
    x: Any = inputs
    scale, offset = getattr(converter, "scale", None), getattr(converter, "offset", None)
    if scale is not None or offset is not None:
        x = keras.layers.Rescaling(
            1.0 if scale is None else scale,
            0.0 if offset is None else offset,
            dtype="float32",
            name="preset_rescaling",
        )(x)
    try:
        if vision_transformers.is_vision_transformer(trunk):
            outputs = vision_transformers.call_each_layer(trunk, x)
            return keras.Model(inputs, outputs, name="keras_hub_backbone")
        # `call` instead of the model itself adds the layers to this graph one by one.
        outputs = trunk.call(x)
    except ValueError as error:
        raise BackboneError(
            f"KerasHub's {type(trunk).__name__} does not accept pictures of {size} x {size}: "
            f"{first_line(error)} Set `backbone.input_size`."
        ) from error
    if isinstance(outputs, (dict, list, tuple)) or len(outputs.shape) != 4:
        raise BackboneError(
            f"KerasHub's {type(trunk).__name__} outputs {outputs}; kft needs a convolutional "
            "backbone, which outputs one feature map (batch, height, width, channels), or a ViT "
            "or DINOv2."
        )
    return keras.Model(inputs, outputs, name="keras_hub_backbone")
