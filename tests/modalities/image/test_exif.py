from __future__ import annotations

import pytest
import tensorflow as tf
from encoded import add_segment, encode, make_exif, make_noise, make_tiff_block
from hypothesis import given, settings
from hypothesis import strategies as st

from kft.modalities.image.decoding import find_orientation
from kft.modalities.image.exif import MARK, WINDOW, orientation_in_window, read_orientation

PLAIN = encode(make_noise(), "JPEG")


def from_graph(content: bytes) -> int:
    return int(find_orientation(tf.constant(content)))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_is_read_in_both_byte_orders(orientation, order):
    block = make_tiff_block(orientation, order, offset=20)
    assert read_orientation(block) == orientation
    picture = add_segment(PLAIN, 0xE1, MARK + block)
    assert orientation_in_window(picture) == from_graph(picture) == orientation


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_pillow_writes_is_read(orientation):
    picture = encode(make_noise(), "JPEG", exif=make_exif(orientation))
    assert orientation_in_window(picture) == from_graph(picture) == orientation


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"MM",
        b"MM\0*",
        make_tiff_block(0),
        make_tiff_block(9),
        make_tiff_block(6)[:-10],
        make_tiff_block(6).replace(b"II*", b"IM*"),
        make_tiff_block(6).replace(b"II*", b"II+"),
        # A directory beyond the end, one that says it has no entries, and a type that is not short.
        make_tiff_block(6)[:4] + b"\xff\0\0\0" + make_tiff_block(6)[8:],
        make_tiff_block(6)[:8] + b"\0\0" + make_tiff_block(6)[10:],
        make_tiff_block(6).replace(b"\x12\x01\x03\x00", b"\x12\x01\x04\x00"),
    ],
)
def test_nonsense_is_upright(block):
    assert read_orientation(block) == 1
    picture = add_segment(PLAIN, 0xE1, MARK + block)
    assert orientation_in_window(picture) == from_graph(picture) == 1


def test_only_a_segment_of_its_own_counts():
    comment = add_segment(PLAIN, 0xFE, MARK + make_tiff_block(6))
    assert orientation_in_window(comment) == from_graph(comment) == 1
    assert orientation_in_window(PLAIN) == from_graph(PLAIN) == 1


def test_the_window_ends_after_some_thousand_bytes():
    near = add_segment(add_segment(PLAIN, 0xE1, MARK + make_tiff_block(6)), 0xE2, bytes(3000))
    far = add_segment(add_segment(PLAIN, 0xE1, MARK + make_tiff_block(6)), 0xE2, bytes(WINDOW))
    assert orientation_in_window(near) == from_graph(near) == 6
    assert orientation_in_window(far) == from_graph(far) == 1


@st.composite
def damaged(draw):
    order = draw(st.sampled_from("<>"))
    block = make_tiff_block(draw(st.integers(0, 9)), order, offset=draw(st.integers(8, 40)))
    content = bytearray(add_segment(PLAIN, 0xE1, MARK + block))
    for _ in range(draw(st.integers(0, 3))):
        content[draw(st.integers(2, 90))] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.integers(2, len(content)))])


@given(content=damaged())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_graph_and_gate_read_the_same_out_of_any_bytes(content):
    assert from_graph(content) == orientation_in_window(content)
