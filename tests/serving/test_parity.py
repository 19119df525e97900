"""Only exports that give the model's answers are kept."""

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
from kft.errors import DataError, ExportError, StorageError
from kft.examples import Examples, Files
from kft.modalities.image.decoding import ImageDecoder
from kft.serving import ExportedModel, Guard, ServingProcess, export_model, is_export
from kft.serving.export import Export
from kft.serving.signatures import ServedModel
from kft.tasks import find_task, make_head

pytestmark = pytest.mark.usefixtures("parity_in_this_process")


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


def as_examples(files) -> Examples:
    return Examples(tuple(files), Files(tuple(files)), np.zeros(len(files), np.int64))


def tiny_model(outputs: int) -> keras.Model:
    keras.utils.set_random_seed(1)
    pixels = keras.Input((16, 16, 3), name="pixels")
    features = keras.layers.GlobalAveragePooling2D(name="feature_vector")(pixels)
    logits = keras.layers.Dense(outputs, name="logits")(features / 255)
    return keras.Model({"pixels": pixels}, logits)


def export(tmp_path, files, kind="class", decoder=None, guard=None) -> Export:
    names = ("cat", "dog", "owl")
    targets = np.array([[0.0, 5.0, 10.0], [1.0, 6.0, 30.0]], np.float32)
    head = make_head(HeadConfig(), find_task(kind), names, targets)
    served = ServedModel(tiny_model(3), head, decoder or ImageDecoder(16, 16), guard)
    return export_served(served, tmp_path / "saved_models" / "tiny", files, {"name": "tiny"})


def export_served(served: ServedModel, folder, files, card) -> Export:
    with ServingProcess() as process:
        return export_model(served, folder, examples=as_examples(files), card=card, process=process)


@pytest.mark.parametrize("kind", ["class", "labels", "number"])
def test_an_export_of_every_task_answers_as_the_model(tmp_path, files, kind):
    exported = export(tmp_path, files, kind)
    assert exported.path == tmp_path / "saved_models" / "tiny" / "1"
    assert exported.largest_difference <= 1e-5
    assert json.loads((exported.path / "assets.extra" / "kft.json").read_text())["name"] == "tiny"
    answers = ExportedModel(exported.path).answer(files, Files(tuple(files)))
    assert list(answers[0].values) == ["cat", "dog", "owl"]
    assert answers[0].task.word == kind


@pytest.mark.parametrize(("confidence", "limit"), [(0.5, 1000.0), (2.0, 1.0)])
def test_a_guarded_export_says_whether_it_is_sure_and_has_seen_the_like(
    tmp_path, files, confidence, limit
):
    guard = Guard(confidence, np.zeros((2, 3)), np.eye(3), limit)
    exported = export(tmp_path, files, guard=guard)
    with ServingProcess() as process:
        served = process.answer(exported.path, files)
    sure = served["probabilities"].max(axis=1) >= confidence
    assert served["is_sure"].tolist() == sure.tolist()
    assert served["looks_unfamiliar"].tolist() == (served["unfamiliarity"] > 1).tolist()
    assert served["looks_unfamiliar"].all() == (limit == 1.0)
    assert served["answer"].ravel().tolist() == served["top_class"].ravel().tolist()
    answers = ExportedModel(exported.path).answer(files, Files(tuple(files)))
    assert answers[0].task.word == "class"


def test_a_guard_that_answers_differently_is_refused(tmp_path, files, monkeypatch):
    guard = Guard(0.5, np.zeros((1, 3)), np.eye(3), 100.0)
    monkeypatch.setattr(Guard, "serve", _serve_randomly)
    with pytest.raises(ExportError, match="the export answers"):
        export(tmp_path, files, guard=guard)
    assert not is_export(tmp_path / "saved_models" / "tiny")


def _serve_randomly(guard, features, outputs, names):
    drawn = tf.random.uniform(tf.shape(outputs)[:1])
    return {"is_sure": drawn > 2, "unfamiliarity": drawn, "looks_unfamiliar": drawn > 2}


def test_an_export_holds_the_graph_once_without_layers(tmp_path, files):
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
    pixels = tf.stack([tf.cast(decoder(one)["pixels"], tf.float32) for one in encoded])
    from_pixels = loaded.signatures["pixels"](pixels=pixels)
    np.testing.assert_allclose(from_bytes["probabilities"], from_pixels["probabilities"], atol=1e-6)
    features = loaded.signatures["features"](encoded=encoded)["feature_vector"]
    np.testing.assert_allclose(features, tf.reduce_mean(pixels, axis=(1, 2)), atol=1e-3)
    tops = np.array([b"cat", b"dog", b"owl"])[np.argmax(from_bytes["probabilities"], axis=1)]
    assert list(from_bytes["top_class"].numpy()) == list(tops)


