"""The ladder is read as it was written."""

from kft.evaluation.ladder import LearningPoint, Rung, read_ladder, write_ladder


def test_the_ladder_and_the_learning_curve_are_read_as_written(tmp_path):
    rungs = (Rung("k-NN", 0.8), Rung("linear probe", 0.9, (0.85, 0.95), 2.5))
    points = (LearningPoint(10, 0.4, 0.05), LearningPoint(20, 0.3, 0.04))
    assert read_ladder(tmp_path) == ((), ())
    write_ladder(tmp_path, rungs)
    assert read_ladder(tmp_path) == (rungs, ())
    write_ladder(tmp_path, rungs, points)
    assert read_ladder(tmp_path) == (rungs, points)
