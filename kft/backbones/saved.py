"""Backbones on disk: a folder that kft saved, a `.keras` file or a SavedModel."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import keras

from kft.backbones import hub
from kft.backbones.crossings import feature_levels
from kft.backbones.graph import Graph
from kft.backbones.partition import blocks_by_layer_names, check_blocks, partition_by_stride
from kft.backbones.rebuild import reinitialised, with_size, without_top
from kft.backbones.record import Backbone, Block
from kft.backbones.repeatability import check_repeatable
from kft.backbones.scaling import requested_scaling
from kft.backbones.weights import digest, load_given
from kft.config.schema import PRETRAINED, BackboneConfig
from kft.errors import BackboneError, first_line
from kft.modalities import load_modality
from kft.modalities.image.input_spec import ImageSpec, Scaling
from kft.modalities.image.scaling import PixelScaling
from kft.runs.atomic import atomic_directory, write_json

FORMAT_VERSION = 1
MODEL_FILE = "backbone.keras"
RECORD_FILE = "backbone.json"


def save(backbone: Backbone, directory: Path) -> Path:
    """Write `backbone` into a new folder, atomically.

    The folder holds the model (`backbone.keras`) and a record (`backbone.json`) of input
    contract, blocks, source, licence and the model's digest.

    Raises:
        BackboneError: `directory` already exists.
    """
    if directory.exists():
        raise BackboneError(f"{directory} already exists; choose another folder for the backbone.")
    with atomic_directory(directory) as temporary:
        backbone.model.save(temporary / MODEL_FILE)
        record = {
            "format_version": FORMAT_VERSION,
            "name": backbone.name,
            "input_spec": asdict(backbone.input_spec),
            "blocks": {
                block.name: [layer.name for layer in block.layers] for block in backbone.blocks
            },
            "feature_levels": {level.block: level.stride for level in backbone.feature_levels},
            "source": backbone.source,
            "licence": backbone.licence,
            "sha256": digest(temporary / MODEL_FILE),
        }
        write_json(temporary / RECORD_FILE, record)
    return directory


def load(config: BackboneConfig) -> Backbone:
    """Load the backbone at the path `config.name`.

    Raises:
        BackboneError: The file or folder is damaged or of an unknown kind, or its model cannot
            be a backbone (for example, because it is random at inference).
    """
    path = Path(config.name).expanduser()
    if path.is_dir() and (path / "saved_model.pb").is_file():
        return hub.load(config, prefix="")
    if path.is_dir() and (path / RECORD_FILE).is_file():
        return _load_folder(config, path)
    if path.is_file() and path.suffix == ".keras":
        return _load_keras_file(config, path)
    raise BackboneError(
        f"backbone.name: {path} is not a backbone that kft can read. Allowed: a folder with "
        f"{RECORD_FILE} and {MODEL_FILE} (`kft pretrain` writes it), a .keras file, or a "
        "SavedModel folder with saved_model.pb."
    )


def _load_folder(config: BackboneConfig, folder: Path) -> Backbone:
    """Load a backbone from a folder that `save` wrote."""
    record = _read_record(folder / RECORD_FILE)
    path = folder / MODEL_FILE
    if not path.is_file():
        raise BackboneError(f"{path} is missing; save the backbone again.")
    sha256 = digest(path)
    if sha256 != record["sha256"]:
        raise BackboneError(
            f"{path} is damaged: its SHA-256 is {sha256}, but {folder / RECORD_FILE} records "
            f"{record['sha256']}. Restore it, or save the backbone again."
        )
    if config.options:
        raise BackboneError(
            f"backbone.options: {config.name!r} takes no options; its architecture is fixed."
        )
    stated = record["input_spec"]
    spec = load_modality(stated["modality"]).restore_spec(stated)
    model = _read_model(path)
    if config.input_size is not None:
        if not isinstance(spec, ImageSpec):
            raise BackboneError(
                f"backbone.input_size: {config.name!r} reads {spec}. Remove it; the section of its "
                f"modality, data.{spec.modality}, may set a length."
            )
        spec = replace(spec, height=config.input_size, width=config.input_size)
        model = with_size(model, config.input_size)
    model = _with_weights(model, config)
    check_repeatable(model, config.name)
    blocks = _saved_blocks(model, record["blocks"])
    return Backbone(
        name=config.name,
        model=model,
        input_spec=spec,
        blocks=blocks,
        feature_levels=feature_levels(model, blocks) if record["feature_levels"] else (),
        source=_source(f"{record['source']}, saved as {folder}", config),
        licence=record["licence"] if config.weights == PRETRAINED else "unknown",
        sha256=_sha256(config, path),
    )


def _load_keras_file(config: BackboneConfig, path: Path) -> Backbone:
    """Load any functional Keras model for images, up to its last feature map.

    A classification top (global pooling and the layers after it) is removed, which `source`
    records. The file does not state the pixel scaling: either the model rescales inside, or
    `options.scaling` sets it.
    """
    whole = _read_model(path)
    scaling = _scaling(config, whole, path)
    model, dropped = without_top(whole, path)
    model = _with_weights(with_size(model, config.input_size), config)
    shape = model.input_shape
    if len(shape) != 4 or shape[1] is None or shape[1] != shape[2] or shape[3] != 3:
        raise BackboneError(
            f"{path} takes inputs of shape {shape[1:]}; kft provides square RGB pictures "
            "(size, size, 3). If the model leaves the size open, set `backbone.input_size`."
        )
    check_repeatable(model, config.name)
    blocks = partition_by_stride(model)
    source = f"{path} without its top ({', '.join(dropped[:6])})" if dropped else str(path)
    return Backbone(
        name=config.name,
        model=model,
        input_spec=ImageSpec(shape[1], shape[2], 3, scaling),
        blocks=blocks,
        feature_levels=feature_levels(model, blocks),
        source=_source(source, config),
        licence="unknown",
        sha256=_sha256(config, path),
    )


def _with_weights(model: keras.Model, config: BackboneConfig) -> keras.Model:
    """Keep the model's weights, or load other ones, as `config.weights` requests."""
    if config.weights == PRETRAINED:
        return model
    if config.weights == "random":
        return reinitialised(model)
    load_given(model, Path(config.weights).expanduser(), trust=config.trust)
    return model


