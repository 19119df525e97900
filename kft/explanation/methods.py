"""Methods of explanation: Grad-CAM, integrated gradients, occlusion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kft.explanation.explained_model import ExplainedModel

# Steps of the path from the neutral example to the example itself; with as many the values add up
# to the difference of both scores within a few percent.
PATH_STEPS = 32
# Examples that are computed at once.
BATCH = 32


@dataclass(frozen=True, eq=False)
class Subject:
    """An answer to explain.

    Attributes:
        inputs: Elements of the example by name, without the batch.
        tensor: Explained tensor (axes …) or (axes …, channels).
        neutral: Explained tensor of an example that says nothing, of the same shape.
        parts: Part of each position (axes …); -1 for positions that are never hidden.
        direction: Direction of the score, from `Head.find_explained`.
    """

    inputs: Mapping[str, np.ndarray]
    tensor: np.ndarray
    neutral: np.ndarray
    parts: np.ndarray
    direction: np.ndarray

    @property
    def num_parts(self) -> int:
        """Number of parts."""
        return int(self.parts.max(initial=-1)) + 1

    def hide(self, parts: Sequence[int] | np.ndarray) -> np.ndarray:
        """Make the explained tensor with some parts as in the neutral example."""
        is_hidden = np.isin(self.parts, parts)
        spread = is_hidden.reshape(is_hidden.shape + (1,) * (self.tensor.ndim - is_hidden.ndim))
        return np.where(spread, self.neutral, self.tensor)


Method = Callable[[ExplainedModel, Subject], np.ndarray]
"""Function from a model and an answer to the value of each position (axes …)."""


def explain_by_gradients(model: ExplainedModel, subject: Subject) -> np.ndarray:
    """Integrate gradients along the path from the neutral example.

    The values add up to the difference of the scores of both examples.

    Source: Sundararajan et al., Axiomatic Attribution for Deep Networks, arXiv:1703.01365.
    """
    difference = subject.tensor - subject.neutral
    # Midpoints, because the ends of the path count half.
    shares = (np.arange(PATH_STEPS) + 0.5) / PATH_STEPS
    shares = shares.reshape((-1,) + (1,) * difference.ndim).astype(np.float32)
    path = subject.neutral + shares * difference
    found = [
        model.differentiate(path[start : start + BATCH], subject.inputs, subject.direction).tensor
        for start in range(0, PATH_STEPS, BATCH)
    ]
    values = difference * np.concatenate(found).mean(axis=0)
    return _sum_channels(values, subject.parts.ndim)


def explain_by_feature_map(model: ExplainedModel, subject: Subject) -> np.ndarray:
    """Weigh the channels of a deep feature map by their mean gradient (Grad-CAM).

    Source: Selvaraju et al., Grad-CAM, arXiv:1610.02391.
    """
    found = model.differentiate(subject.tensor[np.newaxis], subject.inputs, subject.direction)
    features, gradients = found.features[0], found.by_features[0]
    weights = gradients.mean(axis=tuple(range(gradients.ndim - 1)))
    return resize(np.maximum(features @ weights, 0.0), subject.parts.shape)


def explain_by_occlusion(model: ExplainedModel, subject: Subject) -> np.ndarray:
    """Hide each part in turn; its value is the loss of score, spread over its positions.

    Source: Zeiler and Fergus, Visualizing and Understanding CNNs, arXiv:1311.2901.
    """
    hidden = score_hidden(model, subject, [[], *([part] for part in range(subject.num_parts))])
    losses = hidden[0] - hidden[1:]
    counts = np.bincount(subject.parts[subject.parts >= 0], minlength=subject.num_parts)
    padded = np.append(losses / counts, 0.0)
    values: np.ndarray = padded[subject.parts]
    return values


def score_hidden(
    model: ExplainedModel, subject: Subject, hidden: Sequence[Sequence[int] | np.ndarray]
) -> np.ndarray:
    """Compute the score with each set of parts hidden: float64 (sets,)."""
    scores = [
        model.score(
            np.stack([subject.hide(parts) for parts in hidden[start : start + BATCH]]),
            subject.inputs,
            subject.direction,
        )
        for start in range(0, len(hidden), BATCH)
    ]
    return np.concatenate(scores).astype(np.float64)


def resize(values: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Interpolate the cells of a map linearly between their centres, along each axis.

    >>> resize(np.array([0.0, 1.0]), (4,)).tolist()
    [0.0, 0.25, 0.75, 1.0]

    Args:
        values: Values of cells.
        shape: Length of each axis of the result.
    """
    for axis, length in enumerate(shape):
        cells = values.shape[axis]
        places = (np.arange(length) + 0.5) * cells / length - 0.5
        low = np.clip(np.floor(places), 0, cells - 1).astype(int)
        high = np.minimum(low + 1, cells - 1)
        share = np.clip(places - low, 0.0, 1.0)
        share = share.reshape((-1,) + (1,) * (values.ndim - axis - 1))
        at = [np.take(values, chosen, axis=axis) for chosen in (low, high)]
        values = (1 - share) * at[0] + share * at[1]
    return values


def _sum_channels(values: np.ndarray, num_axes: int) -> np.ndarray:
    return values.sum(axis=tuple(range(num_axes, values.ndim)))


GRADIENTS, FEATURE_MAP, OCCLUSION = "integrated gradients", "Grad-CAM", "occlusion"
METHODS: dict[str, Method] = {
    FEATURE_MAP: explain_by_feature_map,
    GRADIENTS: explain_by_gradients,
    OCCLUSION: explain_by_occlusion,
}


def find_methods(model: ExplainedModel) -> tuple[list[str], dict[str, str]]:
    """List the methods that suit a model, and why the others do not."""
    if model.features is not None:
        return list(METHODS), {}
    if not model.spec.explained.is_continuous:
        axes = " and ".join(model.spec.explained.names)
        reason = f"a feature map cannot be laid over each {axes}"
    else:
        reason = "the inside of the model is hidden, or has no feature map"
    return [name for name in METHODS if name != FEATURE_MAP], {FEATURE_MAP: reason}
