from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kft.config import DataConfig, RecordConfig
from kft.data import load_splits
from kft.data.loading import find_examples
from kft.data.sources.folder import find_folder
from kft.data.sources.tfds import find_tfds
from kft.data.sources.tfrecord import find_tfrecord
from kft.errors import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Give the test its own unpacking cache."""
    monkeypatch.setenv("KFT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def make_jpeg(number: int, file: str = "") -> bytes:
    noise = np.random.default_rng([number, *file.encode()]).integers(
        0, 256, (9, 8, 3), dtype=np.uint8
    )
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
    """Write a TFRecord file of pictures with these labels, compressed if it ends in .gz."""

    def write(name: str, labels, label_feature: str = "image/class/label"):
        path = tmp_path / "records" / name
        path.parent.mkdir(exist_ok=True)
        options = "GZIP" if name.endswith(".gz") else ""
        with tf.io.TFRecordWriter(str(path), options) as writer:
            for number, label in enumerate(labels):
                features = {
                    "image/encoded": to_feature(make_jpeg(number, name)),
                    label_feature: to_feature(label),
                }
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString())
        return path

    return write


def find(path, target="auto", on_invalid_file="quarantine", **records):
    return find_tfrecord(
        DataConfig(
            path=str(path),
            target=target,
            on_invalid_file=on_invalid_file,
            records=RecordConfig(**records),
        )
    )


def left_out(found) -> dict[str, str]:
    return {bad.name: bad.reason for bad in found.quarantined}


@pytest.mark.parametrize("name", ["data.tfrecord", "data.tfrecord.gz"])
def test_records_become_files_with_their_bytes(write_records, cache, name):
    found = find(write_records(name, [10, 9, 10]))
    assert found.class_names == ("9", "10")
    assert found.examples.targets.tolist() == [1, 0, 1]
    assert found.examples.ids[2] == f"{name}#000002"
    for number, path in enumerate(found.examples.inputs.paths):
        assert path.startswith(str(cache)) and path.endswith(".jpg")
        with open(path, "rb") as file:
            assert file.read() == make_jpeg(number, name)


def test_records_are_unpacked_once_and_again_when_the_file_changes(write_records, cache):
    path = write_records("data.tfrecord", [0, 1])
    first = find(path)
    stamps = [os.stat(p).st_mtime_ns for p in first.examples.inputs.paths]
    again = find(path)
    assert again.examples.inputs.paths == first.examples.inputs.paths
    assert [os.stat(p).st_mtime_ns for p in again.examples.inputs.paths] == stamps
    write_records("data.tfrecord", [0, 1, 0])
    assert len(find(path).examples) == 3
    assert len(list((cache / "unpacked").iterdir())) == 2


def test_an_interrupted_unpacking_leaves_nothing(write_records, cache, monkeypatch):
    path = write_records("data.tfrecord", [0, 1])
    with monkeypatch.context() as patch:
        modality = "kft.modalities.image.modality.ImageModality"
        patch.setattr(f"{modality}.find_ending", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            find(path)
    assert not list((cache / "unpacked").iterdir())
    assert len(find(path).examples) == 2


# Damaged records. A record is its length, 12 bytes before its content and 4 behind.


def damage(path, record: int, place: int) -> None:
    """Flip a bit of a record, `place` bytes from its start, or from its end if negative."""
    content = bytearray(path.read_bytes())
    starts = [0]
    while starts[-1] < len(content):
        length = int.from_bytes(content[starts[-1] : starts[-1] + 8], "little")
        starts.append(starts[-1] + length + 16)
    content[starts[record + (place < 0)] + place] ^= 1
    path.write_bytes(content)


def test_a_damaged_record_is_left_out_by_name_and_the_rest_is_read(write_records):
    path = write_records("data.tfrecord", [0, 0, 1, 0, 0])
    damage(path, 1, 12)
    damage(path, 3, -1)
    found = find(path)
    assert found.examples.ids == tuple(f"data.tfrecord#00000{n}" for n in (0, 2, 4))
    assert left_out(found) == {
        "data.tfrecord, record 1": "its checksum is wrong: the content is damaged",
        "data.tfrecord, record 3": "its checksum is wrong: the content is damaged",
    }
    assert {bad.path for bad in found.quarantined} == {str(path)}
    assert left_out(find(path)) == left_out(found), "the cache knows them too"


@pytest.mark.parametrize("place", [0, 8])
def test_behind_a_damaged_length_nothing_can_be_read(write_records, place):
    path = write_records("data.tfrecord", [0, 1, 0, 1])
    damage(path, 2, place)
    found = find(path)
    assert len(found.examples) == 2
    assert left_out(found) == {
        "data.tfrecord, record 2": "the length of the record is damaged; the rest of the file "
        "cannot be read"
    }


@pytest.mark.parametrize("missing", [1, 4, 5, 200])
def test_a_file_that_is_cut_off_keeps_its_whole_records(write_records, missing):
    path = write_records("data.tfrecord", [0, 1, 0])
    path.write_bytes(path.read_bytes()[:-missing])
    found = find(path)
    assert len(found.examples) == 2
    assert left_out(found)["data.tfrecord, record 2"].startswith("the file ends within the record")


@pytest.mark.parametrize("change", ["cut off", "damaged"])
def test_a_damaged_compressed_file_is_left_out_from_there_on(write_records, change):
    write_records("whole.tfrecord", [0, 1])
    path = write_records("z.tfrecord.gz", [0, 1, 0])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content if change == "damaged" else content[: len(content) // 2])
    found = find(path.parent)
    assert len(found.examples) >= 2
    # A changed byte may damage a record and be noticed only behind it.
    bad = found.quarantined[-1]
    assert bad.name.startswith("z.tfrecord.gz, record ")
    assert bad.reason.startswith("the compressed file is damaged")
    assert bad.reason.endswith("the rest of the file cannot be read")


def test_stop_refuses_damaged_records_by_name(write_records):
    path = write_records("data.tfrecord", [0, 1, 0])
    damage(path, 2, 12)
    for _ in range(2):  # unpacked, and from the cache
        with pytest.raises(DataError, match=r"1 of 3 records cannot be used(.|\n)*record 2: its"):
            find(path, on_invalid_file="stop")
    assert len(find(path).examples) == 2


def test_what_is_no_record_file_is_refused_or_left_out(write_records):
    path = write_records("data.tfrecord", [0, 1])
    page = path.with_name("page.tfrecord")
    page.write_text("<!doctype html>" * 20)
    found = find(path.parent)
    assert "Is it a TFRecord file? Compressed" in left_out(found)["page.tfrecord, record 0"]
    with pytest.raises(DataError, match=r"1 of 1 records cannot be used(.|\n)*Is it a TFRecord"):
        find(page)


def test_files_that_cannot_be_opened_are_named(write_records):
    folder = write_records("data.tfrecord", [0, 1]).parent
    (folder / "gone.tfrecord").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.tfrecord")
    found = find(folder)
    assert left_out(found) == {
        "gone.tfrecord": "a link that leads nowhere",
        "pipe.tfrecord": "a pipe or device, not a file",
    }
    with pytest.raises(DataError, match=r"2 of 3 files cannot be used(.|\n)*gone.tfrecord: a link"):
        find(folder, on_invalid_file="stop")
    with pytest.raises(DataError, match=r"1 of 1 files cannot be used(.|\n)*leads nowhere"):
        find(folder / "gone.tfrecord")


def test_other_files_of_the_folder_are_counted(write_records):
    folder = write_records("data.tfrecord", [0, 1]).parent
    (folder / "empty.tfrecord").write_bytes(b"")
    (folder / "._data.tfrecord").write_bytes(b"not a record")
    (folder / "notes.txt").write_text("")
    (folder / "more").symlink_to(folder)
    found = find(folder)
    assert found.quarantined == ()
    assert found.ignored == {
        "hidden": 1,
        "ending .txt": 1,
        "TFRecord file without a record": 1,
    }


def test_records_without_what_is_asked_for_are_left_out(write_records, tmp_path):
    path = write_records("data.tfrecord", [0, 1])
    features = {
        "no label": {"image/encoded": to_feature(make_jpeg(1))},
        "two pictures": {
            "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a", b"b"])),
            "image/class/label": to_feature(1),
        },
    }
    with tf.io.TFRecordWriter(str(path.with_name("odd.tfrecord"))) as writer:
        writer.write(b"\xff no example")
        for held in features.values():
            example = tf.train.Example(features=tf.train.Features(feature=held))
            writer.write(example.SerializeToString())
    reasons = left_out(find(path.parent))
    assert reasons["odd.tfrecord, record 0"] == "not a tf.train.Example"
    assert reasons["odd.tfrecord, record 1"].startswith("no feature 'image/class/label'")
    assert reasons["odd.tfrecord, record 2"] == "feature 'image/encoded' is not one encoded picture"


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([b"dog", b"cat", b""], "is '', which means a missing value"),
        ([b"dog", b"cat", b"nan"], "is 'nan', which means a missing value"),
        ([b"dog", b"cat", b"\xff"], "is not UTF-8 text"),
        ([[0.5], [2.0], [float("nan")]], "holds a value that is not a finite number"),
        ([[0.5], [2.0], []], "holds 0 values; expected a class, labels or numbers"),
    ],
)
def test_records_without_a_label_are_left_out(write_records, labels, reason):
    found = find(write_records("data.tfrecord", labels))
    assert len(found.examples) == 2
    assert left_out(found) == {"data.tfrecord, record 2": f"feature 'image/class/label' {reason}"}


def test_a_negative_index_is_no_class_where_classes_have_names(write_records):
    path = write_records("data.tfrecord", [0, -1, 1])
    found = find(path, class_names=("wasp", "ant"))
    assert found.examples.targets.tolist() == [0, 1]
    assert left_out(found) == {"data.tfrecord#000001": "label -1 means that it is unlabelled"}
    assert find(path).class_names == ("-1", "0", "1")
    assert find(path, target="number").examples.targets.tolist() == [[0.0], [-1.0], [1.0]]


def test_a_wrong_feature_name_is_told_before_all_is_read(write_records):
    path = write_records("data.tfrecord", [0] * 120)
    with pytest.raises(DataError, match=r"record 99: no feature 'lable'.*label_feature=NAME"):
        find(path, label_feature="lable")


def test_names_are_given_to_indices(write_records):
    path = write_records("data.tfrecord", [1, 0])
    assert find(path, class_names=("wasp", "ant")).class_names == ("wasp", "ant")
    with pytest.raises(DataError, match=r"label 1 is beyond the 1 names"):
        find(path, class_names=("wasp",))


def test_text_labels_are_names_and_floats_are_labels_or_numbers(write_records):
    assert find(write_records("a.tfrecord", [b"dog", b"cat"])).class_names == ("cat", "dog")
    labels = find(write_records("b.tfrecord", [[1.0, 0.0], [1.0, 1.0]]), class_names=("x", "y"))
    assert (labels.task.word, labels.class_names) == ("labels", ("x", "y"))
    assert find(write_records("c.tfrecord", [[0.5], [2.0]])).task.word == "number"
    times = [1700000001, 4]
    counted = find(write_records("d.tfrecord", times), target="number").examples.targets
    assert counted.tolist() == [[1700000001.0], [4.0]]


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
    with pytest.raises(DataError, match=r"data.tfrecord#000000 \(.*/unpacked/"):
        load_splits(DataConfig(path=str(path)))


@pytest.fixture
def write_tfds(tmp_path, monkeypatch):
    """Prepare a TFDS data set `toy` of two classes; each split is a list of label indices."""
    import tensorflow_datasets as tfds

    def make(split: str, labels: list[int]):
        # The first value tells the label; the noise, that no two pictures are copies.
        shape = (len(labels), 8, 9, 3)
        images = np.random.default_rng(list(split.encode())).integers(
            256, size=shape, dtype=np.uint8
        )
        images[:, 0, 0, 0] = np.abs(labels)
        ages = np.arange(len(labels), dtype=np.float32)
        return tf.data.Dataset.from_tensor_slices({"image": images, "label": labels, "age": ages})

    def write(**splits: list[int]):
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
            split_datasets={name: make(name, labels) for name, labels in splits.items()},
            data_dir=tmp_path / "tfds",
        )
        monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
        return tmp_path / "tfds" / "toy" / "1.0.0"

    return write


@pytest.fixture
def tfds_folder(write_tfds):
    """`toy` with an extra split."""
    return write_tfds(train=[0, 1] * 5, test=[0, 1] * 2, extra=[0, 1])


@pytest.fixture
def no_network(monkeypatch):
    """Make every lookup of an address and every connection fail."""

    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_a_prepared_tfds_data_set_is_read(tfds_folder, no_network):
    splits = load_splits(DataConfig(path="tfds:toy"))
    assert splits.class_names == ("wasp", "ant")
    assert (len(splits.train), len(splits.validation), len(splits.holdout)) == (8, 2, 4)
    assert splits.ignored == {"in split 'extra', which is neither train, validation nor test": 2}
    for path, target in zip(splits.holdout.inputs.paths, splits.holdout.targets, strict=True):
        assert np.asarray(Image.open(path))[0, 0, 0] == target
    assert load_splits(DataConfig(path=str(tfds_folder))).fingerprint == splits.fingerprint
    ages = DataConfig(path="tfds:toy", records=RecordConfig(label_feature="age"), target="number")
    assert find_tfds(ages).examples.targets.max() == 9.0


def test_a_tfds_data_set_that_is_not_prepared_is_refused_without_a_network(tfds_folder, no_network):
    for name in ("tfds:mnist", "tfds:toy:2.0.0", "tfds:toy/other"):
        with pytest.raises(DataError, match=r"is not prepared in .*tfds build .*TFDS_DATA_DIR"):
            find_tfds(DataConfig(path=name))
    with pytest.raises(DataError, match=r"expected tfds:NAME"):
        find_tfds(DataConfig(path="tfds:../toy"))
    with pytest.raises(DataError, match=r"not a prepared TFDS folder"):
        find_tfds(DataConfig(path=str(tfds_folder.parents[2] / "elsewhere")))
    with pytest.raises(DataError, match=r"no feature 'lable'. Did you mean 'label'"):
        find_tfds(DataConfig(path="tfds:toy", records=RecordConfig(label_feature="lable")))


def test_what_is_not_prepared_is_told_without_loading_tensorflow(tmp_path):
    code = (
        "import sys; from kft.config import DataConfig; from kft.data import load_splits\n"
        "try: load_splits(DataConfig(path='tfds:mnist'))\n"
        "except Exception as error: print(error)\n"
        "assert 'tensorflow' not in sys.modules"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TFDS_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=5,
        check=True,
    )
    assert "tfds:mnist is not prepared in" in result.stdout


def test_a_damaged_tfds_data_set_is_refused_with_its_folder(tfds_folder):
    (shard,) = tfds_folder.glob("toy-train*")
    content = shard.read_bytes()
    shard.write_bytes(content[:-20])
    config = DataConfig(path="tfds:toy")
    with pytest.raises(DataError, match=r"1.0.0: damaged after 9 examples: .*Prepare or copy"):
        find_tfds(config)
    shard.unlink()
    with pytest.raises(DataError, match=r"1.0.0: damaged after 0 examples"):
        find_tfds(config)


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
@pytest.mark.parametrize("content", ["{", "{}", None])
def test_a_tfds_data_set_whose_description_is_damaged_is_refused(tfds_folder, name, content):
    if content is None:
        (tfds_folder / name).unlink()
    else:
        (tfds_folder / name).write_text(content)
    with pytest.raises(DataError, match=r"Prepare or copy the data set again|is not prepared"):
        find_tfds(DataConfig(path="tfds:toy"))


def test_unlabelled_tfds_examples_are_not_given_the_last_class(write_tfds):
    write_tfds(train=[0, 1, 0, 1], test=[-1, -1])
    found = find_tfds(DataConfig(path="tfds:toy"))
    assert found.given_splits == ("train",) * 4
    assert sorted(found.examples.targets) == [0, 0, 1, 1]
    assert left_out(found) == {
        f"split test, example {n}": "its label is negative, so it is unlabelled" for n in (0, 1)
    }


def test_a_tfds_sequence_of_classes_is_labels_though_each_example_has_one(tmp_path, no_network):
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    label = tfds.features.Sequence(tfds.features.ClassLabel(names=["wasp", "ant"]))
    examples = {"image": np.zeros((2, 8, 9, 3), np.uint8), "label": [[0], [1]]}
    builder = tfds.dataset_builders.store_as_tfds_dataset(
        name="tags",
        version="1.0.0",
        features=tfds.features.FeaturesDict(
            {"image": tfds.features.Image(shape=(None, None, 3)), "label": label}
        ),
        split_datasets={"train": tf.data.Dataset.from_tensor_slices(examples)},
        data_dir=tmp_path / "tfds",
    )
    found = find_tfds(DataConfig(path=str(builder.data_path)))
    assert (found.task.word, found.notes) == ("labels", ())
    assert sorted(found.examples.targets.tolist()) == [[0.0, 1.0], [1.0, 0.0]]
    one_hot = find_tfds(DataConfig(path=str(builder.data_path), target="class"))
    assert one_hot.class_names == ("wasp", "ant"), "as the data set declares them"


def test_a_tfds_feature_that_is_no_picture_is_refused(tfds_folder):
    records = RecordConfig(input_feature="age")
    with pytest.raises(DataError, match=r"feature 'age' is not of type picture"):
        find_tfds(DataConfig(path="tfds:toy", records=records))


def test_the_image_folder_of_tfds_is_a_class_folder(tmp_path, write_classes):
    import tensorflow_datasets as tfds

    write_classes(train__ant=3, train__wasp=2, test__ant=1, test__wasp=2)
    builder = tfds.ImageFolder(str(tmp_path))
    found = find_folder(DataConfig(path=str(tmp_path)))
    assert found.class_names == tuple(sorted(builder.info.features["label"].names))
    counts = {name: info.num_examples for name, info in builder.info.splits.items()}
    assert counts == {"train": 5, "test": 3}
    assert [found.given_splits.count(name) for name in ("train", "holdout")] == [5, 3]


def test_records_may_name_a_declared_class_in_another_unicode_form(write_records):
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    labels = [decomposed.encode(), b"ant", composed.encode()]
    path = write_records("data.tfrecord", labels)
    config = DataConfig(path=str(path), records=RecordConfig(class_names=[decomposed, "ant"]))
    found = find_examples(config)
    assert found.class_names == (composed, "ant")
    assert found.examples.targets.tolist() == [0, 1, 0]
    assert list(found.noticed.values()) == [1]
