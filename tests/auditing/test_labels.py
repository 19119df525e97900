"""Labels that a probe on unseen pictures doubts are found."""

from __future__ import annotations

import numpy as np
import pytest

from kft.auditing.labels import find_label_problems, predict_out_of_fold


@pytest.fixture
def clusters() -> tuple[np.ndarray, np.ndarray]:
    """Make vectors (240, 8) around three centres, and their classes."""
    rng = np.random.default_rng(0)
    classes = np.arange(240) % 3
    centres = 5 * np.eye(3, 8)
    return (centres[classes] + rng.normal(size=(240, 8))).astype(np.float32), classes


def test_probabilities_are_of_a_probe_that_has_not_seen_the_picture(clusters):
    vectors, classes = clusters
    probabilities = predict_out_of_fold(vectors, classes, 3)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (probabilities.argmax(axis=1) == classes).mean() > 0.9
    # One picture's own label moves nothing of its own answer.
    changed = classes.copy()
    changed[5] = (classes[5] + 1) % 3
    other = predict_out_of_fold(vectors, changed, 3)
    assert other[5].argmax() == classes[5]


def test_swapped_labels_are_ranked_first(clusters, make_pictures):
    vectors, classes = clusters
    swapped = [4, 50, 111, 200]
    classes = classes.copy()
    classes[swapped] = (classes[swapped] + 1) % 3
    pictures = make_pictures(classes=classes, class_names=("cat", "dog", "owl"))
    findings, skipped = find_label_problems(
        pictures, predict_out_of_fold(vectors, classes, 3), "small_cnn"
    )
    assert not skipped
    (finding,) = findings
    assert (finding.kind, finding.severity) == ("label_problems", "warning")
    assert {file.name for file in finding.files[:4]} == {f"{i:04d}.jpg" for i in swapped}
    assert len(finding.files) < 15
    assert finding.files[0].note.startswith("labelled ")


def test_labels_that_are_believed_are_no_finding(make_pictures):
    pictures = make_pictures()
    sure = np.where(np.eye(2, dtype=bool)[pictures.classes], 0.9, 0.1)
    assert find_label_problems(pictures, sure, "small_cnn") == ((), "")


def test_a_class_that_is_told_less_surely_is_not_blamed(make_pictures):
    """Northcutt's thresholds: 0.55 is a usual confidence for dogs, but not for cats."""
    pictures = make_pictures()
    probabilities = np.where(pictures.classes[:, None] == 0, [0.95, 0.05], [0.45, 0.55])
    probabilities[0] = [0.40, 0.60]
    probabilities[1] = [0.60, 0.40]
    findings, _ = find_label_problems(pictures, probabilities, "small_cnn")
    assert [file.name for file in findings[0].files] == ["0000.jpg"]


def test_where_a_class_is_told_very_surely_an_answer_need_not_be_surer_still(make_pictures):
    pictures = make_pictures()
    probabilities = np.where(np.eye(2, dtype=bool)[pictures.classes], 0.99, 0.01)
    probabilities[0] = [0.15, 0.85]
    findings, _ = find_label_problems(pictures, probabilities, "small_cnn")
    assert [file.name for file in findings[0].files] == ["0000.jpg"]


def test_features_that_tell_no_class_judge_no_label(make_pictures):
    pictures = make_pictures()
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([1, 1], len(pictures))
    findings, skipped = find_label_problems(pictures, probabilities, "small_cnn")
    assert findings == ()
    assert "no better than guessing (50%)" in skipped


def test_copies_are_left_out_together(clusters):
    """A copy with the same wrong label would confirm it."""
    vectors, classes = clusters
    copies = np.repeat(vectors[:1], 60, axis=0)
    vectors = np.concatenate([vectors, copies])
    wrong = np.concatenate([classes, np.full(60, (classes[0] + 1) % 3)])
    alike = [[0, *range(240, 300)]]
    alone = predict_out_of_fold(vectors, wrong, 3)
    together = predict_out_of_fold(vectors, wrong, 3, alike=alike)
    assert together[240, classes[0]] > 0.5 > alone[240, classes[0]]
