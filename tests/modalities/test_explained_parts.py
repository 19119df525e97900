"""A modality says which parts of an example an explanation is about, and draws it."""

import difflib
import io

import numpy as np
import pytest
from PIL import Image

from kft.modalities import MODALITIES, load_modality
from kft.modalities.audio.input_spec import AudioSpec
from kft.modalities.audio.overlays import draw_over_spectrogram, draw_over_waveform
from kft.modalities.explained import (
    ExplainedExample,
    describe_place,
    divide_into_grid,
    sum_by_part,
)
from kft.modalities.image.input_spec import ImageSpec
from kft.modalities.overlays import colour_over, scale_values
from kft.modalities.text.input_spec import TextSpec
from kft.modalities.text.words import find_words, write_words


def test_a_grid_has_equal_cells_and_no_more_than_there_are_positions():
    cells = divide_into_grid((4, 6), (2, 3))
    assert np.bincount(cells.reshape(-1)).tolist() == [4] * 6
    assert divide_into_grid((3,), (8,)).tolist() == [0, 1, 2]


def test_padding_belongs_to_no_part():
    parts = np.array([0, 0, 1, -1])
    assert sum_by_part(np.array([1.0, 2.0, 3.0, 9.0]), parts).tolist() == [3.0, 3.0]
    assert describe_place(("step",), np.array([0, 0, 5.0, 9.0]), parts) == "most at step 50 to 75 %"


def make_text(tokenizer, *tokens):
    spec = TextSpec(tokenizer, tuple(dict.fromkeys(("[PAD]", "[UNK]", "[CLS]", *tokens))))
    ids = np.array([spec.vocabulary.index(token) for token in (*tokens, "[PAD]")], np.int32)
    return spec, ids, (np.arange(len(ids)) < len(tokens)).astype(np.int32)


@pytest.mark.parametrize(
    ("tokenizer", "tokens", "words"),
    [
        ("wordpiece", ("a", "film", "##ed", "story"), ["a", "filmed", "story"]),
        ("byte_pairs", ("A", "Ġfil", "med", "Ġcaf", "Ã©"), ["A", "filmed", "café"]),
        ("words", ("a", "dull", "film"), ["a", "dull", "film"]),
        ("characters", ("a", " ", "o", "k"), ["a", "ok"]),
    ],
)
def test_pieces_of_a_word_are_hidden_together(tokenizer, tokens, words):
    spec, ids, mask = make_text(tokenizer, *tokens)
    parts = find_words(spec, ids, mask)
    assert write_words(spec, ids, parts) == words
    assert parts[-1] == -1 and parts.max() == len(words) - 1


def test_special_tokens_stay_in_the_neutral_text():
    spec = TextSpec("wordpiece", ("[PAD]", "[UNK]", "[CLS]", "[MASK]", "good"), start="[CLS]")
    inputs = {"token_ids": np.array([2, 4, 0]), "padding_mask": np.array([1, 1, 0])}
    assert spec.make_neutral(inputs)["token_ids"].tolist() == [2, 3, 0]


def test_the_neutral_picture_is_grey_and_the_neutral_recording_silent():
    pixels = ImageSpec(4, 4).make_neutral({"pixels": np.zeros((4, 4, 3), np.float32)})["pixels"]
    assert np.unique(pixels).tolist() == [127.5] and pixels.dtype == np.float32
    silence = AudioSpec(16_000).make_neutral({"waveform": np.ones(8, np.float32)})["waveform"]
    assert not silence.any()


def test_the_axes_of_a_recording_are_those_that_its_backbone_reads():
    axes = {
        front_end: AudioSpec(16_000, front_end=front_end).explained
        for front_end in ("waveform", "yamnet", "picture")
    }
    assert axes["waveform"].names == ("time",)
    assert axes["yamnet"].names == axes["picture"].names == ("time", "frequency")
    assert (axes["yamnet"].layer, axes["picture"].layer) == ("log_mel", "mel_picture")


def test_what_speaks_for_an_answer_is_warm_and_what_speaks_against_it_cold():
    pixels = colour_over(np.full((1, 3), 128.0), np.array([[1.0, 0.0, -1.0]]))[0].astype(int)
    assert pixels[0][0] > pixels[0][2] and pixels[2][2] > pixels[2][0]
    assert pixels[1].tolist() == [128] * 3
    assert scale_values(np.zeros(3)).tolist() == [0, 0, 0]
    assert scale_values(np.array([-2.0, 1.0])).min() == pytest.approx(-1.0)


def size_of(content: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(content)).size


def test_a_spectrogram_is_drawn_with_time_to_the_right():
    drawn = draw_over_spectrogram(np.random.default_rng(0).random((98, 32, 3)), np.ones((98, 32)))
    assert size_of(drawn)[0] > size_of(drawn)[1]
    samples = np.sin(np.arange(1600.0))
    assert size_of(draw_over_waveform(samples, samples))[0] == 336


def test_words_are_drawn_and_the_best_are_named():
    spec, ids, mask = make_text("words", "a", "dull", "but", "lovely", "film")
    example = ExplainedExample(
        {"token_ids": ids, "padding_mask": mask}, ids, find_words(spec, ids, mask)
    )
    values = np.array([0.1, -0.5, 0.0, 0.9, 0.3, 7.0])
    modality = load_modality("text")
    assert modality.describe_explanation(spec, example, values) == "most: lovely, film, a"
    assert size_of(modality.draw_explanation(spec, example, values))[0] == 448


INPUTS = {
    "image": {"pixels": np.random.default_rng(0).integers(0, 256, (24, 24, 3)).astype(np.uint8)},
    "audio": {"waveform": np.sin(np.arange(800) / 5).astype(np.float32)},
    "text": b"a film that everybody will like, and its story is lovely",
}


@pytest.mark.parametrize("name", [name for name in MODALITIES if name in INPUTS])
def test_every_corruption_rises_with_its_strength(name):
    corruptions = load_modality(name).list_corruptions()
    assert corruptions
    for corruption in corruptions:
        changes = []
        for strength in range(5):
            random = np.random.default_rng(0)
            found = corruption.corrupt(INPUTS[name], strength, random)
            if corruption.is_of_content:
                changes.append(distance(INPUTS[name], found))
                continue
            ((key, before),) = INPUTS[name].items()
            assert found[key].dtype == before.dtype and found[key].shape == before.shape
            changes.append(np.abs(found[key].astype(float) - before).mean())
        assert changes[0] > 0 and changes[-1] > changes[0], corruption.name
        assert np.diff(changes).min() >= -0.02 * max(changes), corruption.name


def distance(before: bytes, after: bytes) -> float:
    return 1 - difflib.SequenceMatcher(None, before, after).ratio()