class DecoderThatServesSomethingElse:
    """Decoder that gives different pixels in a traced graph than when it is called."""

    output = ImageDecoder(16, 16).output

    def __call__(self, encoded):
        pixels = ImageDecoder(16, 16)(encoded)["pixels"]
        return {"pixels": pixels if tf.executing_eagerly() else tf.reverse(pixels, axis=[2])}


def test_an_export_with_different_answers_is_refused_and_removed(tmp_path, files):
    with pytest.raises(ExportError, match=r"the export answers .* the trained model"):
        export(tmp_path, files, decoder=DecoderThatServesSomethingElse())
    assert not list((tmp_path / "saved_models").rglob("*"))


def test_a_refused_export_leaves_earlier_versions_alone(tmp_path, files):
    first = export(tmp_path, files)
    with pytest.raises(ExportError):
        export(tmp_path, files, decoder=DecoderThatServesSomethingElse())
    assert [path.name for path in first.path.parent.iterdir()] == ["1"]
    assert export(tmp_path, files).path.name == "2"


def test_the_highest_version_is_found_by_number_rather_than_by_text(tmp_path, files):
    first = export(tmp_path, files).path
    first.rename(first.with_name("9"))
    assert export(tmp_path, files).path.name == "10"
    assert is_export(first.parent)
    assert ExportedModel(first.parent).answer(files[:1], Files(tuple(files[:1])))


def test_a_saved_model_that_kft_did_not_export_is_refused(tmp_path, files):
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    with pytest.raises(ExportError, match="not a kft export"):
        ExportedModel(tmp_path / "other")


def test_a_file_that_is_not_a_picture_is_named_among_many(tmp_path, files):
    exported = export(tmp_path, files)
    (tmp_path / "no.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing")
    files = [*files, str(tmp_path / "no.png")]
    with pytest.raises(DataError, match=r"no\.png"):
        ExportedModel(exported.path).answer(files, Files(tuple(files)))


def test_numbers_are_served_in_float64_to_a_fraction_of_their_deviation(tmp_path, files):
    times = 1.7e9 + np.array([[0.0], [300.0], [600.0]])
    head = make_head(HeadConfig(), find_task("number"), ("time",), times)
    model, decoder = tiny_model(1), ImageDecoder(16, 16)
    exported = export_served(ServedModel(model, head, decoder), tmp_path / "t", files, {})
    served = tf.saved_model.load(str(exported.path))
    decoded = [decoder(tf.io.read_file(file))["pixels"] for file in files]
    pixels = tf.stack([tf.cast(picture, tf.float32) for picture in decoded])
    numbers = served.signatures["pixels"](pixels=pixels)["numbers"].numpy()
    assert numbers.dtype == np.float64
    outputs = np.asarray(model({"pixels": pixels})).astype(np.float64)
    expected = outputs * head.deviations + head.means
    assert np.abs(numbers - expected).max() < 0.01
    assert np.abs(numbers - numbers.astype(np.float32)).max() > 1, "float32 would not do"
    standardised = served.signatures["standardised"](pixels=pixels)["standardised"]
    assert np.allclose(head.restore_units(standardised.numpy()), numbers, atol=0.01)


def test_answers_of_an_export_are_formatted_with_enough_digits_to_distinguish_them(tmp_path, files):
    head = make_head(
        HeadConfig(), find_task("number"), ("lat",), 48 + np.array([[0.0], [5e-4], [1e-3]])
    )
    card = {"head": head.describe()}
    model = ServedModel(tiny_model(1), head, ImageDecoder(16, 16))
    exported = export_served(model, tmp_path / "t", files, card)
    answers = ExportedModel(exported.path).answer(files, Files(tuple(files)))
    written = {answer.format("lat") for answer in answers}
    assert len(written) == len(files)
    assert all(text.startswith("48.00") or text.startswith("47.99") for text in written)


@pytest.mark.parametrize(("kind", "signature"), [("class", "pixels"), ("number", "standardised")])
def test_litert_converts_the_signature_of_an_export_that_takes_pixels(
    tmp_path, files, kind, signature
):
    path = str(export(tmp_path, files, kind).path)
    converter = tf.lite.TFLiteConverter.from_saved_model(path, signature_keys=[signature])
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter
    ask = interpreter(model_content=converter.convert()).get_signature_runner(signature)
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 3)).astype(np.float32)
    served = tf.saved_model.load(path).signatures[signature](pixels=tf.constant(pixels))
    name = "probabilities" if kind == "class" else "standardised"
    np.testing.assert_allclose(ask(pixels=pixels)[name], served[name], atol=1e-5)


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
def test_an_export_to_a_full_disk_says_so_and_leaves_nothing(
    failure, words, tmp_path, files, monkeypatch
):
    def fail(served, path):
        raise failure

    monkeypatch.setattr(ServedModel, "save", fail)
    with pytest.raises(StorageError, match=rf"the export failed\. /srv/models.* {words}"):
        export(tmp_path, files)
    assert not list((tmp_path / "saved_models").rglob("*"))
