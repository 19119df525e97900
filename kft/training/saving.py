"""Saving and loading of a trained model in its run directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from kft.backbones import BACKBONES
from kft.config import Pipeline, parse_yaml, validate_pipeline
from kft.errors import RunError
from kft.modalities import Decoder, StatedInput, load_modality
from kft.model import Assembled
from kft.runs import RunDirectory
from kft.runs.atomic import atomic_file, write_json
from kft.runs.layout import read_json
from kft.tasks import restore_head
from kft.tasks.head import Head


@dataclass(frozen=True)
class Trained:
    """Trained model of a run.

    Attributes:
        model: Model from decoded examples to logits.
        head: Head that interprets the logits.
        decoder: Decoder of files to examples.
        pipeline: Pipeline of the run.
        stated: Input as stated by the model card.
    """

    model: keras.Model
    head: Head
    decoder: Decoder
    pipeline: Pipeline
    stated: StatedInput


def make_card(assembled: Assembled, pipeline: Pipeline, calibrated: Any = None) -> dict[str, Any]:
    """Make the model card: JSON values that are needed beside the weights.

    Args:
        assembled: The model.
        pipeline: Pipeline of the run.
        calibrated: Value of the data set's calibration; None if there is none.
    """
    spec = assembled.backbone.input_spec
    modality = load_modality(spec.modality)
    return {
        "format": 1,
        "name": pipeline.name,
        "head": assembled.head.describe(),
        "input": modality.describe_input(spec, modality.settings_of(pipeline.data), calibrated),
        "backbone": {
            "name": assembled.backbone.name,
            "source": assembled.backbone.source,
            "licence": assembled.backbone.licence,
            "sha256": assembled.backbone.sha256,
        },
        "packages": list(spec.packages),
    }


def save_trained(
    run: RunDirectory, assembled: Assembled, pipeline: Pipeline, calibrated: Any = None
) -> None:
    """Write model.keras and model.json; see `make_card` for the arguments."""
    # The model is saved without compile state; pipeline.yaml and phases/ describe its training.
    bare = keras.Model(assembled.model.input, assembled.model.output, name="kft")
    with atomic_file(run.model) as temporary:
        bare.save(temporary)
    write_json(run.model_card, make_card(assembled, pipeline, calibrated))


def load_trained(run: RunDirectory) -> Trained:
    """Load the model of a finished run.

    Raises:
        ConfigError: The task or the modality of the run is not registered.
        RunError: A file of the run is missing or damaged.
    """
    card = read_json(run.model_card)
    if not run.model.is_file():
        raise RunError(f"{run.model}: missing; the run directory is incomplete")
    try:
        stated = read_input(card)
        head = restore_head(card["head"])
        name = card["backbone"]["name"]
        text = run.pipeline.read_text(encoding="utf-8")
    except (KeyError, TypeError, OSError) as error:
        raise RunError(f"{run.path}: model.json or pipeline.yaml is damaged: {error!r}") from error
    if name in BACKBONES.added:
        # Importing the module of a backbone from elsewhere registers its layers with Keras.
        BACKBONES.load(name)
    try:
        model = keras.models.load_model(run.model, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(f"{run.model}: cannot be loaded: {error}") from error
    pipeline = validate_pipeline(parse_yaml(text, str(run.pipeline)), str(run.pipeline))
    return Trained(model, head, make_stated_decoder(stated), pipeline, stated)


def read_input(card: Mapping[str, Any]) -> StatedInput:
    """Read the input from the card of a model or an export.

    Raises:
        ConfigError: The modality of the input is not registered.
        KeyError: The card lacks a value.
    """
    stated = card["input"]
    return load_modality(stated["modality"]).restore_input(stated)


def make_stated_decoder(stated: StatedInput) -> Decoder:
    """Make the decoder that a model was trained with."""
    modality = load_modality(stated.spec.modality)
    return modality.make_decoder(stated.spec, stated.settings, stated.trained.value)
