"""A trained model in its run directory, and back."""

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
    """A model as a run left it.

    Attributes:
        model: Pixels -> logits.
        head: What the logits mean.
        decoder: Encoded bytes -> pixels.
        pipeline: As it was run.
        depth: Bits of the pictures of more than 8 that it was trained on; None where there were
            none.
    """

    model: keras.Model
    head: Head
    decoder: Decoder
    pipeline: Pipeline
    depth: int | None = None


def make_card(assembled: Assembled, pipeline: Pipeline, depth: int | None = None) -> dict[str, Any]:
    """What a reader of the weights alone would not know, as JSON values.

    Args:
        assembled: The model.
        pipeline: As it was run.
        depth: Bits of the pictures of more than 8 of its data set; None where there were none.
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
            "resize": pipeline.data.image.resize,
            "background": pipeline.data.image.background,
            "depth": depth,
            "depth_is_set": pipeline.data.image.depth != "auto",
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
    """Write model.keras and model.json; the arguments are those of `make_card`."""
    # A model without compile state: what trained it is in pipeline.yaml and phases/.
    bare = keras.Model(assembled.model.input, assembled.model.output, name="kft")
    with atomic_file(run.model) as temporary:
        bare.save(temporary)
    write_json(run.model_card, make_card(assembled, pipeline, depth))


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
        spec = InputSpec(*(card["input"][k] for k in ("height", "width", "channels", "scaling")))
        depth = card["input"].get("depth")
        head = restore_head(card["head"])
        text = run.pipeline.read_text(encoding="utf-8")
    except (KeyError, TypeError, OSError) as error:
        raise RunError(f"{run.path}: model.json or pipeline.yaml is damaged: {error!r}") from error
    pipeline = validate_pipeline(parse_yaml(text, str(run.pipeline)), str(run.pipeline))
    decoder = make_decoder(spec.modality, spec.height, spec.width, pipeline.data, depth)
    return Trained(model, head, decoder, pipeline, depth)
