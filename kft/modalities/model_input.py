"""What a backbone reads, and what turns files into it: the values between modality and model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from kft.config import ModalityConfig
from kft.modalities.checked import TrainedCalibration

if TYPE_CHECKING:
    import keras

Augmentation = Callable[[Any, Any], Any]
"""(decoded examples (batch, …), seeds int32 (batch, 2)) -> the examples changed, float32."""


@dataclass(frozen=True)
class Element:
    """One tensor of an example, as the model takes it.

    Attributes:
        shape: Without the batch; None where the data decide.
        dtype: As Keras names it.
    """

    shape: tuple[int | None, ...]
    dtype: str = "float32"


class Decoder(Protocol):
    """The content of a file -> one example, in the graph; equal decoders give the same."""

    @property
    def output(self) -> Any:
        """Shape and dtype of an example: a `tf.TensorSpec`, or a mapping of names to these."""

    def __call__(self, content: Any, /) -> Any:
        """The tensors of one example: scalar string -> what `output` says."""

    def __hash__(self) -> int:
        """Of all that decides the tensors: they are read by one graph for each decoder."""


@dataclass(frozen=True)
class InputSpec(ABC):
    """What a backbone reads; its fields are JSON values, and are recorded with the model.

    Attributes:
        modality: Whose decoder feeds it.
    """

    modality: str = field(kw_only=True)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of one example, as the model takes it."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Of the model's input: what the decoder gives, such as 'pixels'."""

    def make_scaling(self) -> keras.Layer | None:
        """A layer from decoded examples to what the backbone saw in pretraining, if it needs one.

        It is part of the model, so that training and serving cannot differ in it.
        """
        return None

    def __str__(self) -> str:
        """The shape as people read it."""
        return " x ".join(map(str, self.shape))


@dataclass(frozen=True)
class StatedInput:
    """What the card of a trained model says of its input.

    Attributes:
        spec: What its backbone reads.
        settings: How files are made ready for it.
        trained: What was decided over all files that it was trained on.
    """

    spec: InputSpec
    settings: ModalityConfig
    trained: TrainedCalibration
