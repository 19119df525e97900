from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from encoded import (
    STORED_AS,
    decode,
    encode,
    make_deep_png,
    make_exif,
    make_noise,
    make_scene,
)
from PIL import Image

from kft.config import ImageConfig
from kft.errors import ConfigError
from kft.modalities import load_modality
from kft.modalities.image.decoding import ImageDecoder, decode_picture
from kft.modalities.image.input_spec import ImageSpec


def fit(content: bytes, *options) -> tf.Tensor:
    """The pixels that a decoder with these options makes of a picture."""
    return ImageDecoder(*options)(tf.constant(content))["pixels"]


def show(content: bytes, background: str = "white") -> np.ndarray:
    return decode_picture(tf.constant(content), background).numpy()


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_a_picture_of_the_right_size_is_left_as_it_is(resize):
    pixels = make_noise(6, 8)
    shown = fit(encode(pixels, "PNG"), 8, 6, resize)
    assert np.array_equal(shown, pixels)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (7, 13), (60, 40)])
@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_every_size_becomes_the_asked_one(resize, size):
    decoder = ImageDecoder(16, 20, resize)
    decoded = decoder(tf.constant(encode(make_noise(*size), "PNG")))
    assert decoder.output == {"pixels": tf.TensorSpec((16, 20, 3), tf.uint8)}
    assert {name: tf.TensorSpec.from_tensor(each) for name, each in decoded.items()} == (
        decoder.output
    )


def make_flag() -> np.ndarray:
    """Make a picture of 12 by 36 with thirds of red, green and blue side by side."""
    return np.repeat(np.eye(3, dtype=np.uint8)[np.newaxis] * 255, 12, axis=1).repeat(12, axis=0)


def test_crop_keeps_the_centre():
    pixels = fit(encode(make_flag(), "PNG"), 12, 12, "crop").numpy()
    assert (pixels == [0, 255, 0]).all()


def test_pad_keeps_everything_and_adds_black():
    pixels = fit(encode(make_flag(), "PNG"), 36, 36, "pad").numpy()
    assert np.array_equal(pixels[12:24], make_flag())
    assert not pixels[:12].any() and not pixels[24:].any()


def test_a_picture_made_smaller_is_averaged_not_sampled():
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    pixels = fit(encode(np.stack([board] * 3, axis=-1), "PNG"), 8, 8)
    assert abs(pixels.numpy().astype(int) - 127).max() <= 3


def test_a_gif_gives_its_first_frame():
    assert (fit(encode_frames("GIF"), 5, 5) == [255, 0, 0]).numpy().all()


def encode_frames(format_name: str, **options) -> bytes:
    frames = [Image.new("RGB", (5, 5), colour) for colour in ("red", "blue")]
    return encode(
        frames[0], format_name, save_all=True, append_images=frames[1:], duration=100, **options
    )


def test_an_animated_webp_is_shown_by_its_first_frame_or_left_to_the_gate():
    transparent = [Image.new("RGBA", (5, 5), (*colour, 100)) for colour in ((9, 9, 9), (0, 0, 99))]
    content = encode(
        transparent[0], "WEBP", save_all=True, append_images=transparent[1:], lossless=True
    )
    assert (show(content) == show(encode(transparent[0], "PNG"))).all()
    # TensorFlow has no way to decode one without transparency that is safe.
    with pytest.raises(tf.errors.InvalidArgumentError):
        show(encode_frames("WEBP", lossless=True))


@pytest.mark.parametrize("background", ["white", "black"])
@pytest.mark.parametrize(
    ("format_name", "mode"), [("PNG", "RGBA"), ("PNG", "LA"), ("PNG", "P"), ("WEBP", "RGBA")]
)
def test_what_is_transparent_shows_the_background(format_name, mode, background):
    picture = make_scene().convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    options = {"lossless": True, "exact": True} if format_name == "WEBP" else {}
    if mode == "P":
        picture = picture.convert("RGB").convert("P")
        options = {"transparency": bytes(range(256))}
    content = encode(picture.convert(mode), format_name, **options)
    behind = Image.new("RGBA", picture.size, background)
    expected = Image.alpha_composite(behind, Image.fromarray(decode(content, "RGBA")))
    difference = show(content, background).astype(int) - np.asarray(expected.convert("RGB"))
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(
    ("mode", "format_name"),
    [
        *(("RGB", name) for name in ("PNG", "BMP", "WEBP")),
        *((mode, "PNG") for mode in ("L", "1", "P", "RGBA")),
        ("P", "GIF"),
    ],
)
def test_an_opaque_picture_is_shown_as_pillow_shows_it(mode, format_name):
    content = encode(make_scene().convert(mode), format_name)
    assert np.array_equal(show(content), decode(content))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_of_few_colours_is_opaque(bits):
    picture = make_scene().quantize(2**bits)
    assert np.array_equal(show(encode(picture, "PNG", bits=bits)), picture.convert("RGB"))


