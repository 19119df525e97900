from __future__ import annotations

import io
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kft.config.schema import DataConfig, RecordConfig
from kft.data import load_splits
from kft.data.tfds import find_tfds
from kft.data.tfrecord import find_tfrecord
from kft.errors import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An unpacking cache of the test's own."""
    monkeypatch.setenv("KFT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def make_jpeg(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()


def to_feature(value) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    if isinstance(value, list):
        return tf.train.Feature(float_list=tf.train.FloatList(value=value))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


@pytest.fixture
def write_records(tmp_path):
    """Write a TFRecord file of pictures with these labels; .gz compresses."""

    def write(name: str, labels, label_feature: str = "image/class/label"):
        path = tmp_path / "records" / name
        path.parent.mkdir(exist_ok=True)
        options = "GZIP" if name.endswith(".gz") else ""
        with tf.io.TFRecordWriter(str(path), options) as writer:
            for number, label in enumerate(labels):
                features = {
                    "image/encoded": to_feature(make_jpeg(number)),
                    label_feature: to_feature(label),
                }
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString())
        return path

    return write


def find(path, target="auto", **records):
    return find_tfrecord(DataConfig(path=str(path), target=target, records=RecordConfig(**records)))


@pytest.mark.parametrize("name", ["data.tfrecord", "data.tfrecord.gz"])
def test_records_become_files_with_their_bytes(write_records, cache, name):
    found = find(write_records(name, [10, 9, 10]))
    assert found.class_names == ("9", "10")
    assert found.examples.targets.tolist() == [1, 0, 1]
    assert found.examples.ids[2] == f"{name}#000002"
    for number, path in enumerate(found.examples.paths):
        assert path.startswith(str(cache)) and path.endswith(".jpg")
        with open(path, "rb") as file:
            assert file.read() == make_jpeg(number)


def test_records_are_unpacked_once_and_again_when_the_file_changes(write_records, cache):
    path = write_records("data.tfrecord", [0, 1])
    first = find(path)
    stamps = [os.stat(p).st_mtime_ns for p in first.examples.paths]
    again = find(path)
    assert again.examples.paths == first.examples.paths
    assert [os.stat(p).st_mtime_ns for p in again.examples.paths] == stamps
    write_records("data.tfrecord", [0, 1, 0])
    assert len(find(path).examples) == 3
    assert len(list((cache / "unpacked").iterdir())) == 2


def test_an_interrupted_unpacking_leaves_nothing(write_records, cache):
    path = write_records("data.tfrecord", [0, 1])
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"data.tfrecord: damaged after \d record"):
        find(path)
    assert not list((cache / "unpacked").iterdir())


def test_names_are_given_to_indices(write_records):
    path = write_records("data.tfrecord", [1, 0])
    assert find(path, class_names=("wasp", "ant")).class_names == ("wasp", "ant")
    with pytest.raises(DataError, match=r"label 1 is beyond the 1 names"):
        find(path, class_names=("wasp",))
    with pytest.raises(DataError, match=r"class bee has no example"):
        find(path, class_names=("wasp", "ant", "bee"))


def test_text_labels_are_names_and_floats_are_labels_or_numbers(write_records):
    assert find(write_records("a.tfrecord", [b"dog", b"cat"])).class_names == ("cat", "dog")
    labels = find(write_records("b.tfrecord", [[1.0, 0.0], [1.0, 1.0]]), class_names=("x", "y"))
    assert (labels.target_kind, labels.class_names) == ("labels", ("x", "y"))
    assert find(write_records("c.tfrecord", [[0.5], [2.0]])).target_kind == "number"
    assert find(write_records("d.tfrecord", [3, 4]), target="number").examples.targets.tolist() == [
        [3.0],
        [4.0],
    ]


