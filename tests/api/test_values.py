"""Examples in memory become data and files as anyone would have written them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kft.api.labelled_values import store_values
from kft.api.settings import make_pipeline
from kft.api.values import as_files
from kft.data import load_splits
from kft.errors import ConfigError, DataError
from kft.modalities import load_modality

TEXTS = [f"a {word} film, {place} minutes long" for place, word in enumerate(["fine", "dull"] * 6)]
LABELS = ["good", "bad"] * 6
PARTS = {"validation": 0.25, "holdout": 0.25}


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("KFT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def load(source, **data):
    pipeline = make_pipeline(source, {"data": data})
    return pipeline, load_splits(pipeline.data, decode=False)


def test_texts_with_labels_are_split_like_a_table():
    pipeline, splits = load((TEXTS, LABELS))
    assert splits.class_names == ("bad", "good")
    every = splits.join(("train", "validation", "holdout"))
    assert sorted(every.inputs.contents) == sorted(text.encode() for text in TEXTS)
    by_text = dict(zip(every.inputs.contents, every.targets.tolist(), strict=True))
    assert [by_text[text.encode()] for text in TEXTS] == [1, 0] * 6
    assert pipeline.name.startswith("values-") and pipeline.data.modality == "text"


def test_equal_values_are_the_same_data_and_others_are_not(cache):
    first, again = (make_pipeline((TEXTS, labels), {}) for labels in (LABELS, np.array(LABELS)))
    other = make_pipeline((TEXTS, LABELS[::-1]), {})
    assert first == again and first.data.path != other.data.path
    assert len(list((cache / "values").iterdir())) == 2


def test_splits_are_those_that_are_named():
    source = {
        "train": (TEXTS[:6], LABELS[:6]),
        "validation": (TEXTS[6:8], LABELS[6:8]),
        "holdout": (TEXTS[8:], LABELS[8:]),
    }
    _, splits = load(source)
    assert [len(splits.get(name)) for name in source] == [6, 2, 4]
    assert set(splits.holdout.inputs.contents) == {text.encode() for text in TEXTS[8:]}


def test_targets_are_numbers_labels_or_columns_by_name():
    drawn = np.random.default_rng(0)
    _, splits = load((TEXTS, drawn.normal(size=12)), target="number")
    assert splits.task.name == "regression"
    flags = drawn.integers(0, 2, (12, 2))
    flags[:4] = [[0, 0], [1, 1], [0, 1], [1, 0]]
    _, splits = load((TEXTS, flags), target="labels")
    assert splits.class_names == ("label_0", "label_1")
    named = {"happy": flags[:, 0], "sad": flags[:, 1].astype(bool).tolist()}
    _, splits = load((TEXTS, named), target="labels")
    assert splits.class_names == ("happy", "sad")


def test_pictures_are_arrays_pil_pictures_and_files(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 20, 24, 3), np.uint8)
    Image.fromarray(pixels[7]).save(tmp_path / "last.png")
    mixed = [*pixels[:6], Image.fromarray(pixels[6]), tmp_path / "last.png"]
    pipeline, splits = load((mixed, [0, 1] * 4), target="class", **PARTS)
    assert pipeline.data.modality == "image" and splits.class_names == ("0", "1")
    paths = splits.join(("train", "validation", "holdout")).inputs.paths
    found = {np.asarray(Image.open(path)).tobytes() for path in paths}
    assert found == {each.tobytes() for each in pixels}
    assert str(tmp_path / "last.png") in paths


def test_recordings_are_pairs_of_samples_and_rate():
    drawn = np.random.default_rng(0).normal(0, 0.1, (8, 800))
    waves = [(wave, 8_000) for wave in drawn]
    waves[3] = ((drawn[3] * 32767).astype(np.int16), 8_000)
    waves[5] = (np.stack([drawn[5]] * 2, axis=1).astype(np.float32), 16_000)
    pipeline, splits = load((waves, ["a", "b"] * 4), **PARTS)
    assert pipeline.data.modality == "audio" and not splits.quarantined and not splits.repaired
    assert sum(len(splits.get(name)) for name in ("train", "validation", "holdout")) == 8


def test_what_is_missing_is_left_out_by_name():
    texts, labels = [*TEXTS, "", "half a pair \ud800", "no label"], [*LABELS, "good", "bad", None]
    _, splits = load((texts, labels))
    reasons = {bad.name.rpartition("line ")[2]: bad.reason for bad in splits.quarantined}
    assert reasons.keys() == {"13", "14", "15"}
    assert "blank" in reasons["13"] and "not UTF-8" in reasons["14"] and "blank" in reasons["15"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ((TEXTS, LABELS[:3]), "12 examples but 3 targets"),
        (([], []), "found no examples"),
        ((TEXTS,), r"Expected a pair \(examples, targets\)"),
        (("a text", ["good"]), "found examples of type str"),
        ((TEXTS, "good"), "found targets of type str"),
        ((TEXTS, 7), "found targets of type int"),
        (([3, 4], LABELS[:2]), "example 0: found a int. Allowed: pictures: .*; texts: a string"),
        (([TEXTS[0], 4], LABELS[:2]), "example 1: found a int. Allowed: a string"),
        (([np.zeros((2, 8, 8, 3), np.uint8)], ["a"]), "0: found 2 pictures with one target"),
        (([b"\x89PNG", np.zeros((8, 8))], ["a", "b"]), "found a bytes|an array float64"),
        ({"test": (TEXTS, LABELS)}, "found a mapping of 'test'"),
        ((TEXTS, [["a"], ["b", "c"]] * 6), "rows differ in length"),
        ((TEXTS, {"text": LABELS}), "the name text is taken"),
        ((TEXTS, [{"good"}] * 12), "found a set. Allowed: strings, numbers and booleans"),
        (([(np.zeros(9), 0)], ["a"]), "Allowed: pictures"),
    ],
)
def test_what_is_no_labelled_data_is_refused_with_what_is(source, message):
    with pytest.raises(DataError, match=message):
        store_values(source, {})


def test_settings_of_other_sources_are_refused():
    with pytest.raises(ConfigError, match="data: table does not apply to examples in memory"):
        store_values((TEXTS, LABELS), {"table": {"separator": " "}})


def test_a_string_is_a_text_or_a_path_by_the_modality(tmp_path):
    text, image = load_modality("text"), load_modality("image")
    with as_files(["fine", b"dull", tmp_path / "a.txt"], text) as (files, names):
        assert [Path(file).read_bytes() for file in files[:2]] == [b"fine", b"dull"]
        assert list(names.values()) == ["text 0", "text 1"]
        assert files[2] == str(tmp_path / "a.txt")
    with as_files("photos/*.jpg", image) as (files, names):
        assert files == ["photos/*.jpg"] and not names
    (tmp_path / "a.txt").write_text("fine")
    files = as_files([str(tmp_path / "a.txt")], text)
    with pytest.raises(DataError, match=r"is the path of a file. A string is a text"), files:
        pass


def test_text_that_json_would_change_is_kept(cache):
    strange = ["NUL \0 inside", "line\u2028separator\n", "\U0001f44d \u05e9\u05dc\u05d5\u05dd"]
    stored = store_values((strange, ["a", "b", "a"]), {})
    lines = Path(stored.path).read_text().splitlines()
    assert [json.loads(line)["text"] for line in lines] == strange