def _sha256(config: BackboneConfig, path: Path) -> str | None:
    """Digest of the weights file; None for random weights."""
    if config.weights == "random":
        return None
    return digest(path if config.weights == PRETRAINED else Path(config.weights).expanduser())


def _source(source: str, config: BackboneConfig) -> str:
    if config.weights == PRETRAINED:
        return source
    return f"{source}, weights: {config.weights}"


def _saved_blocks(model: keras.Model, names: dict[str, list[str]]) -> tuple[Block, ...]:
    """Restore the blocks that a folder records; those of a SavedModel lie inside its layer."""
    for layer in model.layers:
        if isinstance(layer, hub.HubLayer):
            blocks = tuple(Block(block.name, (block,)) for block in layer.hub_blocks)
            check_blocks(model, blocks)
            return blocks
    return blocks_by_layer_names(model, names)


def _scaling(config: BackboneConfig, model: keras.Model, path: Path) -> Scaling:
    """Pixel scaling of a model from a `.keras` file.

    Raises:
        BackboneError: `options.scaling` is unknown, or missing although it is needed.
    """
    requested = requested_scaling(config)
    if requested is not None:
        return requested
    inner = (keras.layers.Rescaling, keras.layers.Normalization, PixelScaling)
    if any(isinstance(layer, inner) for layer in model.layers):
        return "none"
    raise BackboneError(
        f"{path} does not state its pixel scaling, and no layer of it rescales pixels. Set "
        f"`backbone.options.scaling` to one of {', '.join(get_args(Scaling))}."
    )


def _read_model(path: Path) -> keras.Model:
    """Read a `.keras` file without running code that it may contain.

    Raises:
        BackboneError: The file is damaged, or needs code that kft does not have.
    """
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # zipfile, json, h5py and Keras each raise their own
        raise BackboneError(
            f"{path} cannot be read as a Keras model: {first_line(error)} kft runs no code from "
            "model files: custom layers must be registered, and lambdas are refused."
        ) from error
    if isinstance(model, keras.Sequential) and model.built:
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    Graph(model)
    return model


def _read_record(path: Path) -> dict[str, Any]:
    """Read `backbone.json`.

    Raises:
        BackboneError: The record is damaged, or of another format.
    """
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = record["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise BackboneError(f"{path} is damaged: {error}. Save the backbone again.") from error
    missing = {"input_spec", "blocks", "feature_levels", "source", "licence", "sha256"} - set(
        record
    )
    if version != FORMAT_VERSION or missing:
        raise BackboneError(
            f"{path}: format version {version!r}, missing {sorted(missing) or 'nothing'}; this "
            f"kft reads version {FORMAT_VERSION}."
        )
    return record
