"""Durations resolved to steps, and the properties of phases."""

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
def test_durations_resolve_to_steps_and_less_than_one_is_refused(duration, steps):
    if steps is None:
        with pytest.raises(ConfigError, match=r"^here: .* comes to less than one step"):
            resolve(duration)
    else:
        assert resolve(duration) == steps


@pytest.mark.parametrize(
    "duration", ["", "ten epochs", "10 hours", "-1 epochs", "1e3 steps", "10 epochs 2", "0x10", "."]
)
def test_an_invalid_duration_is_refused_with_examples_of_valid_ones(duration):
    with pytest.raises(ConfigError, match=r"^here: found .*'10 epochs', '500 steps', '20000 exam"):
        resolve(duration)


def test_a_fractional_step_is_refused():
    with pytest.raises(ConfigError, match=r"found '1\.5 steps'\. Steps are whole numbers"):
        resolve("1.5 steps")


@pytest.mark.parametrize(
    ("duration", "steps"),
    [("50 percent", 100), ("50%", 100), ("12.5 %", 25), ("100percent", 200), ("2 epochs", 8)],
)
def test_percent_refer_to_the_given_number_of_steps(duration, steps):
    assert resolve(duration, percent_of=200) == steps


def test_percent_without_a_reference_are_refused():
    with pytest.raises(ConfigError, match=r"^here: found '50%', but a percentage is not allowed"):
        resolve("50%")


def test_more_than_100_percent_is_refused():
    with pytest.raises(ConfigError, match=r"'101 percent'\. A share is at most 100 percent"):
        resolve("101 percent", percent_of=200)


def test_the_message_mentions_percent_only_if_they_are_allowed():
    with pytest.raises(ConfigError, match="or a share such as '10 percent'"):
        resolve("10 hours", percent_of=200)
    with pytest.raises(ConfigError) as caught:
        resolve("10 hours")
    assert "percent" not in str(caught.value)


@pytest.mark.parametrize("duration", [0, "0 steps", "0 percent", "0.1 percent"])
def test_zero_steps_are_allowed_only_on_request(duration):
    assert resolve(duration, percent_of=200, least=0) == 0
    with pytest.raises(ConfigError, match="comes to less than one step"):
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
def test_a_longer_duration_never_has_fewer_steps(first, more, unit):
    assert resolve(f"{first + more} {unit}", 4, 4) >= resolve(f"{first} {unit}", 4, 4)


@given(steps=COUNTS, per_epoch=st.integers(1, 5000))
def test_a_phase_has_as_many_epochs_as_its_steps_need(steps, per_epoch):
    phase = phase_of("a", ("head",), 1e-3, steps, per_epoch)
    assert (phase.fit.epochs - 1) * per_epoch < steps <= phase.fit.epochs * per_epoch


def deep(steps: int, augmentation: str = "none") -> Phase:
    return phase_of("deep", ("head",), 0.1, steps, 10, augmentation=augmentation)


def test_a_share_of_few_steps_may_round_to_zero():
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
    assert str(caught.value).startswith(
        f"training.warmup: {warmup!r} {found}: the learning rate would"
    )


@pytest.mark.parametrize(
    ("augmentation", "views", "repeats"),
    [("none", 0, True), ("light", 0, False), ("light", 2, True), ("light", 3, False)],
)
def test_inputs_repeat_without_augmentation_or_with_fewer_views_than_epochs(
    augmentation, views, repeats
):
    assert deep(30, augmentation).repeats_inputs(FeaturesConfig(views=views)) is repeats


def test_a_traced_step_is_shared_only_across_rates_and_lengths():
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
