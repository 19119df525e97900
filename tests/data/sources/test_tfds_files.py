"""TFDS data sets in all file formats are read."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from kft.config import DataConfig
from kft.data import load_splits
from kft.data.loading import check_source, find_source
from kft.data.sources.tfds import find_prepared, find_tfds
from kft.errors import DataError

FORMATS = ("tfrecord", "array_record", "parquet")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Write `toy`, version 1.0.0, of two classes, in each file format; returns its folders."""
    import tensorflow_datasets as tfds

    class Toy(tfds.core.GeneratorBasedBuilder):
        """Two classes of noise that differ in the first value."""

        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(8, 9, 3)),
                "label": tfds.features.ClassLabel(names=["wasp", "ant"]),
                "pixels": tfds.features.Tensor(shape=(8, 9, 3), dtype=np.uint8),
                "name": tfds.features.Text(),
                "amount": np.float32,
                "kind": np.int64,
            }
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, dl_manager):
            return {
                "train": self._generate_examples(0, 10),
                "test": self._generate_examples(10, 14),
            }

        def _generate_examples(self, first, last):
            for number in range(first, last):
                pixels = np.random.default_rng(number).integers(256, size=(8, 9, 3), dtype=np.uint8)
                pixels[0, 0, 0] = number % 2
                yield (
                    number,
                    {
                        "image": pixels,
                        "label": number % 2,
                        "pixels": pixels,
                        "name": f"name{number % 2}",
                        "amount": number / 4,
                        "kind": number % 2,
                    },
                )

    root = tmp_path_factory.mktemp("formats")
    tfds.disable_progress_bar()
    for each in FORMATS:
        Toy(data_dir=root / each, file_format=each).download_and_prepare()
    return {each: root / each for each in FORMATS}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KFT_CACHE_DIR", str(tmp_path / "cache"))


def test_every_format_holds_the_same_examples(prepared, monkeypatch):
    fingerprints = set()
    for each, root in prepared.items():
        monkeypatch.setenv("TFDS_DATA_DIR", str(root))
        splits = load_splits(DataConfig(path="tfds:toy"))
        assert splits.class_names == ("wasp", "ant"), each
        assert (len(splits.train), len(splits.validation), len(splits.holdout)) == (8, 2, 4)
        fingerprints.add(splits.fingerprint)
    assert len(fingerprints) == 1


@pytest.mark.parametrize("each", FORMATS)
def test_a_prepared_folder_is_known_with_and_without_its_version(prepared, each):
    version = prepared[each] / "toy" / "1.0.0"
    for path in (version, version.parent, version.parent.parent):
        config = DataConfig(path=str(path))
        assert find_source(config) == "tfds"
        check_source(config)
        assert find_prepared(str(path)) == version


@pytest.mark.parametrize("each", FORMATS)
@pytest.mark.parametrize(
    ("records", "kind"),
    [
        ({"label_feature": "name"}, "class"),
        ({"label_feature": "kind"}, "class"),
        ({"label_feature": "amount"}, "number"),
        ({"input_feature": "pixels"}, "class"),
    ],
)
def test_features_of_every_type_are_read(prepared, each, records, kind):
    config = DataConfig(path=str(prepared[each] / "toy"), records=records)
    found = find_tfds(config)
    assert found.task.word == kind
    assert len(found.examples) == 14


def test_texts_are_read(prepared):
    records = {"input_feature": "name"}
    config = DataConfig(path=str(prepared["tfrecord"] / "toy"), modality="text", records=records)
    found = find_tfds(config)
    texts = [Path(path).read_text() for path in found.examples.inputs.paths]
    names = [found.class_names[target] for target in found.examples.targets]
    assert len(texts) == 14
    assert set(zip(texts, names, strict=True)) == {("name0", "wasp"), ("name1", "ant")}


def test_several_data_sets_in_a_folder_are_named(tmp_path):
    for name in ("one/1.0.0", "two/1.0.0"):
        (tmp_path / name).mkdir(parents=True)
        for file in ("dataset_info.json", "features.json"):
            (tmp_path / name / file).write_text("{}")
    with pytest.raises(DataError, match=r"several data sets.*one, .*two\. Give one"):
        check_source(DataConfig(path=str(tmp_path)))


def test_a_file_of_the_same_name_makes_no_prepared_folder(tmp_path, write_classes):
    write_classes(cat=1, dog=1)
    (tmp_path / "dataset_info.json").write_text("{}")
    (tmp_path / "cat" / "dataset_info.json").write_text("{}")
    assert find_source(DataConfig(path=str(tmp_path))) == "folder"


@pytest.mark.parametrize("each", FORMATS[1:])
@pytest.mark.parametrize("kept", [0, 500])
def test_damaged_files_are_refused_with_their_folder(prepared, tmp_path, each, kept):
    folder = tmp_path / "1.0.0"
    folder.mkdir()
    for file in (prepared[each] / "toy" / "1.0.0").iterdir():
        content = file.read_bytes()
        is_damaged = file.name.startswith("toy-train")
        (folder / file.name).write_bytes(content[:kept] if is_damaged else content)
    with pytest.raises(DataError, match=r"1\.0\.0: damaged after 0 examples.*Prepare or copy"):
        find_tfds(DataConfig(path=str(folder)))


def test_a_reader_that_is_not_installed_is_told_with_another_way(prepared, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"format parquet.*pyarrow.*--file_format=tfrecord"):
        find_tfds(DataConfig(path=str(prepared["parquet"] / "toy")))
