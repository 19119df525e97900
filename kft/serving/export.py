"""Export of a trained model as a SavedModel for TensorFlow Serving, kept only if it is verified."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kft.data.batches.example_cache import to_inputs
from kft.data.batches.reading import list_contents
from kft.errors import ExportError
from kft.examples import Examples
from kft.modalities import Decoder
from kft.modalities.model_input import FRAME
from kft.model import compile_forward, flatten_layers
from kft.runs.atomic import atomic_directory, write_json
from kft.runs.storage import find_storage_failure
from kft.serving.parity import check_parity
from kft.serving.signatures import ServedModel, frame_decoder
from kft.serving.versions import CARD, next_version
from kft.tasks.head import Head


@dataclass(frozen=True)
class Export:
    """A SavedModel that passed the parity check.

    Attributes:
        path: Folder saved_models/<name>/<version>.
        largest_difference: Largest difference between served and trained outputs.
        num_compared: Number of examples compared.
    """

    path: Path
    largest_difference: float
    num_compared: int


def export_model(
    model: keras.Model,
    head: Head,
    decoder: Decoder,
    *,
    directory: Path,
    name: str,
    examples: Examples,
    card: dict[str, Any],
) -> Export:
    """Write the next version of saved_models/<name>, and verify it.

    Args:
        model: Model from decoded examples to logits.
        head: Head of the model, which interprets the logits.
        decoder: Decoder of files, as in training.
        directory: Folder of all exports.
        name: Name of the model in TensorFlow Serving.
        examples: Examples for the parity check.
        card: Description of the model, written beside it, in assets.extra.

    Raises:
        ExportError: The export cannot be written, does not load without kft,
            or answers differently; it is removed.
    """
    path = directory / name / str(next_version(directory / name))
    served = ServedModel(model, head, decoder)
    expected = _compute_expected(model, head, decoder, examples)
    try:
        # The version gets its name only after it is verified, so that a server that watches the
        # folder never sees one that is not.
        with atomic_directory(path) as unverified:
            served.save(unverified)
            write_json(unverified / CARD, card)
            difference = check_parity(
                unverified,
                examples,
                expected,
                head.compared_outputs,
                is_float32=_is_float32(model),
            )
    except (OSError, tf.errors.OpError) as error:
        failure = find_storage_failure(error)
        if failure is None:
            if isinstance(error, OSError):
                raise ExportError(f"{path}: cannot be written: {error}") from error
            raise
        again = f" Then run `kft export {card['run']}`." if "run" in card else ""
        raise type(failure)(f"{path}: the export failed. {failure}{again}") from error
    finally:
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()
    return Export(path, difference, len(examples))


def _compute_expected(
    model: keras.Model, head: Head, decoder: Decoder, examples: Examples
) -> dict[str, np.ndarray]:
    """Compute the trained model's outputs about examples, by the name of the output."""
    # Not with the traced reading of batches: the check must find differences due to tracing.
    framed = frame_decoder(decoder, head)
    decoded = [framed(read()) for _, read in list_contents(examples)]
    inputs = to_inputs({name: tf.stack([each[name] for each in decoded]) for name in decoded[0]})
    frames = inputs.pop(FRAME, None)
    served = head.serve(compile_forward(model, head.activate)(inputs), frames)
    return {output.name: served[output.name].numpy() for output in head.compared_outputs}


def _is_float32(model: keras.Model) -> bool:
    return all(
        part.compute_dtype in (None, "float32") for part in flatten_layers(model) if part.variables
    )
