from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from kft.modalities.image.thumbnails import HASHED_SIDE, measure, shrink


def test_a_thumbnail_is_measured():
    framed = Image.new("RGB", (200, 100), (200, 0, 0))
    framed.paste((0, 0, 100), (20, 20, 180, 80))
    seen = measure(framed)
    assert seen.border_rgb == pytest.approx((200, 0, 0))
    assert seen.mean_rgb == pytest.approx((104, 0, 48), abs=3)
    assert 20 < seen.brightness < 50 and 15 < seen.contrast < 40
    plain = measure(Image.new("RGB", (64, 64), (10, 20, 30)))
    assert plain.sharpness == pytest.approx(0, abs=1e-6) and plain.contrast < 1e-3


def test_a_blurred_picture_is_less_sharp():
    sharp = Image.fromarray(np.kron(np.eye(2, dtype=np.uint8), np.full((8, 8), 255, np.uint8)))
    sharp = Image.fromarray(np.tile(np.asarray(sharp), (16, 16))).convert("RGB")
    blurred = sharp.resize((32, 32)).resize(sharp.size, Image.Resampling.BICUBIC)
    assert measure(sharp).sharpness > 5 * measure(blurred).sharpness


@pytest.mark.parametrize("size", [(1, 1), (1, 30_000), (30_000, 1), (3, 700), (5000, 4000)])
def test_a_thumbnail_is_small_whatever_the_shape(size):
    small = shrink(Image.new("RGB", size), 1, side=HASHED_SIDE)
    assert max(small.size) <= 32 * HASHED_SIDE and min(small.size) >= min(*size, HASHED_SIDE)
    measure(small)
