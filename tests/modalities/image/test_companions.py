"""Masks and boxes that move with their picture."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from kft.data.batches.pipeline import example_seeds
from kft.modalities import load_modality
from kft.modalities.image.decoding import ImageDecoder
from kft.modalities.model_input import FRAME, MovingAugmentation, PlacingDecoder
from kft.tasks import ABSENT, BOXES, MASK, VOID

HEIGHT, WIDTH = 48, 64
OBJECT = 2
PRESETS = [name for name in load_modality("image").augmentations if name != "none"]
NO_BOX = [ABSENT, 0.0, 0.0, 0.0, 0.0]


def draw_objects(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw one bright box in each dark picture: pixels, masks, and boxes with an empty row."""
    random = np.random.default_rng(seed)
    pixels = np.full((count, HEIGHT, WIDTH, 3), 40, np.uint8)
    masks = np.zeros((count, HEIGHT, WIDTH), np.uint8)
    boxes = np.tile(np.array([NO_BOX, NO_BOX], np.float32), (count, 1, 1))
    for i in range(count):
        top, left = random.integers(14, 20), random.integers(18, 26)
        bottom, right = top + random.integers(10, 14), left + random.integers(10, 20)
        pixels[i, top:bottom, left:right] = 210
        masks[i, top:bottom, left:right] = OBJECT
        boxes[i, 0] = [OBJECT, left / WIDTH, top / HEIGHT, right / WIDTH, bottom / HEIGHT]
    return pixels, masks, boxes


@pytest.fixture(scope="module", params=PRESETS)
def moved(request):
    """Pictures with their mask and boxes, before and after one preset."""
    pixels, masks, boxes = draw_objects(12)
    augmentation = load_modality("image").make_augmentation(request.param)
    assert isinstance(augmentation, MovingAugmentation)
    examples = {"pixels": tf.constant(pixels), MASK: tf.constant(masks), BOXES: tf.constant(boxes)}
    seeds = example_seeds(3, 1, tf.range(len(pixels)))
    changed = tf.function(augmentation, autograph=False)(examples, seeds)
    alone = tf.function(augmentation.move_companions, autograph=False)(examples, seeds)
    named = {name: each.numpy() for name, each in changed.items()}
    return named, {name: each.numpy() for name, each in alone.items()}


def find_bounds(inside: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is true in (height, width)."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def test_a_mask_stays_on_its_pixels(moved):
    changed, _ = moved
    for picture, mask in zip(changed["pixels"], changed[MASK], strict=True):
        is_object, is_ground = mask == OBJECT, mask == 0
        assert set(np.unique(mask)) <= {0, OBJECT, VOID}
        # Recolouring may invert or flatten them, so what counts is that each is of one colour.
        for inside in (is_object, is_ground):
            # At the edges, pixels are of both; two motions blur two of them.
            values = picture[ndimage.binary_erosion(inside, iterations=2)]
            if len(values):
                typical = np.median(values, axis=0)
                assert (np.abs(values - typical).max(axis=-1) < 40).mean() > 0.9


def test_a_box_stays_around_its_object(moved):
    changed, _ = moved
    for mask, boxes in zip(changed[MASK], changed[BOXES], strict=True):
        assert boxes[1].tolist() == NO_BOX
        kind, left, top, right, bottom = boxes[0] * [1, WIDTH, HEIGHT, WIDTH, HEIGHT]
        assert kind == OBJECT
        found = find_bounds(mask == OBJECT)
        # The box may be wider than a turned object, never narrower.
        assert left <= found[0] + 1 and top <= found[1] + 1
        assert right >= found[2] - 1 and bottom >= found[3] - 1


def test_what_nobody_labelled_is_void_and_not_class_0(moved):
    changed, _ = moved
    # Mirrored ground is of the right colour, and yet nobody labelled it.
    assert (changed[MASK] == VOID).any() and (changed[MASK] == 0).any()


def test_companions_move_alone_as_with_their_picture(moved):
    changed, alone = moved
    assert set(alone) == {MASK, BOXES}
    for name, each in alone.items():
        assert np.array_equal(each, changed[name])


def encode(pixels: np.ndarray) -> bytes:
    return tf.io.encode_png(pixels).numpy()


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(24, 24), (24, 40), (60, 32)])
def test_resizing_places_mask_and_boxes_where_the_picture_is(resize, size):
    decoder = ImageDecoder(*size, resize=resize)
    assert isinstance(decoder, PlacingDecoder)
    pixels, masks, boxes = draw_objects(1)
    picture = encode(pixels[0])
    with_mask = decoder.beside(MASK, 0)(picture, encode(masks[0][..., None]))
    with_boxes = decoder.beside(BOXES, 2)(picture, boxes[0])
    shown, mask = with_mask["pixels"].numpy()[..., 0], with_mask[MASK].numpy()
    assert np.array_equal(with_boxes["pixels"].numpy()[..., 0], shown)
    assert np.abs((shown > 125).astype(int) - (mask == OBJECT)).mean() < 0.06
    # Ground is 40, and what `pad` adds is 0.
    assert np.array_equal(mask == VOID, shown == 0)
    found, box = find_bounds(mask == OBJECT), with_boxes[BOXES].numpy()[0]
    assert box[0] == OBJECT
    assert box[1:] * [size[1], size[0], size[1], size[0]] == pytest.approx(found, abs=1.0)


