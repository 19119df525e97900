"""A trained model in its run directory, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

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
    """A model as a run left it.

    Attributes:
        model: Decoded examples -> logits.
        head: What the logits mean.
        decoder: Files -> decoded examples.
        pipeline: As it was run.
        stated: What its card says of its input.
    """

    model: keras.Model
    head: Head
    decoder: Decoder
    pipeline: Pipeline
    stated: StatedInput


def make_card(assembled: Assembled, pipeline: Pipeline, calibrated: Any = None) -> dict[str, Any]:
    """What a reader of the weights alone would not know, as JSON values.

    Args:
        assembled: The model.
        pipeline: As it was run.
        calibrated: Value of the calibration of its data set; None where that has none.
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
    }


def save_trained(
    run: RunDirectory, assembled: Assembled, pipeline: Pipeline, calibrated: Any = None
) -> None:
    """Write model.keras and model.json; the arguments are those of `make_card`."""
    # A model without compile state: what trained it is in pipeline.yaml and phases/.
    bare = keras.Model(assembled.model.input, assembled.model.output, name="kft")
    with atomic_file(run.model) as temporary:
        bare.save(temporary)
    write_json(run.model_card, make_card(assembled, pipeline, calibrated))


def load_trained(run: RunDirectory) -> Trained:
    """The model of a finished run.

    Raises:
        RunError: A file of the run is missing or damaged.
    """
    card = read_json(run.model_card)
    if not run.model.is_file():
        raise RunError(f"{run.model}: missing; the run directory is incomplete")
    try:
        model = keras.models.load_model(run.model, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(f"{run.model}: cannot be loaded: {error}") from error
    try:
        stated = read_input(card)
        head = restore_head(card["head"])
        text = run.pipeline.read_text(encoding="utf-8")
    except (KeyError, TypeError, OSError) as error:
        raise RunError(f"{run.path}: model.json or pipeline.yaml is damaged: {error!r}") from error
    pipeline = validate_pipeline(parse_yaml(text, str(run.pipeline)), str(run.pipeline))
    return Trained(model, head, make_stated_decoder(stated), pipeline, stated)


def read_input(card: Mapping[str, Any]) -> StatedInput:
    """What the card of a model or an export says of its input.

    Raises:
        ConfigError: Its modality is not registered.
        KeyError: Something is missing.
    """
    stated = card["input"]
    return load_modality(stated["modality"]).restore_input(stated)


def make_stated_decoder(stated: StatedInput) -> Decoder:
    """The decoder that a model was trained with."""
    modality = load_modality(stated.spec.modality)
    return modality.make_decoder(stated.spec, stated.settings, stated.trained.value)
