"""Backbones of videos: their blocks, what crosses between them, and the order of frames."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kft.backbones import load_backbone
from kft.backbones.crossings import crossing_after, named_outputs
from kft.config import BackboneConfig
from kft.errors import BackboneError
from kft.features import find_cut
from kft.modalities.video.input_spec import VideoSpec
from kft.model import assemble
from kft.tasks.classification.head import ClassificationHead

FRAMES, SIZE = 3, 16
SMALL = {
    "small_3d_cnn": {"width": 2},
    "mean": {"temporal": "mean"},
    "max": {"temporal": "max"},
    "lstm": {"temporal": "lstm", "units": 4},
    "attention": {"temporal": "attention", "units": 8},
}
STAGES = ["stem", "stage1", "stage2", "stage3", "stage4"]


def load(kind: str, **changes: object):
    keras.utils.set_random_seed(0)
    name = kind if kind == "small_3d_cnn" else "frames:small_cnn"
    options = {"width": 2, "frames": FRAMES, **SMALL[kind]}
    config = {"name": name, "weights": "random", "input_size": SIZE, "options": options}
    return load_backbone(BackboneConfig(**{**config, **changes}))


def make_clips(count: int = 2) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.uniform(0, 255, (count, FRAMES, SIZE, SIZE, 3)).astype(np.float32)


@pytest.fixture(scope="module", params=SMALL)
def made(request):
    backbone = load(request.param)
    return request.param, assemble(backbone, ClassificationHead(("no", "yes")))


def test_what_crosses_between_blocks_belongs_to_an_example(made):
    kind, assembled = made
    assert assembled.backbone.input_spec == VideoSpec(FRAMES, SIZE, SIZE, "symmetric")
    assert assembled.model({"clip": make_clips()}).shape == (2, 2)
    blocks = assembled.blocks.blocks
    for depth in range(1, len(blocks)):
        (crossing,) = crossing_after(assembled.model, blocks[:depth], blocks[depth:])
        name = blocks[depth - 1].name
        assert crossing.shape[1] == FRAMES or name == "temporal" or depth == len(blocks) - 1, name
        assert None not in crossing.shape[1:], name
    added = ["temporal"] if kind in ("lstm", "attention") else []
    expected = STAGES[:-1] if kind == "small_3d_cnn" else [*STAGES, *added]
    assert [block.name for block in blocks] == [*expected, "head"]


def test_a_layered_head_reads_means_over_time_and_place(made):
    _, assembled = made
    backbone = assembled.backbone
    taps = tuple(block.name for block in backbone.blocks[:2])
    layered = assemble(backbone, ClassificationHead(("no", "yes"), taps=taps))
    outputs = named_outputs(backbone)
    assert [len(outputs[name].shape) for name in taps] == [5, 5]
    statistics = layered.model.get_layer("stem_statistics").output
    assert statistics.shape[-1] == 2 * outputs["stem"].shape[-1]
    assert [level.block for level in backbone.feature_levels][-1].startswith("stage")


def test_frames_are_read_as_the_backbone_of_pictures_reads_pictures():
    keras.utils.set_random_seed(0)
    of_pictures = load_backbone(
        BackboneConfig(name="small_cnn", weights="random", input_size=SIZE, options={"width": 2})
    )
    clips = make_clips()
    maps = of_pictures.model(clips.reshape(-1, SIZE, SIZE, 3)).numpy()
    expected = maps.mean(axis=(1, 2)).reshape(2, FRAMES, -1)
    assert np.allclose(load("mean").model(clips), expected, atol=1e-5)
    assert np.allclose(load("max").model(clips), expected.max(axis=1), atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "sees_order"),
    [("mean", False), ("max", False), ("lstm", True), ("attention", True), ("small_3d_cnn", True)],
)
def test_the_order_of_frames_counts_where_it_should(kind, sees_order):
    backbone, clips = load(kind), make_clips()
    there, back = (np.asarray(backbone.model(each)) for each in (clips, clips[:, ::-1]))
    if there.ndim > 2:
        axes = tuple(range(1, there.ndim - 1))
        there, back = there.mean(axis=axes), back.mean(axis=axes)
    assert np.allclose(there, back, atol=1e-5) != sees_order


def test_a_vector_per_frame_is_stored_where_only_the_temporal_block_trains():
    assembled = assemble(load("lstm"), ClassificationHead(("no", "yes")))
    cut = find_cut(assembled, {"temporal", "head"})
    # The four quarters of 16 channels each.
    assert cut.name == "stage4" and cut.shapes == {"stage4": (FRAMES, 64)}


def test_quarters_of_an_odd_size_share_its_middle():
    from kft.backbones.video.folding import FramePool

    maps = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3, 1)
    quarters = FramePool(has_places=True)(maps)
    assert np.asarray(quarters).ravel().tolist() == [2, 3, 5, 6]
    assert np.asarray(FramePool(has_places=False)(maps)).ravel().tolist() == [4]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "small_3d_cnn"}, "small_3d_cnn has no pretrained weights"),
        ({"name": "small_3d_cnn", "options": {"frames": 1}}, "a whole number from 2 to 256"),
        ({"name": "small_3d_cnn", "options": {"depth": 1}}, "has no option 'depth'"),
        ({"name": "small_3d_cnn", "input_size": 16, "options": {"width": True}}, "found True"),
        (
            {"name": "frames:small_cnn", "options": {"temporal": "gru"}},
            "found 'gru'. Allowed: mean",
        ),
        ({"name": "frames:small_cnn", "options": {"depth": 1}}, "small_cnn has no depth"),
        ({"name": "frames:small_wavenet"}, "reads audio, not pictures"),
        ({"name": "frames:nothing"}, "unknown backbone 'nothing'"),
    ],
)
def test_what_is_not_allowed_is_refused(config, message):
    given = {"weights": "random", **config} if "options" in config else config
    if "wavenet" in config["name"]:
        given = {"weights": "random", **config}
    with pytest.raises(BackboneError, match=message):
        load_backbone(BackboneConfig(**given))
