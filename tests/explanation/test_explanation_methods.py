"""Methods of explanation say what an answer is known to depend on."""

import numpy as np
import pytest
from made_sets import find_mass, make_patches

from kft.explanation.checks import Deletion, compare_values, shuffled_weights
from kft.explanation.explained_model import ExplainedModel
from kft.explanation.explaining import Explainer
from kft.explanation.methods import METHODS, find_methods, resize
from kft.explanation.record import FILE, read_explanations, write_explanations
from kft.modalities import load_modality
from kft.modalities.image.input_spec import ImageSpec
from kft.tasks.classification.head import ClassificationHead


@pytest.fixture(scope="module")
def patches():
    return make_patches(2, seed=1)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("place", [0, 1])
def test_a_method_finds_the_patch_that_alone_decides(
    colour_model, make_subject, patches, name, place
):
    pixels, classes, is_patch = patches
    subject = make_subject(colour_model, {"pixels": pixels[place]}, classes[place])
    values = METHODS[name](colour_model, subject)
    assert values.shape == is_patch[place].shape
    # Hidden parts reach beyond the patch.
    assert find_mass(values, is_patch[place]) >= (0.6 if name == "occlusion" else 0.8)


def test_gradients_along_the_path_add_up_to_the_difference_of_the_scores(
    colour_model, make_subject, patches
):
    subject = make_subject(colour_model, {"pixels": patches[0][0]}, 0)
    values = METHODS["integrated gradients"](colour_model, subject)
    scores = colour_model.score(
        np.stack([subject.tensor, subject.neutral]), subject.inputs, subject.direction
    )
    assert values.sum() == pytest.approx(scores[0] - scores[1], rel=0.05)


def test_hiding_what_matters_changes_the_answer_faster_than_hiding_at_random(
    colour_model, make_subject, patches
):
    subject = make_subject(colour_model, {"pixels": patches[0][0]}, 0)
    deletion = Deletion(colour_model, subject)
    curve = deletion.trace(METHODS["occlusion"](colour_model, subject))
    assert curve.left[0] == pytest.approx(1.0) and curve.left[-1] == pytest.approx(0.0)
    assert curve.area < 0.5 * curve.random_area and curve.is_informative
    worst = deletion.trace(-METHODS["occlusion"](colour_model, subject))
    assert not worst.is_informative


def test_an_answer_that_nothing_changes_has_no_deletion_curve(colour_model, make_subject, patches):
    subject = make_subject(colour_model, {"pixels": np.full_like(patches[0][0], 127.5)}, 0)
    assert Deletion(colour_model, subject).trace(np.zeros(subject.parts.shape)) is None


def test_shuffled_weights_are_others_and_are_restored_to_the_bit(tiny_assembled):
    model = tiny_assembled.model
    before = [np.array(each.numpy()) for each in model.weights]
    with shuffled_weights(model):
        inside = [np.array(each.numpy()) for each in model.weights]
        kernels = [i for i, each in enumerate(model.weights) if each.path.endswith("kernel")]
        assert kernels and all(not np.array_equal(before[i], inside[i]) for i in kernels)
        for own, other in zip(before, inside, strict=True):
            assert np.array_equal(np.sort(own, axis=None), np.sort(other, axis=None))
    after = [np.array(each.numpy()) for each in model.weights]
    assert all(np.array_equal(own, other) for own, other in zip(before, after, strict=True))


def test_equal_explanations_are_alike_and_constant_ones_say_nothing():
    parts = np.arange(16)
    values = np.arange(16.0)
    assert compare_values(values, -values, parts) == pytest.approx(1.0)
    assert compare_values(values, values[::-1], parts) == pytest.approx(-1.0)
    assert compare_values(values, np.ones(16), parts) is None


def test_a_map_is_resized_between_the_centres_of_its_cells():
    assert resize(np.eye(2), (4, 2))[:, 0].tolist() == [1.0, 0.75, 0.25, 0.0]


def test_a_small_map_is_read_from_a_block_with_enough_cells(tiny_assembled):
    spec = tiny_assembled.backbone.input_spec
    model = ExplainedModel(tiny_assembled.model, tiny_assembled.head, spec)
    # The last one has 4 x 4 cells.
    assert tuple(model.features.shape[1:3]) == (8, 8)


def test_a_model_whose_inside_is_hidden_is_explained_without_feature_maps():
    import keras

    given = keras.Input((8, 8, 3), name="pixels")
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(given))
    logits = keras.layers.Dense(2)(keras.layers.Reshape((3,))(pooled))
    model = ExplainedModel(
        keras.Model({"pixels": given}, logits), ClassificationHead(("a", "b")), ImageSpec(8, 8)
    )
    model.__dict__["features"] = None
    methods, unavailable = find_methods(model)
    assert methods == ["integrated gradients", "occlusion"]
    assert "hidden" in unavailable["Grad-CAM"]


def test_explanations_are_written_with_overlays_and_read_again(colour_model, patches, tmp_path):
    pixels, classes, _ = patches
    explainer = Explainer(colour_model, load_modality("image"))
    ticks: list[tuple[int, int]] = []
    found = explainer.explain(
        ["red.png", "blue.png"],
        [{"pixels": each} for each in pixels],
        lambda done, total: ticks.append((done, total)),
    )
    assert [each.answer for each in found] == ["red", "blue"] and classes.tolist() == [0, 1]
    assert ticks[-1] == (4, 4)
    write_explanations(tmp_path, found)
    read = read_explanations(tmp_path)
    assert [each["file"] for each in read] == ["red.png", "blue.png"]
    for each in read:
        assert [method["method"] for method in each["methods"]] == list(METHODS)
        for method in each["methods"]:
            assert (tmp_path / method["overlay"]).read_bytes().startswith(b"\x89PNG")
            assert method["deletion"]["area"] < method["deletion"]["random_area"]
            assert method["place"].startswith("most at height ")
    write_explanations(tmp_path, found[:1])
    assert len(list(tmp_path.glob("*.png"))) == 3 and (tmp_path / FILE).is_file()
