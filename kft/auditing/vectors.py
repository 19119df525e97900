"""What the configured backbone sees in each picture: stored feature vectors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from kft.auditing.pictures import Pictures
from kft.backbones import load_backbone
from kft.backbones.families import ARCHITECTURES
from kft.backbones.official import check_size, official_files
from kft.backbones.weights import find_weights
from kft.config import BackboneConfig, Pipeline
from kft.data.batches.pipeline import make_view_dataset
from kft.data.batches.pixels import translate_read_errors
from kft.data.decoded import describe_decoding
from kft.display import Display
from kft.errors import BackboneError
from kft.features import Stored, find_cut, load_or_extract
from kft.modalities.image.decoding import make_decoder
from kft.modalities.image.inspection import to_be_read
from kft.model import HEAD, assemble
from kft.optimization import seed_everything
from kft.tasks import make_head

# As many as a training step has by default: enough to keep all cores busy.
_BATCH_SIZE = 32


@dataclass(frozen=True, eq=False)
class Vectors:
    """Feature vectors of all pictures; their file stays while this value lives.

    Attributes:
        values: (pictures, features), memory-mapped.
        backbone: Who sees that.
        stored: What keeps the file.
    """

    values: np.ndarray
    backbone: str
    stored: Stored


def find_missing_weights(config: BackboneConfig) -> str:
    """Why the backbone's weights are not at hand; '' where they are, or are none of Keras's.

    Nothing is downloaded for an audit: it says what it left out.
    """
    architecture = ARCHITECTURES.get(config.name)
    if config.weights != "imagenet" or architecture is None:
        return ""
    try:
        size = check_size(architecture, config.input_size)
        files = official_files(architecture, config.options, size)
    except BackboneError:
        return ""  # loading it tells this in full
    if find_weights(files) is not None:
        return ""
    return (
        f"the weights of {config.name} ({files[0].name}) are not on this machine. `kft check` "
        "fetches them, KFT_WEIGHTS_DIR names a folder that holds them, and backbone.name names "
        "another backbone"
    )


def extract_vectors(pictures: Pictures, pipeline: Pipeline, display: Display) -> Vectors:
    """The feature vector of each picture by the pipeline's backbone, from the store or anew.

    Args:
        pictures: With classes, at least one.
        pipeline: Whose backbone.
        display: Shows the progress.

    Raises:
        BackboneError: The backbone cannot be had.
        DataError: A picture changed since it was looked at.
        ConfigError: There is no room to store them.
    """
    # Weights from random numbers are the same in every audit.
    seed_everything(pipeline.training.seed)
    backbone = load_backbone(pipeline.backbone)
    head = make_head(pipeline.head, pictures.task, pictures.class_names, pictures.targets)
    cut = find_cut(assemble(backbone, head), {HEAD})
    assert cut is not None
    spec = backbone.input_spec
    decoder = make_decoder(
        spec.modality, spec.height, spec.width, pipeline.data, pictures.depth_bits
    )
    examples = to_be_read(pictures.inspections, pictures.targets)
    with (
        display.track("Features of all pictures", len(pictures)) as advance,
        translate_read_errors(examples, decoder),
    ):
        stored = load_or_extract(
            cut,
            lambda view: make_view_dataset(examples, decoder, view=view, batch_size=_BATCH_SIZE),
            content_key=_make_key(pictures, describe_decoding(decoder, pipeline.data)),
            num_examples=len(pictures),
            config=pipeline.features,
            progress=advance,
            on_wait=lambda: display.stage("  another process is computing them; waiting"),
        )
    return Vectors(stored.activations[0], backbone.name, stored)


def _make_key(pictures: Pictures, decoding: str) -> str:
    """Digest of what decides the pixels: contents in their order, and decoding."""
    digest = hashlib.sha256(f"{decoding}\n".encode())
    for inspection in pictures.inspections:
        digest.update(f"{inspection.digest}\n".encode())
    return digest.hexdigest()
