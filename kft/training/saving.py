"""Saving and loading of a trained model in its run directory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from kft.backbones.record import InputSpec
from kft.config import Pipeline, parse_yaml, validate_pipeline
from kft.data.batches.pixels import Decoder
from kft.errors import RunError
from kft.modalities.image.decoding import make_decoder
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
        model: Model from pixels to logits.
        head: Head that interprets the logits.
        decoder: Decoder of encoded bytes to pixels.
        pipeline: Pipeline of the run.
        depth: Bit depth of the training images with more than 8 bits; None if there were none.
    """

    model: keras.Model
    head: Head
    decoder: Decoder
    pipeline: Pipeline
    depth: int | None = None


def make_card(assembled: Assembled, pipeline: Pipeline, depth: int | None = None) -> dict[str, Any]:
    """Make the model card: JSON values that are needed beside the weights.

    Args:
        assembled: The model.
        pipeline: Pipeline of the run.
        depth: Bit depth of the training images with more than 8 bits; None if there were none.
    """
    spec = assembled.backbone.input_spec
    return {
        "format": 1,
        "name": pipeline.name,
        "head": assembled.head.describe(),
        "input": {
            "modality": spec.modality,
            "height": spec.height,
            "width": spec.width,
            "channels": spec.channels,
            "scaling": spec.scaling,
            "resize": pipeline.data.resize,
            "background": pipeline.data.background,
            "depth": depth,
            "depth_is_set": pipeline.data.depth != "auto",
        },
        "backbone": {
            "name": assembled.backbone.name,
            "source": assembled.backbone.source,
            "licence": assembled.backbone.licence,
            "sha256": assembled.backbone.sha256,
        },
    }


def save_trained(
    run: RunDirectory, assembled: Assembled, pipeline: Pipeline, depth: int | None = None
) -> None:
    """Write model.keras and model.json; see `make_card` for the arguments."""
    # The model is saved without compile state; pipeline.yaml and phases/ describe its training.
    bare = keras.Model(assembled.model.input, assembled.model.output, name="kft")
    with atomic_file(run.model) as temporary:
        bare.save(temporary)
    write_json(run.model_card, make_card(assembled, pipeline, depth))


def load_trained(run: RunDirectory) -> Trained:
    """Load the model of a finished run.

    Raises:
        RunError: A file of the run is missing or damaged.
    """
    card = read_json(run.model_card)
    if not run.model.is_file():
        raise RunError(f"{run.model}: missing; the run directory is not complete")
    try:
        model = keras.models.load_model(run.model, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(f"{run.model}: cannot be loaded: {error}") from error
    try:
        spec = InputSpec(*(card["input"][k] for k in ("height", "width", "channels", "scaling")))
        depth = card["input"].get("depth")
        head = restore_head(card["head"])
        text = run.pipeline.read_text(encoding="utf-8")
    except (KeyError, TypeError, OSError) as error:
        raise RunError(f"{run.path}: model.json or pipeline.yaml is damaged: {error!r}") from error
    pipeline = validate_pipeline(parse_yaml(text, str(run.pipeline)), str(run.pipeline))
    decoder = make_decoder(spec.modality, spec.height, spec.width, pipeline.data, depth)
    return Trained(model, head, decoder, pipeline, depth)