def test_splits_are_read_from_file_names(write_records, tmp_path):
    for name in ("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001"):
        write_records(f"{name}.tfrecord", [0, 1])
    config = DataConfig(path=str(tmp_path / "records"), holdout=0)
    splits = load_splits(config)
    assert (len(splits.train), len(splits.validation), len(splits.holdout)) == (4, 2, 0)
    write_records("more.tfrecord", [0, 1])
    with pytest.raises(DataError, match=r"some files name their split and others do not.*more"):
        load_splits(config)
    assert len(find(tmp_path / "records" / "train*.tfrecord").examples) == 4


def test_what_a_record_lacks_is_named(write_records, tmp_path):
    path = write_records("data.tfrecord", [0, 1], label_feature="klass")
    with pytest.raises(DataError, match=r"record 0: no feature 'image/class/label'.*label_feature"):
        find(path)
    assert len(find(path, label_feature="klass").examples) == 2
    with pytest.raises(DataError, match=r"no TFRecord file at"):
        find(tmp_path / "nothing*.tfrecord")
    with pytest.raises(DataError, match=r"hold no record"):
        find(write_records("empty.tfrecord", []))


def test_an_unreadable_record_is_named_by_its_place(tmp_path, write_records):
    path = write_records("data.tfrecord", [0, 1])
    features = {"image/encoded": to_feature(b"no"), "image/class/label": to_feature(1)}
    example = tf.train.Example(features=tf.train.Features(feature=features))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(3):
            writer.write(example.SerializeToString())
        for label in (0, 0, 0):
            features["image/class/label"] = to_feature(label)
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())
    with pytest.raises(DataError, match=r"data.tfrecord#000000 \(.*no picture format"):
        load_splits(DataConfig(path=str(path)))


@pytest.fixture
def tfds_folder(tmp_path, monkeypatch):
    """A prepared TFDS data set `toy` of two classes, with an extra split."""
    import tensorflow_datasets as tfds

    def make(count: int):
        numbers = np.arange(count)
        images = np.stack([np.full((8, 9, 3), 10 * n, np.uint8) for n in numbers])
        elements = {"image": images, "label": numbers % 2, "age": numbers.astype(np.float32)}
        return tf.data.Dataset.from_tensor_slices(elements)

    tfds.disable_progress_bar()
    features = {
        "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
        "label": tfds.features.ClassLabel(names=["wasp", "ant"]),
        "age": np.float32,
    }
    tfds.dataset_builders.store_as_tfds_dataset(
        name="toy",
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={"train": make(10), "test": make(4), "extra": make(2)},
        data_dir=tmp_path / "tfds",
    )
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return tmp_path / "tfds" / "toy" / "1.0.0"


def test_a_prepared_tfds_data_set_is_read(tfds_folder):
    splits = load_splits(DataConfig(path="tfds:toy"))
    assert splits.class_names == ("wasp", "ant")
    assert (len(splits.train), len(splits.validation), len(splits.holdout)) == (8, 2, 4)
    assert splits.ignored == {"in split 'extra', which is neither train, validation nor test": 2}
    for path, target in zip(splits.holdout.paths, splits.holdout.targets, strict=True):
        assert np.asarray(Image.open(path))[0, 0, 0] // 10 % 2 == target
    assert load_splits(DataConfig(path=str(tfds_folder))).fingerprint == splits.fingerprint
    records = RecordConfig(label_feature="age")
    assert find_tfds(DataConfig(path="tfds:toy", records=records)).target_kind == "number"


def test_a_tfds_data_set_that_is_not_prepared_is_refused_at_once(tfds_folder):
    for name in ("tfds:mnist", "tfds:toy:2.0.0", "tfds:toy/other"):
        with pytest.raises(DataError, match=r"is not prepared in .*tfds build .*TFDS_DATA_DIR"):
            find_tfds(DataConfig(path=name))
    with pytest.raises(DataError, match=r"expected tfds:NAME"):
        find_tfds(DataConfig(path="tfds:../toy"))
    with pytest.raises(DataError, match=r"no prepared TFDS folder"):
        find_tfds(DataConfig(path=str(tfds_folder.parent)))
    with pytest.raises(DataError, match=r"no feature 'lable'. Did you mean 'label'"):
        find_tfds(DataConfig(path="tfds:toy", records=RecordConfig(label_feature="lable")))
