from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kft.config.schema import DataConfig
from kft.data.decoding import ImageDecoder, make_decoder
from kft.errors import ConfigError


def encode(pixels: np.ndarray, format_name: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format_name)
    return buffer.getvalue()


def make_noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_a_picture_of_the_right_size_is_left_as_it_is(resize):
    pixels = make_noise(8, 6)
    assert np.array_equal(ImageDecoder(8, 6, resize)(tf.constant(encode(pixels))), pixels)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (7, 13), (60, 40)])
@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_every_size_becomes_the_asked_one(resize, size):
    decoder = ImageDecoder(16, 20, resize)
    pixels = decoder(tf.constant(encode(make_noise(*size))))
    assert pixels.dtype == tf.uint8
    assert pixels.shape == decoder.output_shape == (16, 20, 3)


def make_flag() -> np.ndarray:
    """Thirds of red, green and blue, side by side, 12 by 36."""
    return np.repeat(np.eye(3, dtype=np.uint8)[np.newaxis] * 255, 12, axis=1).repeat(12, axis=0)


def test_crop_keeps_the_centre():
    pixels = ImageDecoder(12, 12, "crop")(tf.constant(encode(make_flag()))).numpy()
    assert (pixels == [0, 255, 0]).all()


def test_pad_keeps_everything_and_adds_black():
    pixels = ImageDecoder(36, 36, "pad")(tf.constant(encode(make_flag()))).numpy()
    assert np.array_equal(pixels[12:24], make_flag())
    assert not pixels[:12].any() and not pixels[24:].any()


def test_a_picture_made_smaller_is_averaged_not_sampled():
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    pixels = ImageDecoder(8, 8)(tf.constant(encode(np.stack([board] * 3, axis=-1))))
    assert abs(pixels.numpy().astype(int) - 127).max() <= 3


def test_a_gif_gives_its_first_frame():
    frames = [Image.new("RGB", (5, 5), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    pixels = ImageDecoder(5, 5)(tf.constant(buffer.getvalue())).numpy()
    assert (pixels == [255, 0, 0]).all()


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_an_exported_graph_gives_the_same_pixels(tmp_path, resize):
    decoder = ImageDecoder(16, 16, resize)
    encoded = tf.constant([encode(make_noise(33, 21), "JPEG"), encode(make_noise(9, 40))])

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def serve(batch):
        return tf.map_fn(
            decoder, batch, fn_output_signature=tf.TensorSpec(decoder.output_shape, tf.uint8)
        )

    module = tf.Module()
    module.serve = serve
    tf.saved_model.save(module, tmp_path / "saved")
    served = tf.saved_model.load(tmp_path / "saved").serve(encoded)
    assert np.array_equal(served, np.stack([decoder(one) for one in encoded]))


def test_an_unknown_modality_is_refused():
    assert make_decoder("image", 4, 6, DataConfig(resize="pad")) == ImageDecoder(4, 6, "pad")
    with pytest.raises(ConfigError, match=r"unknown modality 'smell'. Allowed: image"):
        make_decoder("smell", 4, 6, DataConfig())
