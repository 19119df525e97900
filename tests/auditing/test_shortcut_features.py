"""Properties of the files that reveal the class are found."""

from __future__ import annotations

import numpy as np
import pytest

from kft.auditing.folds import NUM_FOLDS, deal_folds
from kft.auditing.shortcut_features import find_shortcut_features, tell_classes


def change_dogs(make_pictures, **changes: object):
    """Make sixty cats and sixty dogs, with changes of the dogs."""
    return make_pictures(120, changes=dict.fromkeys(range(1, 120, 2), changes))


def kinds(findings) -> list[tuple[str, str]]:
    return [(finding.kind, finding.severity) for finding in findings]


def test_pictures_that_differ_in_nothing_are_no_finding(make_pictures):
    assert find_shortcut_features(make_pictures(120), []) == ()


@pytest.mark.parametrize(
    ("changes", "kind", "severity", "said"),
    [
        ({"mode": "L"}, "colour_mode_tells_class", "problem", "dog: L (60 of 60 predicted)"),
        ({"format": "PNG"}, "file_format_tells_class", "problem", "dog: PNG (60 of 60 predicted)"),
        ({"width": 640}, "size_tells_class", "problem", "dog: 640 x 375 (60 of 60 predicted)"),
        (
            {"border_rgb": (255.0, 255.0, 255.0)},
            "border_colour_tells_class",
            "warning",
            "dog: #ffffff (60 of 60 predicted)",
        ),
    ],
)
def test_each_property_is_found(make_pictures, changes, kind, severity, said):
    (finding,) = find_shortcut_features(change_dogs(make_pictures, **changes), [])
    assert kinds([finding]) == [(kind, severity)]
    assert said in finding.sentence
    assert "predicts the class of 100% of the pictures" in finding.sentence
    assert len(finding.files) == 120


def test_a_mode_that_only_a_few_of_the_larger_class_have_is_found(make_pictures):
    """In a real set of chest X-rays, all healthy ones are grey, and most of the ill ones too."""
    ill = [i for i in range(400) if i % 4]
    changes = {i: {"mode": "RGB" if i in ill[::8] else "L"} for i in range(400)}
    pictures = make_pictures(400, changes=changes, classes=[int(i in set(ill)) for i in range(400)])
    (finding,) = find_shortcut_features(pictures, [])
    # The majority is right for three quarters, and so is every rule on the mode.
    assert kinds([finding]) == [("colour_mode_tells_class", "warning")]
    assert "dog: RGB (38 of 300 predicted)" in finding.sentence


def test_copies_do_not_count_as_evidence(make_pictures):
    pictures = change_dogs(make_pictures, mode="L")
    assert find_shortcut_features(pictures, [list(range(0, 120, 2)), list(range(1, 120, 2))]) == ()


def test_classes_with_too_few_pictures_are_left_out(make_pictures):
    pictures = make_pictures(classes=[0] * 30 + [1] * 4, changes={33: {"mode": "L"}})
    assert find_shortcut_features(pictures, []) == ()


def test_a_property_without_meaning_is_seldom_found():
    rng = np.random.default_rng(0)
    found = [
        tell_classes(rng.normal(size=(150, 3)), rng.integers(0, 3, 150), seed=trial)
        for trial in range(60)
    ]
    # One side of a 95 % interval: 2.5 % of 60 is 1.5.
    assert sum(telling.is_beyond_chance for telling in found) <= 5


def test_folds_spread_classes_and_keep_together_what_is_alike():
    classes = np.repeat([0, 1, 2], [50, 25, 10])
    folds = deal_folds(classes, seed=3)
    counts = np.array([np.bincount(folds[classes == i], minlength=NUM_FOLDS) for i in range(3)])
    assert (np.ptp(counts, axis=1) <= 1).all()
    alike = [[0, 60, 80], [1, 2]]
    folds = deal_folds(classes, seed=3, alike=alike)
    for places in alike:
        assert len(set(folds[places])) == 1
