"""The catalogue of backbones: the listing of `kft backbones`, and a full description of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kft.backbones.architecture import Architecture
from kft.backbones.families import ARCHITECTURES
from kft.backbones.official import official_files
from kft.backbones.weights import find_weights
from kft.errors import BackboneError

if TYPE_CHECKING:
    from kft.backbones.record import Backbone
    from kft.modalities.image.input_spec import Scaling


@dataclass(frozen=True)
class Listing:
    """One line of `kft backbones`.

    Attributes:
        name: Name in a pipeline.
        modality: Modality of the examples that it reads.
        family: Family, such as 'ResNet'.
        default_size: Height and width of the pretraining pictures, in pixels; None for other
            modalities.
        smallest_size: Smallest height and width that the backbone accepts, in pixels; None for
            other modalities.
        scaling: Range of the pixels that the backbone expects.
        licence: Licence of its official weights.
        options: Arguments that a pipeline may set, with their defaults.
        weights: Official files found on this machine, over all widths (`alpha`); may be empty.
    """

    name: str
    modality: str
    family: str
    default_size: int | None
    smallest_size: int | None
    scaling: Scaling
    licence: str
    options: dict[str, bool | int | float | str]
    weights: tuple[str, ...]


@dataclass(frozen=True)
class BlockListing:
    """Name of one block, and the numbers of its layers and parameters."""

    name: str
    num_layers: int
    num_parameters: int


@dataclass(frozen=True)
class Description:
    """Full description of one backbone.

    Attributes:
        name: Name by which it was loaded.
        input: Size of an example, in words.
        scaling: Range of the pixels that it expects.
        output_shape: Shape of its feature map (height, width, channels) or vector (channels,).
        num_parameters: Number of parameters, batch statistics included.
        blocks: Blocks, shallow to deep.
        levels: (stride, block that ends at it, channels), fine to coarse.
        source: Origin of architecture and weights.
        licence: Licence of the weights.
    """

    name: str
    input: str
    scaling: Scaling
    output_shape: tuple[int | None, ...]
    num_parameters: int
    blocks: tuple[BlockListing, ...]
    levels: tuple[tuple[int, str, int], ...]
    source: str
    licence: str


def list_backbones() -> tuple[Listing, ...]:
    """List every registered backbone by name; imports neither Keras nor TensorFlow.

    >>> [listing.name for listing in list_backbones() if listing.family == "VGG"]
    ['vgg16', 'vgg19']
    """
    listings = (*map(_listing, ARCHITECTURES), *_OWN)
    return tuple(sorted(listings, key=lambda listing: listing.name))


_OF_WORDS: dict[str, bool | int | float | str] = {"width": 128, "layers": 2, "buckets": 20_000}
# Backbones of kft itself.
_OWN = (
    Listing("small_cnn", "image", "kft", 32, 16, "symmetric", "Apache-2.0", {"width": 16}, ()),
    Listing(
        "small_3d_cnn",
        "video",
        "kft",
        64,
        16,
        "symmetric",
        "Apache-2.0",
        {"frames": 16, "width": 16},
        (),
    ),
    Listing("small_wavenet", "audio", "kft", None, None, "none", "Apache-2.0", {"width": 32}, ()),
    Listing("yamnet", "audio", "YAMNet", None, None, "none", "Apache-2.0", {"layers": 14}, ()),
    Listing("minilm_l3", "text", "MiniLM", None, None, "none", "Apache-2.0", {}, ()),
    Listing("small_characters", "text", "kft", None, None, "none", "Apache-2.0", {"width": 64}, ()),
    *(
        Listing(name, "text", "kft", None, None, "none", "Apache-2.0", {**_OF_WORDS, **more}, ())
        for name, more in (("small_lstm", {}), ("small_transformer", {"heads": 4}))
    ),
    Listing(
        "word_vectors",
        "text",
        "kft",
        None,
        None,
        "none",
        "of the file",
        {"encoder": "mean", "units": 100, "max_words": 100_000},
        (),
    ),
)


def _listing(name: str) -> Listing:
    """Make the line of a model of keras.applications from the tables alone."""
    architecture = ARCHITECTURES[name]
    return Listing(
        name=name,
        modality="image",
        family=architecture.family,
        default_size=architecture.default_size,
        smallest_size=architecture.smallest_size,
        scaling=architecture.scaling,
        licence=architecture.licence,
        options={option: rule.default for option, rule in architecture.options.items()},
        weights=_found_weights(architecture),
    )


def _found_weights(architecture: Architecture) -> tuple[str, ...]:
    """Names of the official files on this machine, over all widths and sizes."""
    found: dict[str, None] = {}
    alphas = architecture.options["alpha"].pretrained if "alpha" in architecture.options else (1.0,)
    minimal = (False, True) if "minimalistic" in architecture.options else (False,)
    for alpha in alphas:
        for minimalistic in minimal:
            options = {"alpha": alpha, "minimalistic": minimalistic}
            options = {key: options[key] for key in options if key in architecture.options}
            for size in architecture.weights_sizes or (architecture.default_size,):
                try:
                    candidates = official_files(architecture, options, size)
                except BackboneError:
                    continue
                path = find_weights(candidates)
                if path is not None:
                    found[path.name] = None
    return tuple(found)


def describe(backbone: Backbone) -> Description:
    """Describe a loaded backbone."""
    return Description(
        name=backbone.name,
        input=str(backbone.input_spec),
        scaling=getattr(backbone.input_spec, "scaling", "none"),
        output_shape=tuple(backbone.model.output.shape[1:]),
        num_parameters=sum(block.num_parameters for block in backbone.blocks),
        blocks=tuple(
            BlockListing(block.name, len(block.layers), block.num_parameters)
            for block in backbone.blocks
        ),
        levels=tuple(
            (level.stride, level.block, level.tensor.shape[-1]) for level in backbone.feature_levels
        ),
        source=backbone.source,
        licence=backbone.licence,
    )
