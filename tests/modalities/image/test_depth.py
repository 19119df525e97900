from __future__ import annotations

import re

import numpy as np
import pytest
import tensorflow as tf
from encoded import encode, make_deep_png, make_scene

from kft.config import DataConfig
from kft.data.admission.check_files import check_files
from kft.examples import Examples, Files, Quarantined
from kft.modalities.checked import CheckOptions, TrainedCalibration
from kft.modalities.image.decoding import ImageDecoder
from kft.modalities.image.depth import find_depth
from kft.modalities.image.inspection import CheckedPicture
from kft.modalities.image.sample_scale import scale_samples
from kft.modalities.image.samples import Samples


def make_checked(name: str, samples: Samples | None = None) -> CheckedPicture:
    known = {"format": "PNG", "mode": "RGB", "width": 4, "height": 3, "samples": samples}
    return CheckedPicture(name, f"/x/{name}", name, 7, 100, **known)


def make_open(bits: int, largest: int | None = None) -> Samples:
    return Samples(bits, 2**bits - 1 if largest is None else largest)


def make_stated(white: int) -> Samples:
    return Samples(white.bit_length(), 7, white)


PLAIN = make_checked("plain.jpg")


@pytest.mark.parametrize(
    ("samples", "setting", "known", "bits", "words"),
    [
        ([], "auto", None, None, ()),
        ([], 12, None, 12, ("set by data.image.depth",)),
        (
            [make_open(10), make_open(14, 9000), make_open(12)],
            "auto",
            None,
            14,
            ("9,000 in 1.png",),
        ),
        ([make_open(14, 9000), make_open(14, 9500)], "auto", None, 14, ("9,500 in 1.png",)),
        ([make_open(10), make_open(12, 900)], "auto", None, 12, ("from the headers of", "1.png")),
        ([make_stated(4095)] * 3, "auto", None, 12, ("from the headers of 3 pictures",)),
        (
            [make_stated(4095), make_stated(1023)],
            "auto",
            None,
            12,
            (
                "2 of them use the white of their own header, 1,023 to 4,095",
                "data.image.depth sets",
            ),
        ),
        ([make_open(10), make_stated(4095)], "auto", None, 12, ("from the headers of",)),
        ([make_open(10)], 14, None, 14, ("so 16,383 is white: set by data.image.depth",)),
        ([make_open(10)], "auto", TrainedCalibration(12), 12, ("as in the training of the model",)),
        ([make_open(16)], "auto", TrainedCalibration(None), 16, ("trained on pictures of 8 bits",)),
        ([], "auto", TrainedCalibration(None), None, ()),
    ],
)
def test_one_depth_holds_for_the_whole_data_set(samples, setting, known, bits, words):
    checked = [make_checked(f"{i}.png", each) for i, each in enumerate(samples)]
    depth = find_depth([PLAIN, *checked, PLAIN], setting, known)
    assert (None if depth is None else depth.value) == bits
    for word in words:
        assert word in depth.origin
    if samples:
        assert "2 pictures of 8 bits keep 255 as their white" in depth.origin
        assert "keep 255" not in find_depth(checked, setting, known).origin


def test_a_name_cannot_move_the_cursor():
    depth = find_depth([make_checked("new\nline.png", make_open(12))], "auto")
    assert depth.origin.isprintable() and "new\\nline.png" in depth.origin


def write(folder, **values: np.ndarray) -> Examples:
    for name, each in values.items():
        (folder / name).write_bytes(make_deep_png(each))
    paths = tuple(str(folder / name) for name in values)
    return Examples(tuple(values), Files(paths), np.zeros(len(values), np.int64))


def make_values(largest: int) -> np.ndarray:
    return np.linspace(0, largest, 48).astype(np.uint16).reshape(6, 8, 1)


def test_two_pictures_that_differ_in_one_sample_look_the_same_but_for_it(tmp_path):
    bright = make_values(4095).copy()
    bright[0, 0] = 4096
    checked = check_files(write(tmp_path, a=make_values(4095), b=bright), DataConfig())
    depth = find_depth(checked, "auto")
    assert depth.value == 13 and [each.repaired for each in checked] == [(), ()]
    decoder = ImageDecoder(6, 8, depth=depth.value)
    one, other = (decoder(tf.io.read_file(each.path))["pixels"].numpy() for each in checked)
    assert (one != other).any(axis=-1).sum() == 1
    assert np.array_equal(one, np.repeat(scale_samples(make_values(4095), 8191), 3, axis=-1))


def fit(content: bytes, **options) -> np.ndarray:
    """The pixels, 6 by 8, that a decoder with these options makes of a picture."""
    return ImageDecoder(6, 8, **options)(tf.constant(content))["pixels"].numpy()


@pytest.mark.parametrize("depth", [8, 11, 12, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_graph_scales_as_the_gate_does(depth, channels):
    values = np.random.default_rng(depth).integers(0, 2**depth, (6, 8, channels), dtype=np.uint16)
    if channels in (2, 4):
        values[..., -1] = 65_535
    shown = fit(make_deep_png(values), depth=depth)
    colours = values[..., :-1] if channels in (2, 4) else values
    assert np.array_equal(shown, np.broadcast_to(scale_samples(colours, 2**depth - 1), shown.shape))


def test_what_is_brighter_than_white_is_white_in_the_graph():
    shown = fit(make_deep_png(make_values(65_535)), depth=12)
    assert (shown[1:] == 255).all() and shown[0, 0, 0] == 0


def test_a_picture_of_8_bits_does_not_depend_on_the_depth():
    content = encode(make_scene(), "PNG")
    assert np.array_equal(fit(content, depth=9), fit(content))


@pytest.mark.parametrize(
    ("largest", "settings", "known", "reason"),
    [
        (4095, {}, TrainedCalibration(12), None),
        (900, {}, TrainedCalibration(12), None),
        (
            4096,
            {},
            TrainedCalibration(12),
            r"largest sample, 4,096, needs 13 bits, but the model was trained with 12",
        ),
        (4096, {"depth": 12}, None, r"needs 13 bits, but data\.image\.depth is 12"),
        (4095, {"depth": 12}, None, None),
        (4095, {}, TrainedCalibration(None), "12 of its 16 bits are used, so its white is unknown"),
        (65_535, {}, TrainedCalibration(None), None),
        (65_535, {}, None, None),
    ],
)
def test_samples_beyond_the_depth_are_refused(largest, settings, known, reason, tmp_path):
    examples = write(tmp_path, a=make_values(largest))
    options = CheckOptions(trained=known)
    (outcome,) = check_files(examples, DataConfig(image=settings), options=options)
    if reason is None:
        assert isinstance(outcome, CheckedPicture)
    else:
        assert isinstance(outcome, Quarantined) and re.search(reason, outcome.reason)
