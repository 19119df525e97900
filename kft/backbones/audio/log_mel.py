"""Any backbone of pictures, over log-mel spectrograms: `logmel:NAME`."""

from __future__ import annotations

from dataclasses import replace

import keras

from kft.backbones.crossings import feature_levels
from kft.backbones.partition import blocks_by_layer_names
from kft.backbones.record import Backbone
from kft.config.schema import BackboneConfig
from kft.errors import BackboneError, first_line
from kft.modalities.audio.input_spec import AudioSpec
from kft.modalities.image.input_spec import ImageSpec

PREFIX = "logmel:"
RATE = 16_000
# Enough for four cells across at the usual stride of 32.
DEFAULT_BANDS = 128


def load(config: BackboneConfig) -> Backbone:
    """Load the backbone of pictures behind `logmel:NAME`, for pictures of any height.

    `backbone.input_size` is the number of mel bands, the width of the pictures; time runs
    downward, 100 rows per second.

    Raises:
        BackboneError: NAME is not a convolutional backbone of pictures.
    """
    from kft.backbones import load_backbone

    bands = config.input_size or DEFAULT_BANDS
    name = config.name.removeprefix(PREFIX)
    of_pictures = load_backbone(config.model_copy(update={"name": name, "input_size": bands}))
    spec = of_pictures.input_spec
    if not isinstance(spec, ImageSpec):
        raise BackboneError(
            f"backbone.name: {name!r} reads {spec.modality}, not pictures. `logmel:` takes a "
            "backbone of pictures, such as `logmel:mobilenet_v2`."
        )
    model = _with_any_height(of_pictures.model, bands, config.name)
    blocks = blocks_by_layer_names(
        model, {each.name: [layer.name for layer in each.layers] for each in of_pictures.blocks}
    )
    return replace(
        of_pictures,
        name=config.name,
        model=model,
        input_spec=AudioSpec(RATE, front_end="picture", bands=bands, scaling=spec.scaling),
        blocks=blocks,
        feature_levels=feature_levels(model, blocks) if of_pictures.feature_levels else (),
        source=f"log-mel pictures, {of_pictures.source}",
    )


def _with_any_height(model: keras.Model, bands: int, name: str) -> keras.Model:
    """Copy a model for pictures of open height, with the same weights.

    Raises:
        BackboneError: The layers do not allow that.
    """
    inputs = keras.Input((None, bands, 3), name="pixels")
    try:
        copy = keras.models.clone_model(model, input_tensors=inputs)
        copy.set_weights(model.get_weights())
    except (ValueError, TypeError) as error:
        raise BackboneError(
            f"backbone.name: {name!r} takes square pictures only: {first_line(error)}"
        ) from error
    return copy
