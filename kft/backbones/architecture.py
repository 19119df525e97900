"""Records that describe the models of keras.applications."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from kft.modalities.image.input_spec import Scaling

OptionValue = bool | int | float | str


@dataclass(frozen=True)
class Boundary:
    """End of one block, or of a numbered sequence of blocks.

    Attributes:
        block: Name of the block; '{}' stands for the number that `layers` captures.
        layers: Regular expression of whole layer names; the last match of each block counts.
        at: 'layer': the block ends with the output of that layer. 'next_cut': it ends with
            the first tensor, at or after that layer, which alone crosses the graph (the sum of
            a residual block). 'previous_cut': it ends with the last such tensor before it.
        offset: Number added to the captured one.
    """

    block: str
    layers: str
    at: Literal["layer", "next_cut", "previous_cut"] = "layer"
    offset: int = 0


@dataclass(frozen=True)
class OptionRule:
    """One argument of an architecture.

    Attributes:
        default: Keras's default, whose type is the option's type.
        minimum: Smallest allowed number.
        pretrained: Values for which ImageNet weights exist.
    """

    default: OptionValue
    minimum: float = 0.0
    pretrained: tuple[OptionValue, ...] = ()


@dataclass(frozen=True)
class Architecture:
    """One model of keras.applications.

    Attributes:
        name: Name in kft.
        constructor: Name in keras.applications.
        family: Family, by which the listing is grouped.
        default_size: Height and width of the pretraining pictures, in pixels.
        smallest_size: Smallest height and width that Keras accepts, in pixels.
        scaling: Range of the pixels that the model expects.
        boundaries: Ends of the blocks, shallow to deep; layers after the last form the tail.
        weights_url: URL of the folder of official weights.
        weights_file: Official file without top; '' where the options decide its name.
        remote_file: Name of that file at `weights_url`, if different.
        weights_sizes: Input sizes that have weights of their own.
        options: Arguments that a pipeline may set.
        rescale_after_normalization: Whether the pretrained graph holds a second rescaling,
            which Keras adds only when it loads ImageNet weights itself.
        licence: Licence of the official weights in Keras's documentation, or 'unknown'.
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
