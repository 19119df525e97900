"""Temperature of a trained head, folded into its last layer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from kft.runs.unseen_answers import UnseenAnswers, write_unseen
from kft.statistics import fit_temperature
from kft.tasks.head import LOGITS, Head


def find_temperature(head: Head, outputs: np.ndarray, targets: np.ndarray) -> float | None:
    """Find the temperature at which answers to unseen examples come true.

    Args:
        head: Head of the answers.
        outputs: Outputs of `Head.activate` (examples, outputs) for examples that the model has
            not seen.
        targets: Targets as returned by `Head.standardise`.

    Returns:
        The temperature; None if the answers state no probabilities.

    Source: Guo et al., On Calibration of Modern Neural Networks, arXiv:1706.04599.
    """
    logits = head.find_logits(outputs)
    return None if logits is None else fit_temperature(logits, targets)


def cool(head: Head, outputs: np.ndarray, temperature: float) -> np.ndarray:
    """Compute the outputs of a head whose logits are divided by a temperature.

    Args:
        head: Head with a temperature.
        outputs: Outputs of `Head.activate` without it (examples, outputs).
        temperature: The temperature.
    """
    logits = head.find_logits(outputs)
    assert logits is not None, "only a head with logits has a temperature"
    return np.asarray(head.activate(logits / temperature))


def write_cooled(head: Head, unseen: UnseenAnswers, folder: Path) -> float | None:
    """Find the temperature of unseen answers, and write them divided by it.

    Args:
        head: Head of the answers.
        unseen: The answers, without a temperature.
        folder: Folder of the phase that made the model.

    Returns:
        The temperature; None if the answers state no probabilities.
    """
    temperature = find_temperature(head, unseen.outputs, unseen.targets)
    if temperature is not None:
        unseen = replace(unseen, outputs=cool(head, unseen.outputs, temperature))
    write_unseen(folder, unseen)
    return temperature


def divide_logits(model: keras.Model, temperature: float) -> None:
    """Divide the logits of a model by a temperature, by dividing kernel and bias of its head.

    The largest logit of an example stays the largest, and logits keep their sign.
    """
    layer = model.get_layer(LOGITS)
    for variable in (layer.kernel, layer.bias):
        variable.assign((variable.numpy() / temperature).astype(np.float32))
