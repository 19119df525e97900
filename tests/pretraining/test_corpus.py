"""Texts without labels are read from files and tables, each different one once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kft.config import DataConfig
from kft.errors import DataError
from kft.modalities import load_modality
from kft.pretraining.corpus import load_corpus
from kft.pretraining.settings import load_pretraining, needs_no_labels

TEXTS = [f"text {number} of a corpus about films" for number in range(200)]


def load(path: Path, **settings):
    config = DataConfig(path=str(path), modality="text", **settings)
    corpus = load_corpus(config, load_modality("text"))
    return corpus, {*corpus.train.inputs.contents, *corpus.validation.inputs.contents}


def test_lines_of_files_and_rows_of_tables_are_the_same_corpus(tmp_path):
    (tmp_path / "all.txt").write_text("\n".join([*TEXTS, "", TEXTS[3]]) + "\r\n")
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "a.txt").write_text("\n".join(TEXTS[:50]))
    (tmp_path / "folder" / "deep" / "b.txt").write_text("\n\n".join(TEXTS[50:]))
    (tmp_path / "folder" / "c.jpg").write_bytes(b"\xff")
    rows = [json.dumps({"text": text, "label": "x"}) for text in TEXTS]
    (tmp_path / "table.jsonl").write_text("\n".join(rows))
    for name in ("all.txt", "folder", "table.jsonl"):
        corpus, contents = load(tmp_path / name)
        assert contents == {text.encode() for text in TEXTS}
        assert 0 < len(corpus.validation) < 30
        fingerprints = {corpus.fingerprint, load(tmp_path / "all.txt")[0].fingerprint}
        assert len(fingerprints) == 1
    assert load(tmp_path / "all.txt")[0].num_repeated == 1


def test_columns_are_joined_and_damaged_lines_are_named(tmp_path):
    lines = [json.dumps({"a": text, "b": "end"}) for text in TEXTS]
    (tmp_path / "table.jsonl").write_text("\n".join([*lines, "{", json.dumps({"a": ""})]))
    table = {"text_columns": ["a", "b"], "separator": " - "}
    corpus, contents = load(tmp_path / "table.jsonl", table=table)
    assert f"{TEXTS[0]} - end".encode() in contents
    assert [bad.name for bad in corpus.quarantined] == ["line 201"]
    (tmp_path / "bad.txt").write_bytes("\n".join(TEXTS).encode() + b"\ncaf\xe9\n\x00")
    corpus, _ = load(tmp_path / "bad.txt")
    assert [bad.name for bad in corpus.quarantined] == ["bad.txt, line 201", "bad.txt, line 202"]
    with pytest.raises(DataError, match="2 of 204 texts cannot be used"):
        load(tmp_path / "bad.txt", on_invalid_file="stop")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("few.txt", "one\ntwo\n", "2 different texts. Pretraining needs at least 40"),
        ("empty.txt", "\n \n", "0 different texts"),
        (
            "table.csv",
            "path,label\na.jpg,x\n",
            "no column of texts. .* Columns: path",
        ),
        ("page.html", "<p>", "not a data source"),
    ],
)
def test_what_holds_no_texts_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        load(tmp_path / name)


def test_texts_get_their_own_defaults_and_overrides_win(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    pipeline = load_pretraining(str(tmp_path / "a.txt"), ["strategy.duration=3 steps"])
    assert needs_no_labels(pipeline)
    assert (pipeline.backbone.name, pipeline.strategy.duration) == ("small_transformer", "3 steps")
    (tmp_path / "b.jpg").write_bytes(b"")
    pictures = load_pretraining(str(tmp_path))
    assert pictures.backbone.name == "small_cnn" and not needs_no_labels(pictures)
