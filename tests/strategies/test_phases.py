"""One vocabulary for durations, resolved to steps."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phases import phase_of

from kft.config import FeaturesConfig, TrainingConfig
from kft.errors import ConfigError
from kft.strategies import Phase
from kft.strategies.durations import resolve_duration, resolve_warmup


def resolve(duration, num_examples=100, steps_per_epoch=4, **more):
    return resolve_duration(
        duration, num_examples=num_examples, steps_per_epoch=steps_per_epoch, where="here", **more
    )


@pytest.mark.parametrize(
    ("duration", "steps"),
    [
        ("10 epochs", 40),
        ("1 epoch", 4),
        ("10", 40),
        (10, 40),
        ("0.5 epochs", 2),
        ("7 steps", 7),
        ("1 step", 1),
        ("7steps", 7),
        ("  7   steps  ", 7),
        ("250 examples", 10),
        ("1 example", None),
        ("0.1 epochs", None),
        ("0 steps", None),
        (0, None),
    ],
)
def test_durations_come_to_these_steps_or_are_refused_as_none(duration, steps):
    if steps is None:
        with pytest.raises(ConfigError, match=r"^here: .* comes to no step at all"):
            resolve(duration)
    else:
        assert resolve(duration) == steps


@pytest.mark.parametrize(
    "duration", ["", "ten epochs", "10 hours", "-1 epochs", "1e3 steps", "10 epochs 2", "0x10", "."]
)
def test_another_form_is_refused_with_examples_of_the_right_one(duration):
    with pytest.raises(ConfigError, match=r"^here: found .*'10 epochs', '500 steps', '20000 exam"):
        resolve(duration)


def test_part_of_a_step_is_refused():
    with pytest.raises(ConfigError, match=r"found '1\.5 steps'\. Steps are whole numbers"):
        resolve("1.5 steps")


@pytest.mark.parametrize(
    ("duration", "steps"),
    [("50 percent", 100), ("50%", 100), ("12.5 %", 25), ("100percent", 200), ("2 epochs", 8)],
)
def test_percent_are_of_what_they_are_said_to_be_of(duration, steps):
    assert resolve(duration, percent_of=200) == steps


def test_percent_of_nothing_are_refused():
    with pytest.raises(ConfigError, match=r"^here: found '50%', but there is nothing here that"):
        resolve("50%")


def test_more_than_all_is_refused():
    with pytest.raises(ConfigError, match=r"'101 percent'\. A share is at most 100 percent"):
        resolve("101 percent", percent_of=200)


def test_another_form_is_told_of_percent_only_where_they_mean_something():
    with pytest.raises(ConfigError, match="or a share such as '10 percent'"):
        resolve("10 hours", percent_of=200)
    with pytest.raises(ConfigError) as caught:
        resolve("10 hours")
    assert "percent" not in str(caught.value)


@pytest.mark.parametrize("duration", [0, "0 steps", "0 percent", "0.1 percent"])
def test_no_step_is_allowed_where_it_is_said_to_be(duration):
    assert resolve(duration, percent_of=200, least=0) == 0
    with pytest.raises(ConfigError, match="comes to no step"):
        resolve(duration, percent_of=200)


COUNTS = st.integers(1, 10**6)


@given(amount=COUNTS, examples=COUNTS, batch=st.integers(1, 4096))
def test_every_unit_agrees_with_the_others(amount, examples, batch):
    per_epoch = -(-examples // batch)

    def steps(duration):
        return resolve(duration, examples, per_epoch)

    assert steps(f"{amount} epochs") == steps(amount) == amount * per_epoch
    assert steps(f"{amount} steps") == amount
    assert steps(f"{examples} examples") == per_epoch
    assert steps(f"{amount * examples} examples") == amount * per_epoch


@given(first=COUNTS, more=COUNTS, unit=st.sampled_from(["epochs", "steps", "examples"]))
def test_a_longer_duration_has_no_fewer_steps(first, more, unit):
    assert resolve(f"{first + more} {unit}", 4, 4) >= resolve(f"{first} {unit}", 4, 4)


@given(steps=COUNTS, per_epoch=st.integers(1, 5000))
def test_a_phase_begins_as_many_epochs_as_its_steps_need(steps, per_epoch):
    phase = phase_of("a", ("head",), 1e-3, steps, per_epoch)
    assert (phase.fit.epochs - 1) * per_epoch < steps <= phase.fit.epochs * per_epoch


def deep(steps: int, augmentation: str = "none") -> Phase:
    return phase_of("deep", ("head",), 0.1, steps, 10, augmentation=augmentation)


def test_a_share_of_few_steps_may_round_to_none():
    assert resolve_warmup(TrainingConfig(warmup="10 percent"), deep(4), num_examples=9) == 0


@pytest.mark.parametrize(
    ("warmup", "found"),
    [
        ("3 epochs", "comes to 30 steps, but phase 'deep' has 30"),
        ("40 steps", "comes to 40 steps, but phase 'deep' has 30"),
        ("100 percent", "takes all steps of phase 'deep'"),
        ("99%", "takes all steps of phase 'deep'"),
    ],
)
def test_a_warmup_as_long_as_its_phase_is_refused(warmup, found):
    with pytest.raises(ConfigError) as caught:
        resolve_warmup(TrainingConfig(warmup=warmup), deep(30), num_examples=320)
    assert str(caught.value).startswith(f"training.warmup: {warmup!r} {found}: its rate would")


@pytest.mark.parametrize(
    ("augmentation", "views", "repeats"),
    [("none", 0, True), ("light", 0, False), ("light", 2, True), ("light", 3, False)],
)
def test_inputs_come_again_where_they_do_not_change_or_have_fewer_views_than_epochs(
    augmentation, views, repeats
):
    assert deep(30, augmentation).repeats_inputs(FeaturesConfig(views=views)) is repeats


def test_a_traced_step_serves_another_rate_and_length_and_nothing_else():
    fit = deep(30).fit
    for same in ({"learning_rate": 1.0}, {"steps": 5}, {"steps_per_epoch": 3}):
        assert replace(fit, **same).has_step_of(fit)
    for other in (
        {"multipliers": {"stem": 0.5}},
        {"augmentation": "light"},
        {"weight_decay": 0.0},
        {"mixup": 0.2},
    ):
        assert not replace(fit, **other).has_step_of(fit)
