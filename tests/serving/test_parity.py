"""An export that does not answer as the model does is no export."""

import errno
import json
from collections import Counter

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2

from kft.config import HeadConfig
from kft.data.input.decoding import ImageDecoder
from kft.errors import DataError, ExportError
from kft.heads import make_head
from kft.serving import export_model, is_export, predict_files
from kft.serving.export import Export
from kft.serving.signatures import ServedModel


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    paths = []
    for number, ending in enumerate(("png", "jpg", "bmp", "gif", "png")):
        pixels = draw.integers(0, 256, (20 + number, 30, 3), dtype=np.uint8)
        paths.append(folder / f"{number}.{ending}")
        Image.fromarray(pixels).save(paths[-1])
    return [str(path) for path in paths]


def tiny_model(outputs: int) -> keras.Model:
    keras.utils.set_random_seed(1)
    pixels = keras.Input((16, 16, 3), name="pixels")
    features = keras.layers.GlobalAveragePooling2D(name="feature_vector")(pixels)
    return keras.Model(pixels, keras.layers.Dense(outputs, name="logits")(features / 255))


def export(tmp_path, files, kind="class", decoder=None) -> Export:
    names = ("cat", "dog", "owl")
    targets = np.array([[0.0, 5.0, 10.0], [1.0, 6.0, 30.0]], np.float32)
    head = make_head(HeadConfig(), kind, names, targets)
    return export_model(
        tiny_model(3),
        head,
        decoder or ImageDecoder(16, 16),
        directory=tmp_path / "saved_models",
        name="tiny",
        files=files,
        card={"name": "tiny"},
    )


@pytest.mark.parametrize("kind", ["class", "labels", "number"])
def test_an_export_of_every_kind_of_target_answers_as_the_model(tmp_path, files, kind):
    exported = export(tmp_path, files, kind)
    assert exported.path == tmp_path / "saved_models" / "tiny" / "1"
    assert exported.largest_difference <= 1e-5
    assert json.loads((exported.path / "assets.extra" / "kft.json").read_text())["name"] == "tiny"
    answers = predict_files(exported.path, files)
    assert list(answers[0].values) == ["cat", "dog", "owl"]


def test_an_export_holds_the_graph_once_and_no_layers(tmp_path, files):
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((export(tmp_path, files).path / "saved_model.pb").read_bytes())
    (graph,) = saved.meta_graphs
    functions = graph.graph_def.library.function
    products = [node for each in functions for node in each.node_def if node.op == "MatMul"]
    assert len(products) == 1, "the model's one dense layer, for three signatures"
    kinds = Counter(node.WhichOneof("kind") for node in graph.object_graph_def.nodes)
    assert kinds["variable"] == 2
    assert kinds["bare_concrete_function"] == 3
    assert kinds["function"] == 0


def test_signatures_for_pixels_and_features_agree_with_the_one_for_bytes(tmp_path, files):
    loaded = tf.saved_model.load(str(export(tmp_path, files).path))
    encoded = tf.stack([tf.io.read_file(file) for file in files])
    from_bytes = loaded.signatures["serving_default"](encoded=encoded)
    decoder = ImageDecoder(16, 16)
    pixels = tf.stack([tf.cast(decoder(one), tf.float32) for one in encoded])
    from_pixels = loaded.signatures["pixels"](pixels=pixels)
    np.testing.assert_allclose(from_bytes["probabilities"], from_pixels["probabilities"], atol=1e-6)
    features = loaded.signatures["features"](encoded=encoded)["feature_vector"]
    np.testing.assert_allclose(features, tf.reduce_mean(pixels, axis=(1, 2)), atol=1e-3)
    tops = np.array([b"cat", b"dog", b"owl"])[np.argmax(from_bytes["probabilities"], axis=1)]
    assert list(from_bytes["top_class"].numpy()) == list(tops)


class DecoderThatServesSomethingElse:
    """Gives other pixels when it is traced into a graph than when it is called."""

    output_shape = (16, 16, 3)

    def __call__(self, encoded):
        pixels = ImageDecoder(16, 16)(encoded)
        return pixels if tf.executing_eagerly() else tf.reverse(pixels, axis=[2])


def test_an_export_that_answers_otherwise_is_refused_and_removed(tmp_path, files):
    with pytest.raises(ExportError, match=r"the export answers .* the trained model"):
        export(tmp_path, files, decoder=DecoderThatServesSomethingElse())
    assert not list((tmp_path / "saved_models").rglob("*"))


def test_a_refused_export_leaves_earlier_versions_alone(tmp_path, files):
    first = export(tmp_path, files)
    with pytest.raises(ExportError):
        export(tmp_path, files, decoder=DecoderThatServesSomethingElse())
    assert [path.name for path in first.path.parent.iterdir()] == ["1"]
    assert export(tmp_path, files).path.name == "2"


def test_the_highest_version_is_served_by_number_and_not_by_text(tmp_path, files):
    first = export(tmp_path, files).path
    first.rename(first.with_name("9"))
    assert export(tmp_path, files).path.name == "10"
    assert is_export(first.parent)
    assert predict_files(first.parent, files[:1])[0].has_one_class


def test_a_saved_model_that_is_not_of_kft_is_refused(tmp_path, files):
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    with pytest.raises(ExportError, match="not an export of kft"):
        predict_files(tmp_path / "other", files)


def test_a_file_that_is_no_picture_is_named_among_many(tmp_path, files):
    exported = export(tmp_path, files)
    (tmp_path / "no.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing")
    with pytest.raises(DataError, match=r"no\.png"):
        predict_files(exported.path, [*files, str(tmp_path / "no.png")])


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/srv/models"), "no space is left"),
        (
            tf.errors.ResourceExhaustedError(None, None, "/srv/models/x; No space left on device"),
            "no space is left",
        ),
        (
            tf.errors.PermissionDeniedError(None, None, "/srv/models/x; Read-only file system"),
            "its file system is read-only",
        ),
    ],
)
def test_an_export_that_the_disk_has_no_room_for_says_so_and_leaves_nothing(
    failure, words, tmp_path, files, monkeypatch
):
    def fail(served, path):
        raise failure

    monkeypatch.setattr(ServedModel, "save", fail)
    with pytest.raises(ExportError, match=rf"nothing is exported\. /srv/models.* {words}"):
        export(tmp_path, files)
    assert not list((tmp_path / "saved_models").rglob("*"))
