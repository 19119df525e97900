"""What the fine-tuning of a finished run did to its backbone, computed on request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kft.backbones import load_backbone
from kft.backbones.crossings import named_outputs
from kft.backbones.record import Backbone
from kft.config import DataConfig
from kft.data import load_splits
from kft.data.batches.pipeline import make_dataset
from kft.data.batches.reading import translate_read_errors
from kft.display import Display
from kft.errors import DataError, RunError
from kft.evaluation.changes import (
    Changes,
    Forgetting,
    copy_weights,
    measure_movement,
    write_changes,
)
from kft.examples import Examples, Splits
from kft.model import Assembled, assemble, call_backbone
from kft.provenance import load_run_pipeline
from kft.run_operations.asked_model import configure_stated
from kft.run_operations.run_data import load_run_splits
from kft.runs import RunDirectory, open_run
from kft.statistics import linear_cka, paired_proportions
from kft.tasks.pooling import FEATURES
from kft.training import Trained, load_trained

# Training examples by whose features blocks are compared; with fewer than channels the alignment
# is too high, with more it hardly changes.
_MOST_EXAMPLES = 300
# Share of the source data that the probe on its features is judged on.
_JUDGED = 0.4
_BATCH = 32


def measure_changes(path: Path, display: Display, *, source: str | None = None) -> Changes:
    """Compare the backbone of a finished run with the pretrained one that it began from.

    Args:
        path: Path of the run.
        display: Shows the progress.
        source: Path of labelled data of a source task, with classes, to see what was forgotten.

    Raises:
        RunError: There is no finished run at `path`, or its backbone began from random weights.
        BackboneError: The pretrained weights are missing.
        DataError: The run's data are missing or have changed, or the source has no classes.
    """
    run = open_run(path)
    run.check_writable()
    trained = load_trained(run)
    pipeline = load_run_pipeline(run)
    assembled = _assemble_as_begun(run, trained)
    splits = load_run_splits(run, pipeline, display)
    chosen = np.linspace(0, len(splits.train) - 1, min(_MOST_EXAMPLES, len(splits.train)))
    examples = splits.train.take(chosen.astype(int))
    sources = None if source is None else _load_source(source, trained, display)
    reader = _make_reader(assembled.backbone)
    blocks = assembled.backbone.blocks
    weights = copy_weights(blocks)
    found = []
    with display.track("Features before and after", 2) as advance:
        for done in (1, 2):
            own = _read(reader, examples, trained)
            of_source = sources and [
                _read(reader, part, trained)[FEATURES] for part in (sources.train, sources.holdout)
            ]
            found.append((own, of_source))
            if done == 1:
                assembled.model.set_weights(trained.model.get_weights())
            advance(done, 2)
    (before, source_before), (after, source_after) = found
    movement = tuple(
        replace(change, alignment=linear_cka(before[change.block], after[change.block]))
        if change.block in before
        else change
        for change in measure_movement(blocks, weights)
    )
    forgetting = None
    if sources is not None:
        assert source is not None and source_before and source_after
        forgetting = _judge(source, sources, source_before, source_after)
    changes = Changes(movement, forgetting)
    write_changes(run.changes, changes)
    return changes


def _assemble_as_begun(run: RunDirectory, trained: Trained) -> Assembled:
    """Assemble the model with the pretrained weights of its backbone.

    Raises:
        RunError: The backbone began from random weights, or is another one now.
    """
    backbone = load_backbone(load_run_pipeline(run).backbone)
    if backbone.sha256 is None:
        raise RunError(
            f"{run.path}: the backbone began from random weights, so there is nothing that "
            "fine-tuning could change or forget."
        )
    assembled = assemble(replace(backbone, input_spec=trained.stated.spec), trained.head)
    shapes = [
        [tuple(variable.shape) for variable in model.weights]
        for model in (assembled.model, trained.model)
    ]
    if shapes[0] != shapes[1]:
        raise RunError(f"{run.path}: `backbone.name` is no longer the backbone that was trained.")
    return assembled


def _make_reader(backbone: Backbone) -> keras.Model:
    """Model from examples to the mean of each block's output over positions (batch, channels)."""
    spec = backbone.input_spec
    given = {
        name: keras.Input(element.shape, name=name, dtype=element.dtype)
        for name, element in spec.elements.items()
    }
    tensors = call_backbone(backbone, spec.prepare(given), tuple(named_outputs(backbone)))
    means = {}
    for name, tensor in tensors.items():
        axes = tuple(range(1, len(tensor.shape) - 1))
        means[name] = keras.ops.mean(tensor, axis=axes) if axes else tensor
    return keras.Model(given, means)


def _read(reader: keras.Model, examples: Examples, trained: Trained) -> dict[str, np.ndarray]:
    batches = make_dataset(examples, trained.decoder, batch_size=_BATCH)
    found: dict[str, list[np.ndarray]] = {}
    with translate_read_errors(examples, trained.decoder):
        for inputs, _ in batches:
            for name, values in reader(inputs, training=False).items():
                found.setdefault(name, []).append(tf.cast(values, tf.float32).numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _load_source(path: str, trained: Trained, display: Display) -> Splits:
    """Load labelled data of a source task, divided into a part to learn and one to judge.

    Raises:
        DataError: Its examples do not have one class each.
    """
    config = DataConfig(path=path, holdout=_JUDGED, validation=0.0)
    config = config.model_copy(
        update={
            name: getattr(configure_stated(trained.stated), name)
            for name in ("modality", trained.stated.spec.modality)
        }
    )
    with display.track("Checking every file of the source task") as advance:
        splits = load_splits(config, progress=advance, trained=trained.stated.trained)
    if not splits.task.has_classes:
        raise DataError(
            f"{path}: holds {splits.task.nouns}, but forgetting is measured by the accuracy of "
            "classes. Give data with one class per example."
        )
    return splits


def _judge(
    source: str, splits: Splits, before: list[np.ndarray], after: list[np.ndarray]
) -> Forgetting:
    """Judge linear probes on the features before and after, on the same examples."""
    rights = list(_find_right(splits, (before, after)))
    difference = paired_proportions(*rights)
    return Forgetting(
        source,
        len(splits.holdout),
        float(rights[0].mean()),
        float(rights[1].mean()),
        difference.low,
        difference.high,
    )


def _find_right(splits: Splits, features: tuple[list[np.ndarray], ...]) -> Iterator[np.ndarray]:
    for learned, judged in features:
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
        probe.fit(learned, splits.train.targets)
        yield probe.predict(judged) == splits.holdout.targets
