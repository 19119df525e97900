"""What kft knows of one model of keras.applications."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from kft.modalities.image.input_spec import Scaling

OptionValue = bool | int | float | str


@dataclass(frozen=True)
class Boundary:
    """Where blocks end.

    Attributes:
        block: Name of the block; '{}' takes the number that `layers` captures.
        layers: Pattern of whole layer names; the last match of each block counts.
        at: 'layer': the block ends with that layer's output. 'next_cut': with the first
            tensor at or after it that alone crosses the graph (the sum of a residual
            block). 'previous_cut': with the last such tensor before it.
        offset: Added to the captured number.
    """

    block: str
    layers: str
    at: Literal["layer", "next_cut", "previous_cut"] = "layer"
    offset: int = 0


@dataclass(frozen=True)
class OptionRule:
    """One argument of an architecture.

    Attributes:
        default: What Keras takes; its type is the option's.
        minimum: Smallest value of a number.
        pretrained: Values for which ImageNet weights exist.
    """

    default: OptionValue
    minimum: float = 0.0
    pretrained: tuple[OptionValue, ...] = ()


@dataclass(frozen=True)
class Architecture:
    """One model of keras.applications.

    Attributes:
        name: kft's name of it.
        constructor: Its name in keras.applications.
        family: Groups the listing.
        default_size: Height and width of pretraining, in pixels.
        smallest_size: The least that Keras accepts.
        scaling: What it expects of its pixels.
        boundaries: Ends of its blocks, shallow to deep; what follows the last is the tail.
        weights_url: Folder of its official weights.
        weights_file: Official file without top; '' where the options decide the name.
        remote_file: Its name at `weights_url`, where that differs.
        weights_sizes: Input sizes with weights of their own.
        options: Arguments that a pipeline may set.
        rescale_after_normalization: Whether the pretrained graph holds a second rescaling
            that Keras adds only while it loads ImageNet weights itself.
        licence: Of the official weights, as Keras's documentation states it, or 'unknown'.
    """

    name: str
    constructor: str
    family: str
    default_size: int
    smallest_size: int
    scaling: Scaling
    boundaries: tuple[Boundary, ...]
    weights_url: str
    weights_file: str = ""
    remote_file: str = ""
    weights_sizes: tuple[int, ...] = ()
    options: Mapping[str, OptionRule] = field(default_factory=dict)
    rescale_after_normalization: bool = False
    licence: str = "Apache-2.0"