def test_a_picture_of_16_bits_is_rounded_to_8():
    values = np.random.default_rng(0).integers(0, 2**16, (6, 8, 3), dtype=np.uint16)
    assert np.array_equal(show(make_deep_png(values)), np.round(values / 257))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_camera_was_held(orientation):
    scene = make_scene()
    method = STORED_AS[orientation]
    stored = scene if method is None else scene.transpose(method)
    content = encode(stored, "JPEG", exif=make_exif(orientation), quality=98, subsampling=0)
    shown = show(content)
    assert shown.shape == (64, 96, 3)
    # Blocks of 8 pixels lie on the same places in all eight.
    assert np.abs(shown.astype(int) - np.asarray(scene)).mean() < 4


@pytest.mark.parametrize("content", [b"", b"\xff", b"\xff\xd8", b"RIFF", b"\x89PNG", b"GIF8", b"x"])
def test_what_is_no_picture_is_an_error_of_tensorflow(content):
    with pytest.raises(tf.errors.InvalidArgumentError):
        show(content)


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_an_exported_graph_gives_the_same_pixels(tmp_path, resize):
    decoder = ImageDecoder(16, 16, resize)
    sideways = encode(make_noise(33, 21), "JPEG", exif=make_exif(6))
    transparent = encode(make_noise(9, 40, channels=4), "PNG")
    webp = encode(make_noise(9, 40, channels=4), "WEBP")
    encoded = tf.constant([encode(make_noise(33, 21), "JPEG"), sideways, transparent, webp])

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def serve(batch):
        return tf.map_fn(decoder, batch, fn_output_signature=decoder.output)

    module = tf.Module()
    module.serve = serve
    tf.saved_model.save(module, tmp_path / "saved")
    served = tf.saved_model.load(tmp_path / "saved").serve(encoded)
    assert list(served) == ["pixels"]
    assert np.array_equal(served["pixels"], np.stack([decoder(one)["pixels"] for one in encoded]))


def test_an_unknown_modality_is_refused():
    modality, settings = load_modality("image"), ImageConfig(resize="pad", background="black")
    assert modality.make_decoder(ImageSpec(4, 6), settings) == ImageDecoder(4, 6, "pad", "black")
    with pytest.raises(ConfigError, match=r"'smell'. Allowed: audio, image, text, video\."):
        load_modality("smell")


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_photograph_is_decoded_at_a_fraction_that_shows_the_same(orientation):
    scene = make_scene(640, 520, seed=3)
    content = tf.constant(encode(scene, "JPEG", exif=make_exif(orientation)))
    whole, reduced = show(content), decode_picture(content, "white", least_side=130).numpy()
    assert [side / 4 for side in whole.shape[:2]] == list(reduced.shape[:2])
    exact = tf.image.resize(whole, (32, 32), antialias=True)
    shown = fit(content, 32, 32)
    assert np.abs(exact - tf.cast(shown, tf.float32)).mean() < 1


def test_a_photograph_that_is_not_much_larger_than_the_output_is_decoded_whole():
    content = tf.constant(encode(make_noise(300, 255), "JPEG"))
    exact = tf.image.resize(show(content), (32, 32), antialias=True)
    shown = fit(content, 32, 32)
    assert np.abs(exact - tf.cast(shown, tf.float32)).max() <= 0.5


def test_a_reduced_photograph_keeps_the_least_side():
    content = tf.constant(encode(make_noise(320, 256), "JPEG"))
    for least_side, height in ((257, 256), (129, 256), (128, 128), (64, 64), (32, 32), (8, 32)):
        assert decode_picture(content, "white", least_side=least_side).shape[0] == height
