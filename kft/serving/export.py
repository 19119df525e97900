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
from kft.modalities.model_input import FRAME
from kft.model import compile_forward, flatten_layers
from kft.runs.atomic import atomic_directory, write_json
from kft.runs.storage import find_storage_failure
from kft.serving.parity import ServingProcess, check_parity
from kft.serving.signatures import ServedModel
from kft.serving.versions import CARD, next_version
from kft.tasks.head import LOGITS
from kft.tasks.pooling import FEATURE_VECTOR


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
    served: ServedModel,
    folder: Path,
    *,
    examples: Examples,
    card: dict[str, Any],
    process: ServingProcess,
) -> Export:
    """Write the next version of an export, and verify it.

    Args:
        served: The model, with its head and the decoder of its files.
        folder: Folder of the export's versions, saved_models/<name>.
        examples: Examples for the parity check.
        card: Description of the model, written beside it, in assets.extra.
        process: Process for the parity check.

    Raises:
        ExportError: The export cannot be written, does not load without kft,
            or answers differently; it is removed.
    """
    path = folder / str(next_version(folder))
    expected = _compute_expected(served, examples)
    try:
        # The version gets its name only after it is verified, so that a server that watches the
        # folder never sees one that is not.
        with atomic_directory(path) as unverified:
            served.save(unverified)
            write_json(unverified / CARD, card)
            difference = check_parity(
                process,
                unverified,
                examples,
                expected,
                served.compared_outputs,
                is_float32=_is_float32(served.model),
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


def _compute_expected(served: ServedModel, examples: Examples) -> dict[str, np.ndarray]:
    """Compute the trained model's outputs about examples, by the name of the output."""
    # Not with the traced reading of batches: the check must find differences due to tracing.
    decoded = [served.decoder(read()) for _, read in list_contents(examples)]
    inputs = to_inputs({name: tf.stack([each[name] for each in decoded]) for name in decoded[0]})
    frames, model = inputs.pop(FRAME, None), served.model
    computed = {LOGITS: compile_forward(model, served.head.activate)(inputs)}
    if served.guard is not None:
        vectors = keras.Model(model.input, model.get_layer(FEATURE_VECTOR).output)
        computed[FEATURE_VECTOR] = compile_forward(vectors)(inputs)
    expected = served.serve(computed, frames)
    return {output.name: expected[output.name].numpy() for output in served.compared_outputs}


def _is_float32(model: keras.Model) -> bool:
    return all(
        part.compute_dtype in (None, "float32") for part in flatten_layers(model) if part.variables
    )
