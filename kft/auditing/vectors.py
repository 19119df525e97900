"""Stored feature vectors of all examples from the configured backbone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kft.auditing.seen_examples import SeenExamples
from kft.backbones import list_backbones, load_backbone
from kft.backbones.families import ARCHITECTURES
from kft.backbones.official import OTHER_FILES, check_size, official_files
from kft.backbones.weights import OfficialFile, find_weights
from kft.config import PRETRAINED, BackboneConfig, Pipeline
from kft.data.batches.decoded import describe_decoding
from kft.data.batches.pipeline import make_view_dataset
from kft.data.batches.reading import translate_read_errors
from kft.display import Display
from kft.errors import BackboneError
from kft.features import Stored, find_cut, load_or_extract
from kft.modalities import Modality
from kft.modalities.checked import to_examples
from kft.model import HEAD, assemble
from kft.optimization import seed_everything
from kft.tasks import make_head

# Default of a training step, which keeps all cores busy.
_BATCH_SIZE = 32


@dataclass(frozen=True, eq=False)
class Vectors:
    """Feature vectors of all examples; their file is kept while this object lives.

    Attributes:
        values: Vectors (examples, features), memory-mapped.
        backbone: Name of the backbone.
        stored: Cache entry that keeps the file.
    """

    values: np.ndarray
    backbone: str
    stored: Stored


def find_obstacle(config: BackboneConfig, modality: Modality) -> str:
    """Return the reason why the backbone has no features of these examples; '' if it has.

    It reads another modality, or its published weights are missing: an audit downloads nothing,
    and reports the skipped check instead.
    """
    read = next((row.modality for row in list_backbones() if row.name == config.name), None)
    if read not in (None, modality.name):
        return (
            f"{config.name} reads examples of modality {read!r}. backbone.name names one for "
            f"{modality.nouns}; `kft backbones --modality {modality.name}` lists them"
        )
    files = _list_official_files(config)
    if not files or find_weights(files) is not None:
        return ""
    return (
        f"the weights of {config.name} ({files[0].name}) are not on this machine. `kft check` "
        "fetches them, KFT_WEIGHTS_DIR names a folder that holds them, and backbone.name names "
        "another backbone"
    )


def _list_official_files(config: BackboneConfig) -> Sequence[OfficialFile]:
    """List the published files that would do; none if others are requested."""
    if config.weights != PRETRAINED:
        return ()
    architecture = ARCHITECTURES.get(config.name)
    if architecture is None:
        return OTHER_FILES.get(config.name, ())
    try:
        size = check_size(architecture, config.input_size)
        return official_files(architecture, config.options, size)
    except BackboneError:
        return ()  # loading it raises the full message


def extract_vectors(seen: SeenExamples, pipeline: Pipeline, display: Display) -> Vectors:
    """Load the feature vector of each example from the cache, or extract it.

    Args:
        seen: Examples with classes, at least one.
        pipeline: Pipeline with the backbone.
        display: Display of the progress.

    Raises:
        BackboneError: The backbone cannot be loaded.
        DataError: A file changed after its check.
        ConfigError: The cache has no space for the vectors.
    """
    # The seed makes random weights the same in every audit.
    seed_everything(pipeline.training.seed)
    backbone = load_backbone(pipeline.backbone)
    modality, examples = seen.modality, to_examples(seen.checked, seen.targets)
    settings = modality.settings_of(pipeline.data)
    spec = modality.fit_spec(backbone.input_spec, settings, examples)
    backbone = replace(backbone, input_spec=spec)
    head = make_head(pipeline.head, seen.task, seen.class_names, seen.targets)
    cut = find_cut(assemble(backbone, head), {HEAD})
    assert cut is not None
    decoder = modality.make_decoder(spec, settings, seen.calibrated)
    with (
        display.track(f"Features of all {modality.nouns}", len(seen)) as advance,
        translate_read_errors(examples, decoder),
    ):
        stored = load_or_extract(
            cut,
            lambda view: make_view_dataset(examples, decoder, view=view, batch_size=_BATCH_SIZE),
            content_key=_make_key(seen, describe_decoding(decoder, modality, pipeline.data)),
            num_examples=len(seen),
            config=pipeline.features,
            progress=advance,
            on_wait=lambda: display.stage("  another process is computing them; waiting"),
        )
    return Vectors(stored.activations[cut.name][0], backbone.name, stored)


def _make_key(seen: SeenExamples, decoding: str) -> str:
    """Digest of everything that affects the decoded examples: contents in order, and decoding."""
    digest = hashlib.sha256(f"{decoding}\n".encode())
    for each in seen.checked:
        digest.update(f"{each.digest}\n".encode())
    return digest.hexdigest()
