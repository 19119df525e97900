"""A head says which parts of its answers are explained."""

import numpy as np
import pytest

from kft.modalities import load_modality
from kft.modalities.explained import ExplainedExample
from kft.modalities.video.input_spec import VideoSpec
from kft.tasks.classification.head import ClassificationHead
from kft.tasks.detection.head import DetectionHead
from kft.tasks.multilabel.head import MultilabelHead
from kft.tasks.regression.head import RegressionHead
from kft.tasks.segmentation.head import SegmentationHead


def test_a_class_is_explained_against_the_mean_of_all():
    head = ClassificationHead(("a", "b", "c"))
    (part,) = head.find_explained(np.array([0.2, 0.7, 0.1]))
    assert (part.name, part.value) == ("b", 0.7)
    logits = np.array([[1.0, 3.0, 2.0]], np.float32)
    assert float(head.score(logits, part.direction[np.newaxis])[0]) == pytest.approx(1.0)


def test_every_label_that_is_chosen_is_explained_or_the_most_probable():
    head = MultilabelHead(("wet", "dark", "new"))
    assert [part.name for part in head.find_explained(np.array([0.6, 0.1, 0.9]))] == ["new", "wet"]
    assert [part.name for part in head.find_explained(np.array([0.3, 0.1, 0.2]))] == ["wet"]


def test_a_number_is_explained_by_its_distance_from_the_mean_of_training():
    head = RegressionHead(("age",), means=(40.0,), deviations=(10.0,))
    (part,) = head.find_explained(np.array([-1.5], np.float32))
    assert part.value == pytest.approx(25.0)
    assert float(head.score(np.array([[-1.5]], np.float32), part.direction[np.newaxis])[0]) == 1.5


def test_each_class_of_a_mask_is_explained_where_it_was_answered():
    head = SegmentationHead(("road", "sky"), size=(2, 2))
    outputs = np.array([[[0.9, 0.1], [0.8, 0.2]], [[0.3, 0.7], [0.6, 0.4]]], np.float32)
    road, sky = head.find_explained(outputs)
    assert (road.value, sky.value) == (0.75, 0.25)
    logits = np.zeros((1, 2, 2, 2), np.float32)
    logits[0, 1, 0] = [1.0, 5.0]
    assert float(head.score(logits, sky.direction[np.newaxis])[0]) == pytest.approx(2.0)
    assert float(head.score(logits, road.direction[np.newaxis])[0]) == 0.0


def test_the_surest_box_of_each_class_is_explained():
    head = DetectionHead(("cell", "platelet"))
    outputs = np.array(
        [[1, 0, 0, 1, 1, 0.9], [1, 0, 0, 1, 1, 0.6], [-1, 0, 0, 0, 0, 0]], np.float32
    )
    (part,) = head.find_explained(outputs)
    assert part.name == "platelet" and part.value == pytest.approx(0.9)
    logits = np.zeros((1, 3, 10), np.float32)
    logits[0, :, 1] = [-2.0, 4.0, 1.0]
    assert float(head.score(logits, part.direction[np.newaxis])[0]) == 4.0


def test_a_clip_is_explained_over_its_frames():
    spec = VideoSpec(6, 8, 8)
    clip = np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3)).astype(np.float32)
    parts = spec.find_parts({"clip": clip}, (6, 8, 8))
    assert parts.max() + 1 == 6 * 4 * 4
    assert np.unique(spec.make_neutral({"clip": clip})["clip"]).tolist() == [127.5]
    values = np.zeros((6, 8, 8))
    values[4, 2:4, 2:4] = 1.0
    modality = load_modality("video")
    example = ExplainedExample({"clip": clip}, clip, parts)
    assert modality.draw_explanation(spec, example, values).startswith(b"\x89PNG")
    assert modality.describe_explanation(spec, example, values) == (
        "most at frame 67 to 83 %, height 25 to 50 %, width 25 to 50 %"
    )