def test_a_box_outside_of_the_crop_is_gone_and_one_at_its_edge_is_cut():
    decoder = ImageDecoder(HEIGHT, HEIGHT, resize="crop")
    boxes = np.array([[0, 0, 0, 0.1, 0.5], [1, 0, 0, 0.5, 1], [2, 0.12, 0, 0.2, 1]], np.float32)
    placed = decoder.beside(BOXES, 3)(encode(draw_objects(1)[0][0]), boxes)[BOXES].numpy()
    assert placed[0].tolist() == NO_BOX
    assert placed[1] == pytest.approx([1, 0, 0, 0.5, 1], abs=0.02)
    assert placed[2] == pytest.approx([2, 0, 0, 0.1, 1], abs=0.02)


def turn_by_exif(content: bytes, orientation: int) -> bytes:
    """Insert an EXIF entry with the orientation after the start of a JPEG."""
    entry = b"\x12\x01\x03\x00\x01\x00\x00\x00" + bytes([orientation]) + b"\x00\x00\x00"
    block = b"Exif\0\0II*\0\x08\x00\x00\x00\x01\x00" + entry + b"\0\0\0\0"
    return content[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + content[2:]


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_masks_and_boxes_are_those_of_the_upright_picture(orientation):
    stored, masks, boxes = draw_objects(1)
    turns = {3: 2, 6: 1, 8: 3}[orientation]
    # The file is stored turned; what people see, and label, is upright.
    content = tf.io.encode_jpeg(np.rot90(stored[0], turns), quality=100).numpy()
    picture = turn_by_exif(content, orientation)
    decoder = ImageDecoder(HEIGHT, WIDTH)
    decoded = decoder.beside(MASK, 0)(picture, encode(masks[0][..., None]))
    assert np.array_equal(decoded["pixels"].numpy()[..., 0] > 125, decoded[MASK].numpy() == OBJECT)
    placed = decoder.beside(BOXES, 2)(picture, boxes[0])[BOXES].numpy()
    assert placed == pytest.approx(boxes[0], abs=1e-6)
    assert decoder.with_frame()(picture)[FRAME].numpy().tolist() == [HEIGHT, WIDTH, 0, 0, 1, 1]


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_a_frame_leads_from_the_output_back_to_the_picture(resize):
    decoder = ImageDecoder(24, 40, resize=resize)
    pixels, _, boxes = draw_objects(1)
    picture = encode(pixels[0])
    height, width, top, left, bottom, right = decoder.with_frame()(picture)[FRAME].numpy()
    assert (height, width) == (HEIGHT, WIDTH)
    box = decoder.beside(BOXES, 2)(picture, boxes[0])[BOXES].numpy()[0, 1:]
    start = np.array([left, top, left, top])
    assert start + box * (np.array([right, bottom, right, bottom]) - start) == pytest.approx(
        boxes[0, 0, 1:], abs=1e-5
    )


def test_the_frame_of_a_large_jpeg_has_its_whole_size():
    picture = tf.io.encode_jpeg(np.zeros((801, 640, 3), np.uint8)).numpy()
    assert ImageDecoder(16, 16).with_frame()(picture)[FRAME].numpy()[:2].tolist() == [801, 640]
