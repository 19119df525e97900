"""Decisions about a phase on folds, and the batches that leave out a fold until it is judged."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace

import keras
import numpy as np
import pytest

from kft import training
from kft.config import TrainingConfig
from kft.model import HEAD
from kft.optimization import seed_everything
from kft.runs.unseen_answers import UnseenAnswers, read_unseen
from kft.selection.blends import Blend
from kft.selection.comparison import Comparison
from kft.statistics import Difference
from kft.strategies.phases import Folds, Solve
from kft.training import PhaseReport, temperature
from kft.training.budget import Clock
from kft.training.fold_decision import BlendJudge, FoldDecision
from kft.training.fold_heads import FoldHeads

CONFIG = TrainingConfig(global_batch_size=8, clip_norm=None)
HOPELESS = 1e38
BOTH = ("train", "validation")


@pytest.fixture
def start(assemble_tiny, make_compiler, make_phase, tmp_path, display, restored_globals):
    """Function that solves a probe; returns compiler, phase with folds, probe, and report."""

    def begin(*rates: float, steps: int = 8):
        seed_everything(0)
        keras.utils.set_random_seed(0)
        assembled = assemble_tiny()
        solved = make_phase("linear_probe", recipe=Solve(), learns_from=BOTH)
        folds = Folds(rates, steps=2, judged_after=steps - 2, count=4)
        phase = make_phase("deep", "stage4", HEAD, steps=steps, learns_from=BOTH, folds=folds)
        phase = phase.at_rate(rates[0])
        compiler = make_compiler(assembled, (solved, phase), CONFIG)
        report = PhaseReport(tmp_path / "probe", "Phase 1 of 2", display)
        probe = training.run_phase(compiler, solved, report)
        probe.facts["solution"]["score"] = 0.8
        return compiler, phase, probe, PhaseReport(tmp_path / "deep", "Phase 2 of 2", display)

    return begin


def bits(compiler) -> list[bytes]:
    return [variable.numpy().tobytes() for variable in compiler.assembled.model.variables]


def test_a_phase_that_no_rate_helps_is_skipped_bit_for_bit(start, tmp_path, display):
    compiler, phase, probe, report = start(HOPELESS, 3.0)
    before = bits(compiler)
    fitted = training.run_phase(compiler, phase, report, before=probe)
    assert bits(compiler) == before
    assert fitted.is_undone
    assert fitted.steps_done == 0
    written = json.loads((tmp_path / "deep/phase.json").read_text())
    tried = written["short_runs"]["tried"]
    assert [run["learning_rate"] for run in tried] == [HOPELESS, 3.0]
    assert tried[0]["blend"] is None
    assert tried[1]["blend"]["share"] == 0
    assert "2 short runs of 2 steps did not improve on the probe" in display.console.file.getvalue()


@pytest.mark.parametrize(("score", "is_needless"), [(0.99, False), (0.996, True), (1.0, True)])
def test_a_probe_that_is_almost_always_right_is_not_fine_tuned(
    start, monkeypatch, score, is_needless
):
    compiler, phase, probe, report = start(1e-3)
    probe.facts["solution"]["score"] = score
    monkeypatch.setattr(FoldDecision, "choose", lambda *_: None)
    monkeypatch.setattr(compiler, "compile", lambda phase: pytest.fail("compiled"))
    if is_needless:
        assert training.run_phase(compiler, phase, report, before=probe).is_undone
    else:
        with pytest.raises(pytest.fail.Exception, match="compiled"):
            training.run_phase(compiler, phase, report, before=probe)


def blend_of(share: float) -> Blend:
    unchanged = Difference(gain=0.0, low=0.0, high=0.0)
    return Blend(share, {}, Comparison(unchanged, unchanged, 20, is_better=False))


@pytest.mark.parametrize("share", [0.25, pytest.param(0.0, marks=pytest.mark.full)])
def test_the_last_fold_decides_share_and_temperature(start, monkeypatch, tmp_path, share):
    compiler, phase, probe, report = start(1e-3)
    before = bits(compiler)
    monkeypatch.setattr(FoldDecision, "choose", lambda *_: phase.at_rate(1e-2))
    judged: list[int] = []

    def judge(self, compiled, start, held):
        judged.append(int(compiled.model.optimizer.iterations))
        return blend_of(share), UnseenAnswers(0.1 + 0.7 * np.eye(3), np.arange(3))

    monkeypatch.setattr(temperature, "find_temperature", lambda *_: 2.0)
    monkeypatch.setattr(FoldDecision, "_judge", judge)
    monkeypatch.setattr(Blend, "__str__", lambda blend: f"share {blend.share:g}")
    monkeypatch.setattr(Blend, "describe", lambda blend: {"share": blend.share})
    fitted = training.run_phase(compiler, phase, report, before=probe)
    assert judged == [6]
    written = json.loads((tmp_path / "deep/phase.json").read_text())
    assert (written["learning_rate"], written["blend"]["share"]) == (1e-2, share)
    assert written["comparison"]["examples"] == 20
    assert fitted.steps_done == (8 if share else 6)
    assert fitted.is_undone == (share == 0)
    assert fitted.temperature == (2.0 if share else None)
    unseen = read_unseen(tmp_path / "deep")
    assert (unseen is None) == (share == 0)
    if unseen is not None:
        # Twice as warm: .8 and .1 have the ratio of their square roots.
        assert unseen.outputs[0, 0] == pytest.approx(0.8**0.5 / (0.8**0.5 + 2 * 0.1**0.5))
    assert (bits(compiler) == before) == (share == 0)


def test_folds_cover_all_examples_and_their_probes_have_not_seen_them(start):
    compiler, phase, probe, _ = start(1e-3)
    heads = FoldHeads(compiler, probe, phase.folds.count)
    assert heads.count == 4
    assert len(heads.folds) == len(compiler.feed.examples(phase))
    layer = compiler.assembled.model.get_layer("logits")
    kernels = [layer.kernel.numpy()]
    for fold in range(2):
        heads.put(fold)
        kernels.append(layer.kernel.numpy())
    assert not any(np.array_equal(kernels[0], other) for other in kernels[1:])
    assert not np.array_equal(*kernels[1:])


def test_the_batches_leave_out_a_fold_until_it_is_judged(start):
    compiler, phase, probe, report = start(1e-3)
    compiled = compiler.compile(phase)
    judge, batches = FoldDecision(compiler, phase, probe, report).begin(compiled)
    assert len(list(batches(0))) == len(list(batches(3))) + 3
    whole, folded = (list(make(6)) for make in (compiled.given.train, batches))
    assert np.array_equal(whole[0][1], folded[0][1])
    assert not judge.facts
    held = np.flatnonzero(FoldHeads(compiler, probe, 4).folds == 1)
    feed = compiler.feed.for_folds(phase)
    answered = np.concatenate([targets for _, targets in feed.in_order(held)])
    assert np.array_equal(answered, compiler.feed.examples(phase).targets[held])
    compiled.discard()


def test_a_judge_counts_on_after_a_resumption_and_judges_once():
    calls: list[int] = []

    def find():
        calls.append(1)
        return blend_of(0.5), None

    first, second = BlendJudge(find, 3), BlendJudge(find, 3)
    first.on_train_batch_end(0)
    second.unpack(*first.pack())
    assert second.pack()[0] == {"steps_left": 2, "facts": {}}


# The budget


def test_without_time_nothing_is_tried_and_the_run_says_so(start, display):
    compiler, phase, probe, report = start(1e-3)
    before = bits(compiler)
    compiler.clock.earlier_seconds = 100.0
    fitted = training.run_phase(
        compiler,
        replace(phase, folds=replace(phase.folds, budget_seconds=60.0)),
        report,
        before=probe,
    )
    assert bits(compiler) == before
    assert fitted.is_undone
    assert fitted.facts["left_out"] == "learning rate 0.001 and fine-tuning"
    assert fitted.facts["short_runs"]["tried"] == []
    assert "strategy.budget leaves out learning rate 0.001" in display.console.file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "steps", "left_out"),
    [(80.0, 8, None), (50.0, 5, "3 of 8 steps"), (10.0, None, "fine-tuning")],
)
def test_steps_without_time_are_left_out(start, monkeypatch, seconds, steps, left_out):
    compiler, phase, probe, report = start(1e-3)
    monkeypatch.setattr(FoldDecision, "_find_left", lambda _: seconds)
    facts: dict[str, str] = {}
    decision = FoldDecision(compiler, phase, probe, report)
    chosen = decision._shorten(1e-3, 10.0, facts)
    assert facts.get("left_out") == left_out
    assert (None if chosen is None else chosen.fit.steps) == steps
    if left_out and chosen:
        assert chosen.folds.judged_after == 3


def test_a_clock_counts_earlier_processes_and_keeps_a_tenth():
    clock = Clock(begun=time.monotonic() - 30, earlier_seconds=20)
    assert clock.find_left(100) == pytest.approx(40, abs=1)
    assert clock.find_left(None) == math.inf
