"""Values between a modality and the model: inputs of a backbone, decoders, augmentations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from kft.config import ModalityConfig
from kft.examples import Examples
from kft.modalities.checked import TrainedCalibration
from kft.modalities.explained import PARTS_PER_AXIS, ExplainedAxes, divide_into_grid
from kft.tasks import Task
from kft.tasks.base import COMPANIONS

Augmentation = Callable[[Mapping[str, Any], Any], dict[str, Any]]
"""Function from decoded examples and seeds, int32 (batch, 2), to the changed examples.

The examples are a mapping of element names to tensors (batch, …); floats come back as float32.
"""


@runtime_checkable
class MovingAugmentation(Protocol):
    """Augmentation that moves the companions of an example, its dense targets, as it moves it."""

    def __call__(self, examples: Mapping[str, Any], seeds: Any, /) -> dict[str, Any]:
        """See `Augmentation`; the companions among the elements move with the others."""

    def move_companions(self, examples: Mapping[str, Any], seeds: Any) -> dict[str, Any]:
        """Compute the companions alone as a call returns them."""


PADDING_MASK = "padding_mask"
"""Name of the element that is 0 where a step of a sequence is padding, else 1."""


class Element(NamedTuple):
    """One of the tensors that make up an example.

    Attributes:
        shape: Shape without the batch; None where the size is open.
        dtype: Type as the model takes it.
    """

    shape: tuple[int | None, ...]
    dtype: str = "float32"


class Decoder(Protocol):
    """Decoder of the content of a file, in the graph; equal decoders give equal tensors."""

    @property
    def output(self) -> Mapping[str, Any]:
        """Shape and type of the elements of an example: `tf.TensorSpec` by name."""

    def __call__(self, content: Any, /) -> dict[str, Any]:
        """Decode one example, from a scalar string to the elements in `output`."""

    def __hash__(self) -> int:
        """Hash of everything that decides the tensors; each decoder has one graph."""


class Baseline(Protocol):
    """Baseline: training examples and others -> answers about the others."""

    def __call__(
        self, train: Examples, asked: Examples, task: Task, num_names: int, /
    ) -> np.ndarray | None:
        """Answer in the unit of the targets (examples, names); None if it cannot."""


@runtime_checkable
class PlacingDecoder(Decoder, Protocol):
    """Decoder that knows where each part of a file is in the example that it makes of it."""

    def beside(self, companion: str, num_rows: int) -> Decoder:
        """Make a decoder of a file and its dense target, which it places as it places the file.

        Its `output` has one more element, named as the companion. It is called with the content of
        a file, and either the content of a file with a mask or boxes (num_rows, 5).

        Args:
            companion: One of `kft.tasks.COMPANIONS`.
            num_rows: Rows of boxes of each example; 0 for a mask.
        """

    def with_frame(self) -> Decoder:
        """Make a decoder whose `output` has `FRAME` too."""


FRAME = "frame"
"""Place of an example in its file, float32 (6,): height and width of what the file shows, then
top, left, bottom and right of the example in fractions of these. What was added around it lies
outside of 0 to 1."""


def takes_companion(decoder: Decoder) -> bool:
    """Tell whether a decoder decodes a dense target beside each file."""
    return any(name in COMPANIONS for name in decoder.output)


def split_companion(elements: Mapping[str, Any]) -> tuple[dict[str, Any], Any | None]:
    """Separate the inputs of a model from the dense target; None if there is none."""
    inputs = {name: each for name, each in elements.items() if name not in COMPANIONS}
    return inputs, next((each for name, each in elements.items() if name in COMPANIONS), None)


@dataclass(frozen=True)
class InputSpec(ABC):
    """Input of a backbone; its fields are JSON values, and are recorded with the model.

    Attributes:
        modality: Name of the modality whose decoder feeds the backbone.
    """

    modality: str = field(kw_only=True)

    @property
    @abstractmethod
    def elements(self) -> Mapping[str, Element]:
        """The model's inputs by name, such as 'pixels'; the decoder gives the same names."""

    def prepare(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Add the layers between the decoder and the backbone, such as scaling.

        They are part of the model, so training and serving cannot differ in them.

        Args:
            inputs: The model's inputs, `keras.KerasTensor` by name of the element.

        Returns:
            Inputs of the backbone, by the same names.
        """
        return dict(inputs)

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages that a process must import before it loads an export of the model.

        TensorFlow Serving has TensorFlow Text linked in.
        """
        return ()

    @property
    def may_shorten(self) -> bool:
        """Whether the model may read sequences shorter than `elements` says, with a padding mask.

        A training batch then ends where its longest sequence does. Sequences lie on the first axis
        of whole numbers (steps,) and of features (steps, channels).
        """
        return False

    @property
    def explained(self) -> ExplainedAxes:
        """Tensor and axes of an explanation; by default the first element, without its channels."""
        name, element = next(iter(self.elements.items()))
        axes = range(max(1, len(element.shape) - 1))
        names = tuple(f"axis {axis}" for axis in axes)
        return ExplainedAxes(name, names, (PARTS_PER_AXIS,) * len(names))

    def make_neutral(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Make an example that says nothing, to compare an example with; by default zeros.

        Args:
            inputs: The decoded elements of an example by name, without the batch. Elements that
                are not explained, such as a mask, stay as they are.
        """
        explained = self.explained.layer
        return {
            name: np.zeros_like(values) if name == explained else values
            for name, values in inputs.items()
        }

    def find_parts(self, inputs: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
        """Number the parts of an example that an explanation hides one by one; by default a grid.

        Args:
            inputs: See `make_neutral`.
            shape: Length of each explained axis.

        Returns:
            Part of each position, int64 of `shape`; -1 for a position that is never hidden.
        """
        parts = divide_into_grid(shape, self.explained.parts)
        mask = inputs.get(PADDING_MASK)
        return parts if mask is None or mask.shape != shape else np.where(mask > 0, parts, -1)

    def __str__(self) -> str:
        """Describe the shapes for messages."""
        return ", ".join(" x ".join(map(str, each.shape)) for each in self.elements.values())


@dataclass(frozen=True)
class StatedInput:
    """Input as stated by the card of a trained model.

    Attributes:
        spec: What its backbone reads.
        settings: How files are made ready for it.
        trained: What was decided over all files that it was trained on.
    """

    spec: InputSpec
    settings: ModalityConfig
    trained: TrainedCalibration


def make_no_augmentation() -> None:
    """Return no augmentation: examples stay as they are."""
