"""Answers to unseen examples are kept with the phase whose model gave them."""

from __future__ import annotations

import numpy as np

from kft.runs import RunDirectory
from kft.runs.unseen_answers import UnseenAnswers, read_last_unseen, read_unseen, write_unseen


def draw(count: int) -> UnseenAnswers:
    random = np.random.default_rng(count)
    return UnseenAnswers(random.random((count, 3)).astype(np.float32), np.arange(count) % 3)


def test_the_last_phase_with_unseen_answers_is_read(tmp_path):
    run = RunDirectory(tmp_path)
    assert read_last_unseen(run) is None
    probe, full = run.phase(0, "linear_probe"), run.phase(1, "fine_tune")
    for folder in (probe, full):
        folder.mkdir(parents=True)
    write_unseen(probe, draw(5))
    assert read_unseen(full) is None
    assert np.array_equal(read_last_unseen(run).outputs, draw(5).outputs)
    write_unseen(full, draw(7))
    found = read_last_unseen(run)
    assert np.array_equal(found.targets, draw(7).targets)
    assert len(found.join(draw(5)).targets) == 12


def test_of_many_answers_a_random_part_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("kft.runs.unseen_answers._MOST_BYTES", 12 * 4)
    write_unseen(tmp_path, draw(50))
    found = read_unseen(tmp_path)
    assert len(found.outputs) == len(found.targets) == 4
    for outputs, target in zip(found.outputs, found.targets, strict=True):
        (place,) = np.flatnonzero((draw(50).outputs == outputs).all(axis=1))
        assert target == place % 3
