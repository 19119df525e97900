"""Trials of a phase's candidates and the choice among them."""

import math

import pytest
from phases import changed, phase_of

from kft.selection.averaging import ValidationScore
from kft.selection.blends import Blend
from kft.selection.candidates import (
    TriedCandidate,
    choose,
    differ_in_rate,
    name_candidates,
    try_in_turn,
)
from kft.selection.comparison import Comparison
from kft.statistics import Difference
from kft.strategies import Phase
from kft.strategies.phases import Choice

PHASE = phase_of("deep", ("stage4", "head"), 0.1, 8, 4)
RATES = tuple(PHASE.at_rate(rate) for rate in (0.1, 0.01, 0.001))


def trials(*outcomes: tuple[float, float] | None, is_sequential: bool) -> list[TriedCandidate]:
    """Try RATES with these outcomes: share of the best blend, and its loss; None diverged."""
    found = dict(zip([each.fit.learning_rate for each in RATES], outcomes, strict=True))

    def try_one(candidate: Phase) -> TriedCandidate:
        outcome = found[candidate.fit.learning_rate]
        if outcome is None:
            return TriedCandidate(candidate, ValidationScore(math.inf, None))
        share, loss = outcome
        score = ValidationScore(loss, 0.5)
        unchanged = Difference(gain=0.0, low=0.0, high=0.0)
        comparison = Comparison(unchanged, unchanged, 20, is_better=False)
        return TriedCandidate(candidate, score, Blend(share, {share: score}, comparison))

    return try_in_turn(RATES, try_one, is_sequential=is_sequential)


@pytest.mark.parametrize(
    ("is_sequential", "num_tried", "chosen"), [(True, 2, RATES[1]), (False, 3, RATES[2])]
)
def test_sequential_trials_choose_the_first_promising_and_others_the_lowest_loss(
    is_sequential, num_tried, chosen
):
    tried = trials(None, (0.25, 0.7), (1.0, 0.3), is_sequential=is_sequential)
    assert len(tried) == num_tried
    assert choose(tried, is_sequential=is_sequential).candidate is chosen


def test_without_a_promising_candidate_the_lowest_loss_is_chosen():
    tried = trials((0.0, 0.9), (0.0, 0.5), (0.0, 0.7), is_sequential=True)
    assert choose(tried, is_sequential=True).candidate is RATES[1]


def test_a_tried_candidate_without_a_finite_loss_has_no_score():
    diverged = TriedCandidate(PHASE, ValidationScore(math.inf, None))
    described = diverged.describe(is_chosen=False)
    assert (described["validation"], described["blend"]) == (None, None)
    assert not diverged.is_promising


def test_candidates_take_the_name_and_the_choice_of_their_phase():
    choice = Choice(RATES, pilot_steps=2, is_sequential=True, blends=True)
    named = name_candidates(changed(PHASE, name="fine_tune", choice=choice))
    assert {each.name for each in named} == {"fine_tune"}
    assert {each.choice for each in named} == {Choice(blends=True)}


def test_only_candidates_that_differ_in_rate_share_a_traced_step():
    assert differ_in_rate(RATES)
    assert not differ_in_rate((PHASE, changed(PHASE, trainable=("stage3", "head"))))
