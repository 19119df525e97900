"""Detection: assignment, loss, answers and figures of boxes."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kft.config import TrainingConfig
from kft.errors import ConfigError
from kft.tasks.detection.answers import choose_answers, find_hits
from kft.tasks.detection.assignment import assign
from kft.tasks.detection.decoding import MOST_ANSWERS, find_answers
from kft.tasks.detection.doubts import list_doubts
from kft.tasks.detection.figures import BoxFigures
from kft.tasks.detection.head import DetectionHead, measure_boxes, place_in_file
from kft.tasks.detection.losses import DetectionLoss
from kft.tasks.detection.points import BoxDecoder, standard_boxes
from kft.tasks.detection.task import Detection
from kft.tasks.detection.weights import balanced_weights

GRIDS = ((8, 8), (4, 4), (2, 2))
STANDARD = standard_boxes(GRIDS)
GONE = [-1.0] * 5


def make_logits(num_classes=2, batch=1):
    """Make the output of a model that answers its standard boxes, each unlikely."""
    corrections = np.zeros((batch, len(STANDARD), 4), np.float32)
    boxes = np.asarray(BoxDecoder(GRIDS)(corrections))
    classes = np.full((batch, len(STANDARD), num_classes), -8.0, np.float32)
    return np.concatenate([classes, boxes], axis=-1)


def pad(rows, length=4):
    return np.array([[*rows, *[GONE] * (length - len(rows))]], np.float32)


def answer_perfectly(targets, num_classes=2):
    logits = make_logits(num_classes, len(targets))
    assigned = assign(targets, logits[..., -4:])
    positive = np.asarray(assigned.is_positive)
    codes = np.asarray(assigned.codes)[positive]
    logits[..., num_classes : num_classes + 4][positive] = np.asarray(assigned.boxes)[positive]
    where = np.nonzero(positive)
    logits[(*where, codes)] = 8.0
    return logits


def test_standard_boxes_are_four_cells_around_the_centres():
    assert len(STANDARD) == 64 + 16 + 4
    centres = (STANDARD[:, :2] + STANDARD[:, 2:]) / 2
    assert centres[:2] == pytest.approx(np.array([[1, 1], [3, 1]]) / 16)
    assert (STANDARD[:, 2:] - STANDARD[:, :2])[[0, 64, 80]].tolist() == [
        [0.5, 0.5],
        [1, 1],
        [2, 2],
    ]


def test_every_box_has_a_point_near_its_centre_on_the_map_of_its_size():
    rows = [[0, 0.1, 0.1, 0.45, 0.45], [1, 0, 0, 1, 1], [1, 0.7, 0.7, 0.71, 0.72], GONE]
    assigned = assign(np.array([rows], np.float32), STANDARD[np.newaxis])
    positive, boxes = np.asarray(assigned.is_positive)[0], np.asarray(assigned.boxes)[0]
    maps = np.repeat([0, 1, 2], [64, 16, 4])
    for row in rows[:3]:
        own = positive & (np.abs(boxes - row[1:]).max(axis=-1) < 1e-6)
        assert own.any(), row
        centres = (STANDARD[own, :2] + STANDARD[own, 2:]) / 2
        middle = np.array([(row[1] + row[3]) / 2, (row[2] + row[4]) / 2])
        assert (np.abs(centres - middle) <= 1.5 / np.array([8, 4, 2])[maps[own], None]).all()
    whole = positive & (np.abs(boxes - rows[1][1:]).max(axis=-1) < 1e-6)
    assert set(maps[whole]) == {1}
    assert set(np.asarray(assigned.codes)[0][positive]) == {0, 1}


@pytest.mark.parametrize("grids", [((8, 8),), ((4, 4), (2, 2)), GRIDS])
def test_every_box_alone_has_a_point_whatever_its_place_and_size(grids):
    rng = np.random.default_rng(0)
    start, size = rng.uniform(0, 0.9, (300, 2)), rng.uniform(0.002, 1, (300, 2))
    sides = np.c_[start, np.minimum(start + size, 1.0)]
    targets = np.c_[np.zeros(300), sides].astype(np.float32)[:, np.newaxis]
    assigned = assign(targets, np.repeat(standard_boxes(grids)[np.newaxis], 300, 0))
    assert np.asarray(assigned.is_positive).any(axis=1).all()


def test_an_example_without_boxes_has_no_point_to_answer():
    assigned = assign(pad([]), STANDARD[np.newaxis])
    assert not np.asarray(assigned.is_positive).any()


def test_the_loss_of_an_example_does_not_depend_on_its_batch():
    targets = np.concatenate([pad([[0, 0.1, 0.1, 0.5, 0.4]]), pad([]), pad([[1, 0, 0, 1, 1]])])
    logits = make_logits(batch=3) + np.random.default_rng(0).normal(0, 0.1, (3, 84, 10))
    logits = logits.astype(np.float32)
    logits[..., -4:] = STANDARD
    loss = DetectionLoss()
    together = np.asarray(loss.call(targets, logits))
    alone = [np.asarray(loss.call(targets[i : i + 1], logits[i : i + 1]))[0] for i in range(3)]
    assert together == pytest.approx(alone, rel=1e-5)


def test_the_loss_falls_to_nothing_as_answers_become_perfect():
    targets = pad([[0, 0.1, 0.1, 0.5, 0.4], [1, 0.4, 0.3, 0.9, 0.95]])
    loss = DetectionLoss()
    bad, good = float(loss(targets, make_logits())), float(loss(targets, answer_perfectly(targets)))
    assert good < 1e-3 < 1 < bad
    assert float(loss(pad([]), make_logits())) < 1e-3


def test_a_class_weight_multiplies_the_loss_of_the_points_of_its_class():
    targets = pad([[1, 0.1, 0.1, 0.5, 0.4]])
    plain, weighted, other = (
        float(DetectionLoss(weights)(targets, make_logits()))
        for weights in ((), (1.0, 3.0), (3.0, 1.0))
    )
    assert weighted == pytest.approx(3 * plain, rel=1e-2)
    assert other == pytest.approx(plain, rel=1e-5)


def test_balanced_weights_make_the_boxes_of_all_classes_count_alike():
    targets = np.concatenate([pad([[0, 0, 0, 1, 1]] * 3), pad([[1, 0, 0, 1, 1]])])
    assert balanced_weights(("a", "b"), targets) == pytest.approx((4 / 6, 2.0))


def test_answers_are_the_true_boxes_once_each_and_padded():
    targets = pad([[0, 0.1, 0.1, 0.5, 0.4], [1, 0.4, 0.3, 0.9, 0.95]])
    answers = np.asarray(find_answers(answer_perfectly(targets)))[0]
    assert answers.shape == (MOST_ANSWERS, 6)
    chosen = choose_answers(answers)
    assert sorted(chosen[:, 0].tolist()) == [0, 1]
    for row in chosen:
        assert row[1:5] == pytest.approx(targets[0, int(row[0]), 1:], abs=1e-6)
    rest = answers[answers[:, 0] < 0]
    assert not rest[:, 1:].any()


def test_answers_have_a_place_in_the_file():
    # A picture of 400 x 200 in the middle of a square frame.
    frame = np.array([[200, 400, -0.5, 0.0, 1.5, 1.0]], np.float32)
    sides = np.array([[[0.25, 0.25, 0.5, 0.75], [0.0, 0.0, 1.0, 0.5]]], np.float32)
    placed = np.asarray(place_in_file(sides, frame, in_pixels=True))[0]
    assert placed == pytest.approx(np.array([[100, 0, 200, 200], [0, 0, 400, 100]]), abs=1e-3)


def test_a_head_reads_the_three_coarsest_strides_and_refuses_a_hidden_backbone():
    head = DetectionHead(("a",))
    levels = {"stem": 2, "block1": 4, "block2": 8, "block3": 16, "tail": 32}
    assert head.read_levels(levels, (320, 320)).levels == ("block2", "block3", "tail")
    with pytest.raises(ConfigError, match="hides them"):
        head.read_levels({}, (320, 320))


@pytest.mark.parametrize("shapes", [((8, 8), (4, 4), (2, 2)), ((19, 10), (10, 5)), ((12, 12),)])
def test_a_pyramid_answers_at_every_cell_of_maps_of_any_size(shapes):
    names = tuple(f"block{i}" for i in range(len(shapes)))
    head = DetectionHead(("a", "b"), levels=names)
    maps = {
        name: keras.Input((*shape, 6), name=name) for name, shape in zip(names, shapes, strict=True)
    }
    model = keras.Model(maps, head.build(maps))
    num_points = sum(height * width for height, width in shapes)
    coarser = -(-shapes[-1][0] // 2) * -(-shapes[-1][1] // 2) if min(shapes[-1]) > 4 else 0
    assert model.output_shape == (None, num_points + coarser, 10)
    logits = model(
        {name: np.ones((2, *tuple(each.shape[1:])), np.float32) for name, each in maps.items()}
    )
    scores = np.asarray(keras.ops.sigmoid(logits[..., :2]))
    assert scores == pytest.approx(0.01, abs=1e-6)


def make_case(rng, num_examples, num_classes):
    """Make true boxes, and answers of which some are near them."""
    targets = np.full((num_examples, 6, 5), -1.0)
    outputs = np.full((num_examples, 20, 6), -1.0)
    for place in range(num_examples):
        count, given = rng.integers(0, 7), rng.integers(0, 21)
        start, size = rng.uniform(0, 0.7, (count, 2)), rng.uniform(0.01, 0.3, (count, 2))
        codes = rng.integers(0, num_classes, count)
        targets[place, :count] = np.c_[codes, start, start + size]
        near = targets[place, rng.integers(0, max(count, 1), given)]
        boxes = np.abs(near[:, 1:] + rng.normal(0, 0.02, (given, 4)))
        boxes = np.c_[
            np.minimum(boxes[:, :2], boxes[:, 2:]), boxes.max(axis=1, keepdims=True) + 0.01
        ]
        boxes = np.c_[boxes, boxes[:, 2:3]] if boxes.shape[1] == 3 else boxes
        kinds = np.where(rng.random(given) < 0.8, np.abs(near[:, 0]), rng.integers(0, num_classes))
        scores = np.sort(np.round(rng.random(given), 2))[::-1]
        outputs[place, :given] = np.c_[kinds, boxes, scores]
    return targets, outputs


REFERENCE_KEYS = (
    *("average_precision", "average_precision_50", "average_precision_75"),
    *("average_precision_small", "average_precision_medium", "average_precision_large"),
)


def evaluate_by(module, evaluator, targets, outputs, num_classes):
    """Compute the figures by another program, in a picture of 640 x 640."""
    truth, results = [], []
    for place, (target, output) in enumerate(zip(targets, outputs, strict=True), 1):
        for rows, found in ((target, truth), (output, results)):
            for row in rows[rows[:, 0] >= 0]:
                left, top, right, bottom = row[1:5] * 640
                box = [left, top, right - left, bottom - top]
                stated = {"image_id": place, "category_id": int(row[0]) + 1, "bbox": box}
                score = {"score": row[5]} if len(row) > 5 else {"id": len(found) + 1, "iscrowd": 0}
                found.append({**stated, **score, "area": box[2] * box[3]})
    gt = module()
    gt.dataset = {
        "images": [{"id": i + 1, "width": 640, "height": 640} for i in range(len(targets))],
        "annotations": truth,
        "categories": [{"id": i + 1, "name": str(i)} for i in range(num_classes)],
    }
    gt.createIndex()
    judged = evaluator(gt, gt.loadRes(results), "bbox")
    judged.evaluate()
    judged.accumulate()
    judged.summarize()
    return [judged.stats[i] for i in (*range(6), 8)]


@pytest.mark.parametrize("program", ["pycocotools", "faster_coco_eval"])
@pytest.mark.parametrize("seed", range(3))
def test_figures_equal_those_of_other_programs(program, seed, capsys):
    if program == "pycocotools":
        coco = pytest.importorskip("pycocotools.coco").COCO
        evaluator = pytest.importorskip("pycocotools.cocoeval").COCOeval
    else:
        faster = pytest.importorskip("faster_coco_eval")
        coco, evaluator = faster.COCO, faster.COCOeval_faster
    rng = np.random.default_rng(seed)
    targets, outputs = make_case(rng, (3, 12, 40)[seed], seed + 1)
    names = [str(i) for i in range(seed + 1)]
    figures = BoxFigures().compute(targets, outputs, names, targets)
    expected = evaluate_by(coco, evaluator, targets, outputs, seed + 1)
    own = [figures[key] for key in (*REFERENCE_KEYS, "average_recall")]
    assert [-1 if each is None else each for each in own] == pytest.approx(expected, abs=1e-6)


def test_perfect_answers_have_perfect_figures_and_a_loss_near_zero():
    targets, _ = make_case(np.random.default_rng(0), 12, 2)
    scores = np.where(targets[..., :1] >= 0, 0.999, -1.0)
    outputs = np.concatenate([targets, scores], axis=-1)
    figures = BoxFigures().compute(targets, outputs, ["a", "b"], targets)
    assert figures["average_precision"] == pytest.approx(1.0)
    assert (figures["shown_precision"], figures["shown_recall"]) == (1.0, 1.0)
    assert figures["baseline_average_precision_50"] < 0.2
    assert BoxFigures().example_losses(outputs, targets).max() < 0.01
    for row in targets:
        boxes = row[row[:, 0] >= 0]
        found, right = find_hits(boxes, np.c_[boxes, np.full(len(boxes), 0.9)])
        assert found.all() and right.all()


def test_the_loss_grows_with_missed_and_with_false_boxes():
    target = np.array([[0, 0.1, 0.1, 0.5, 0.5], [0, 0.6, 0.6, 0.9, 0.9]])
    right = np.c_[target, [0.9, 0.9]]
    missed, false = right[:1], np.r_[right, [[0, 0.1, 0.6, 0.3, 0.9, 0.9]]]
    losses = [
        BoxFigures().example_losses(each[np.newaxis], target[np.newaxis])[0]
        for each in (right, missed, false)
    ]
    assert losses[0] < 0.2 < losses[1]
    assert losses[0] < losses[2]


def test_an_evaluation_without_boxes_or_answers_has_no_figures():
    targets, outputs = np.full((3, 1, 5), -1.0), np.full((3, 1, 6), -1.0)
    figures = BoxFigures().compute(targets, outputs, ["a"], targets)
    assert figures["average_precision"] is None
    assert figures["not_judged"] == ["a"]
    assert "AP50 0" in BoxFigures().headline(figures)


def test_weights_of_unknown_classes_are_refused():
    training = TrainingConfig(class_weights={"cta": 2.0})
    assert "no class 'cta'" in next(Detection().refuse(training, ("cat", "dog")))


def test_boxes_are_compared_in_any_order_and_without_the_least_sure():
    expected = np.array(
        [[[0, 10, 10, 50, 50, 0.9], [1, 20, 20, 80, 90, 0.9], [1, 0, 0, 5, 5, 0.02]]]
    )
    swapped = expected[:, [1, 0, 2]]
    swapped[0, 2] = [-1, 0, 0, 0, 0, 0]
    assert measure_boxes(swapped, expected) == pytest.approx([0])
    moved = expected.copy()
    moved[0, 0, 1] += 5
    assert measure_boxes(moved, expected) == pytest.approx([0.005])
    assert measure_boxes(expected[:, :1], expected) > 0.01
    moved[0, 0, 5] = np.nan
    assert np.isnan(measure_boxes(moved, expected)).all()


def test_boxes_that_are_probably_missing_or_wrong_are_listed():
    target = np.array([[[0, 0, 0, 0.3, 0.3], [0, 0.6, 0.6, 0.9, 0.9], [1, 0.6, 0, 0.9, 0.3]]])
    output = np.array(
        [
            [
                [0, 0, 0, 0.3, 0.3, 0.9],
                [0, 0.6, 0, 0.9, 0.31, 0.8],
                [1, 0, 0.6, 0.3, 0.9, 0.7],
                [-1, 0, 0, 0, 0, 0],
            ]
        ]
    )
    header, *rows = list_doubts(("a", "b"), ["x"], target, output)
    assert [row[:4] for row in rows] == [
        ["x", "missing", "", "b"],
        ["x", "nothing there", "a", ""],
        ["x", "another class", "b", "a"],
    ]
    assert {len(row) for row in rows} == {len(header)}
