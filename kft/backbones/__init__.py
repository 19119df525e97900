"""Backbones by name: a pretrained trunk, its input contract and its ordered blocks.

Listing the names imports neither Keras nor TensorFlow; loading a backbone does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kft.backbones.catalogue import Description, Listing, describe, list_backbones
from kft.backbones.families import ARCHITECTURES
from kft.errors import BackboneError
from kft.registry import Registry, path_of, suggest

if TYPE_CHECKING:
    from kft.backbones.record import Backbone
    from kft.config.schema import BackboneConfig
    from kft.modalities import InputSpec

BACKBONES = Registry(
    "backbone",
    {
        **dict.fromkeys(ARCHITECTURES, "kft.backbones.applications:load"),
        "small_cnn": "kft.backbones.small:load",
        "small_3d_cnn": "kft.backbones.video.small_3d_cnn:load",
        "small_wavenet": "kft.backbones.audio.small_wavenet:load",
        "yamnet": "kft.backbones.audio.yamnet:load",
        "minilm_l3": "kft.backbones.text.minilm:load",
        "small_characters": "kft.backbones.text.characters:load",
        "small_lstm": "kft.backbones.text.small_words:load_lstm",
        "small_transformer": "kft.backbones.text.small_words:load_transformer",
        "word_vectors": "kft.backbones.text.word_vectors:load",
    },
    error=BackboneError,
)

_HUB_URLS = ("https://tfhub.dev/", "https://www.kaggle.com/", "https://kaggle.com/")


def load_backbone(config: BackboneConfig) -> Backbone:
    """Load a backbone with its weights.

    >>> from kft.config import BackboneConfig
    >>> backbone = load_backbone(BackboneConfig(name="small_cnn", weights="random"))
    >>> [block.name for block in backbone.blocks]
    ['stem', 'stage1', 'stage2', 'stage3', 'stage4']
    >>> backbone.model.output.shape
    (None, 4, 4, 128)

    Args:
        config: The pipeline's `backbone` section. Its name is a registered one,
            `hub:HANDLE_OR_PATH` or a TF Hub URL, `keras_hub:PRESET`, `logmel:NAME` (recordings
            by a backbone of pictures), `frames:NAME` (videos by one), or the path of a folder that
            `save_backbone` wrote, of a `.keras` file or of a SavedModel.

    Raises:
        BackboneError: The name is unknown, or options, size or weights do not fit it.
    """
    name = config.name
    if name in BACKBONES:
        backbone: Backbone = BACKBONES.load(name)(config)
        return backbone
    if name.startswith("hub:") or name.startswith(_HUB_URLS):
        from kft.backbones.hub import load as load_hub

        return load_hub(config)
    if name.startswith("logmel:"):
        from kft.backbones.audio.log_mel import load as load_log_mel

        return load_log_mel(config)
    if name.startswith("frames:"):
        from kft.backbones.video.frames import load as load_frames

        return load_frames(config)
    if name.startswith("keras_hub:"):
        from kft.backbones.presets import load as load_preset

        return load_preset(config)
    if Path(name).expanduser().exists():
        from kft.backbones.saved import load as load_saved

        return load_saved(config)
    raise BackboneError(
        f"backbone.name: unknown backbone {name!r}, and no file or folder has that name. "
        f"{suggest(name, BACKBONES)} Run `kft backbones` to see all; `hub:HANDLE`, "
        "`keras_hub:PRESET` and the path of a saved backbone are allowed too."
    )


def find_input_spec(config: BackboneConfig) -> InputSpec:
    """Find the input of a backbone; a model of keras.applications is not built for it.

    Args:
        config: The pipeline's `backbone` section.

    Raises:
        BackboneError: As `load_backbone` does.
    """
    if config.name in ARCHITECTURES:
        from kft.backbones.official import check_size
        from kft.modalities.image.input_spec import ImageSpec

        architecture = ARCHITECTURES[config.name]
        size = check_size(architecture, config.input_size)
        return ImageSpec(size, size, scaling=architecture.scaling)
    return load_backbone(config).input_spec


def register_backbone(name: str, load: str | Callable[[BackboneConfig], Backbone]) -> None:
    """Register a backbone, which `backbone.name` may then name.

    >>> from kft.backbones import small
    >>> register_backbone("my_cnn", small.load)

    Args:
        name: Name in a pipeline.
        load: Function at the top level of its module that takes the `backbone` section of a
            pipeline and returns the `Backbone`; or its import path 'package.module:function',
            which is imported when the backbone is first used.

    Raises:
        BackboneError: Another backbone has this name, or `load` cannot be imported by its
            own name.
    """
    path = path_of(load)
    if not re.fullmatch(r"[\w.]+:\w+", path):
        raise BackboneError(
            f"backbone {name!r}: {path} is not a function at the top level of a module. Define it "
            "there, or give its import path as 'package.module:function'."
        )
    BACKBONES.add(name, path)


def save_backbone(backbone: Backbone, directory: Path | str) -> Path:
    """Write a backbone into a new folder, whose path `load_backbone` accepts as a name.

    Args:
        backbone: The backbone, as it now is.
        directory: Folder to create.

    Returns:
        The folder.

    Raises:
        BackboneError: `directory` already exists.
    """
    from kft.backbones.saved import save

    return save(backbone, Path(directory))


__all__ = [
    "BACKBONES",
    "Description",
    "Listing",
    "describe",
    "find_input_spec",
    "list_backbones",
    "load_backbone",
    "register_backbone",
    "save_backbone",
]
