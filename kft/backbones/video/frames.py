"""Any backbone of pictures over the frames of clips: `frames:NAME`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
from keras import layers

from kft.backbones.crossings import cut_after
from kft.backbones.graph import call_layers
from kft.backbones.partition import check_blocks
from kft.backbones.record import Backbone, Block, FeatureLevel
from kft.backbones.video.folding import FoldFrames, FramePool, UnfoldFrames
from kft.backbones.video.options import DEFAULT_FRAMES, FRAMES, Allowed, read_options
from kft.config.schema import BackboneConfig
from kft.errors import BackboneError
from kft.modalities.image.input_spec import ImageSpec
from kft.modalities.video.input_spec import CLIP, VideoSpec

PREFIX = "frames:"
TEMPORAL = "temporal"
_OPTIONS: Allowed = {
    "frames": (DEFAULT_FRAMES, FRAMES),
    TEMPORAL: ("mean", ("mean", "max", "attention", "lstm")),
    "units": (64, range(1, 1025)),
}
_HEADS = 4


def load(config: BackboneConfig) -> Backbone:
    """Load the backbone of pictures behind `frames:NAME`, and apply it to each frame of a clip.

    Its blocks are those of NAME, whose outputs are maps over time and place. `temporal` says how
    the frames are joined: `mean` and `max` over time know no order; `attention` and `lstm` are a
    further block, `temporal`, with random weights, which reads the frames in their order and each
    quarter of a frame apart.

    Raises:
        BackboneError: NAME is not a backbone of pictures, or an option is not allowed.
    """
    from kft.backbones import load_backbone

    options = read_options(config, _OPTIONS, others=True)
    name = config.name.removeprefix(PREFIX)
    others = {key: value for key, value in config.options.items() if key not in _OPTIONS}
    of_pictures = load_backbone(config.model_copy(update={"name": name, "options": others}))
    spec = of_pictures.input_spec
    if not isinstance(spec, ImageSpec):
        raise BackboneError(
            f"backbone.name: {name!r} reads {spec.modality}, not pictures. `frames:` takes a "
            "backbone of pictures, such as `frames:mobilenet_v2`."
        )
    frames, temporal = options["frames"], options[TEMPORAL]
    clip = keras.Input((frames, spec.height, spec.width, 3), name=CLIP)
    maps, blocks, ends = _fold(of_pictures, clip, frames)
    x = maps
    if len(maps.shape) == 5:
        pool = FramePool(has_places=temporal in ("attention", "lstm"), name="frame_pool")
        x = pool(maps)
        # What is stored of frozen frames is a vector for each.
        blocks[-1] = Block(blocks[-1].name, (*blocks[-1].layers, pool))
    if temporal == "max":
        x = layers.GlobalMaxPooling1D(name="temporal_maximum")(x)
    elif temporal != "mean":
        x, added = _TEMPORAL[temporal](x, options["units"])
        blocks += [Block(TEMPORAL, tuple(added))]
    model = keras.Model(clip, x, name="frames")
    check_blocks(model, blocks)
    return replace(
        of_pictures,
        name=config.name,
        model=model,
        input_spec=VideoSpec(frames, spec.height, spec.width, spec.scaling),
        blocks=tuple(blocks),
        feature_levels=tuple(
            FeatureLevel(level.stride, level.block, ends[level.block])
            for level in of_pictures.feature_levels
            if level.block in ends
        ),
        source=f"{frames} frames by {of_pictures.source}",
    )


def _fold(of_pictures: Backbone, clip: Any, frames: int) -> tuple[Any, list[Block], dict[str, Any]]:
    """Call the layers of a backbone on every frame.

    Between blocks the frames are clips again, so that what crosses from one to the next belongs
    to an example. Blocks between which several tensors cross are joined.

    Returns:
        The output, the blocks, and the output of each block by name.
    """
    blocks: list[Block] = []
    ends: dict[str, Any] = {}
    waiting: list[Any] = []
    x, start = clip, of_pictures.model.input
    for block in of_pictures.blocks:
        waiting += block.layers
        is_last = block is of_pictures.blocks[-1]
        end = of_pictures.model.output if is_last else cut_after(of_pictures, block.name)
        if end is None:
            continue
        fold = FoldFrames(name=f"{block.name}_fold")
        unfold = UnfoldFrames(frames, name=f"{block.name}_unfold")
        x = ends[block.name] = unfold(call_layers(keras.Model(start, end), fold(x)))
        blocks.append(Block(block.name, (fold, *waiting, unfold)))
        start, waiting = end, []
    if not of_pictures.feature_levels:
        # The blocks of a hub module are hidden in its one layer.
        blocks = list(of_pictures.blocks)
    return x, blocks, ends


def _add_lstm(x: Any, units: int) -> tuple[Any, list[Any]]:
    added = [
        layers.LayerNormalization(name="temporal_norm"),
        layers.LSTM(units, name="temporal_lstm"),
    ]
    for layer in added:
        x = layer(x)
    return x, added


def _add_attention(x: Any, units: int) -> tuple[Any, list[Any]]:
    """Add a transformer layer; the bias of each frame tells it the place in time.

    Source: Vaswani et al., Attention Is All You Need, arXiv:1706.03762, with learned places.
    """
    norm = layers.LayerNormalization(name="temporal_norm")
    project = layers.EinsumDense(
        "bfc,cd->bfd",
        (x.shape[1], units),
        bias_axes="fd",
        bias_initializer=keras.initializers.RandomNormal(stddev=0.5),
        name="temporal_project",
    )
    attend = layers.MultiHeadAttention(_HEADS, max(1, units // _HEADS), name="temporal_attention")
    add = layers.Add(name="temporal_add")
    hidden = layers.Dense(2 * units, "gelu", name="temporal_hidden")
    output = layers.Dense(units, name="temporal_output")
    add_again = layers.Add(name="temporal_add_again")
    x = project(norm(x))
    x = add([x, attend(x, x)])
    x = add_again([x, output(hidden(x))])
    return x, [norm, project, attend, add, hidden, output, add_again]


_TEMPORAL = {"lstm": _add_lstm, "attention": _add_attention}
