"""The default strategy, sized to the data."""

from __future__ import annotations

from dataclasses import replace

from kft.config import AUTO_LEARNING_RATES, StrategyConfig, TrainingConfig
from kft.errors import ConfigError
from kft.examples import SplitName
from kft.strategies.layerwise import decayed
from kft.strategies.parts import Part
from kft.strategies.phases import Choice, Phase
from kft.strategies.presets import PROBE, all_blocks, make_probe
from kft.strategies.setting import FINE_TUNING, Setting
from kft.strategies.targets import ON_VALIDATION

# Of one block to the next toward the input, where none is configured.
AUTO_LAYER_DECAY = 0.9
# Blocks whose maps are this many times as fine as the coarsest show edges and textures.
FINENESS = 8
# Smaller sets are learnt in too few epochs for blended pictures to help.
MIXUP_EXAMPLES = 20_000
MIXUP_ALPHA = 0.2
REFIT = "refit"
_ALL_TO_LEARN_FROM: tuple[SplitName, ...] = ("train", "validation")


def auto(setting: Setting) -> tuple[Part, ...]:
    """Linear probe, then all but the lowest blocks from it, kept only if validation gains by it.

    The lowest blocks see what pictures of all kinds share, and cost most: half
    of a step and more, for their maps are the largest. They rest, so that
    they are computed once.

    The learning rate, to which fine-tuning is most sensitive, is found on
    validation: the rates are tried in turn, and the first that after a
    quarter of the phase is not behind the probe, beyond chance, goes on.
    If there is a holdout to judge it by, what won is then found anew, from
    the start, on train and validation together.

    Without validation examples there is nothing to choose on: the rate is
    that of `lp_ft`. A backbone of random weights is trained in full, since a
    probe on it says nothing.

    Source: Kumar et al., arXiv:2202.10054; the budget is BiT-HyperRule's,
    arXiv:1912.11370. That the lowest layers are general: Yosinski et al.,
    arXiv:1411.1792; up to stride 4 of 32 they rest as in Ren et al., Faster
    R-CNN, arXiv:1506.01497, and the detectors after it.
    """
    obeys = ("freeze", "refit", *FINE_TUNING)
    if setting.is_pretrained:
        return (make_probe(setting), Part(_fine_tune, obeys))
    why = "Random weights are trained without a probe. `strategy.name=lp_ft` has one."
    return (Part(_from_random_weights, obeys, reasons=dict.fromkeys(PROBE, why)),)


def refits(
    config: StrategyConfig,
    training: TrainingConfig,
    *,
    num_validation: int,
    num_holdout: int,
    is_fold: bool,
    is_pretrained: bool,
) -> bool:
    """Whether the strategy ends by learning from train and validation together.

    Raises:
        ConfigError: It is asked for, and cannot be.
    """
    if config.refit is False or config.name != "auto":
        return False
    obstacle = find_obstacle(
        training,
        num_validation=num_validation,
        num_holdout=num_holdout,
        is_fold=is_fold,
        is_pretrained=is_pretrained,
    )
    if obstacle is not None and config.refit is True:
        raise ConfigError(f"strategy.refit: {obstacle} Remove it, or set it to false.")
    return obstacle is None


def find_obstacle(
    training: TrainingConfig,
    *,
    num_validation: int,
    num_holdout: int,
    is_fold: bool,
    is_pretrained: bool,
) -> str | None:
    """Why `auto` does not end by learning from train and validation together, if so.

    Args:
        training: The pipeline's `training` section.
        num_validation: Validation examples.
        num_holdout: Holdout examples.
        is_fold: Whether validation is one of several folds, each of which judges a run.
        is_pretrained: Whether the backbone's weights are not random.
    """
    obstacles = (
        (
            not is_pretrained,
            "a backbone of random weights is trained once, and nothing is chosen on validation.",
        ),
        *(
            (getattr(training, name), f"`training.{name}` chooses weights on validation.")
            for name in ON_VALIDATION
        ),
        (
            training.schedule == "plateau",
            "`training.schedule=plateau` goes by the loss on validation.",
        ),
        (not num_validation, "there are no validation examples."),
        (is_fold, "with `data.split.folds`, validation is the fold that the run is judged by."),
        (not num_holdout, "without a holdout, validation is all that the run is judged by."),
    )
    return next((reason for is_given, reason in obstacles if is_given), None)


def _frozen_blocks(setting: Setting) -> tuple[str, ...]:
    """The blocks that rest in fine-tuning: as configured, or those of the finest maps."""
    where, given, blocks = "strategy.freeze", setting.config.freeze, setting.backbone_blocks
    if given == "auto":
        strides = [each.stride or 0 for each in setting.traits]
        fine = [i for i, stride in enumerate(strides) if 0 < stride * FINENESS <= max(strides)]
        return blocks[: max(fine, default=-1) + 1]
    frozen = setting.blocks(given, where)
    if frozen and not setting.is_pretrained:
        raise ConfigError(
            f"{where}: the weights of backbone {setting.backbone!r} are random, and blocks that "
            "rest would stay so. Remove it, or load pretrained weights."
        )
    if setting.head in frozen:
        raise ConfigError(
            f"{where}: the head is what learns, and cannot rest. Name blocks of the backbone alone."
        )
    if frozen == blocks:
        raise ConfigError(
            f"{where}: names all blocks of backbone {setting.backbone!r}, so that the head alone "
            "would train. Use `strategy.name=linear_probe`."
        )
    return frozen


def _from_random_weights(setting: Setting) -> tuple[Phase, ...]:
    _frozen_blocks(setting)
    return all_blocks(setting)


def _fine_tune(setting: Setting) -> tuple[Phase, ...]:
    """What is tried, and what becomes of it."""
    phase = _tried(setting)
    if not setting.num_validation:
        return (phase,)
    asked = _with_choices(phase, setting)
    if setting.refit is None:
        return (asked,)
    compared = replace(asked, choice=replace(asked.choice, only_compares=True))
    return (compared, _refit(setting.refit, phase))


def _tried(setting: Setting) -> Phase:
    """All blocks but those that rest, the whole budget."""
    frozen = _frozen_blocks(setting)
    blocks = tuple(block for block in setting.backbone_blocks if block not in frozen)
    decay = setting.config.layer_decay
    decay = AUTO_LAYER_DECAY if decay is None else decay
    mixes = setting.may_mix and setting.num_examples >= MIXUP_EXAMPLES
    phase = setting.phase("fine_tune", setting.scope(blocks), "lp_ft")
    fit = replace(
        phase.fit,
        multipliers=decayed(blocks, decay),
        mixup=MIXUP_ALPHA if mixes else None,
    )
    return replace(phase, recipe=fit)


def _with_choices(phase: Phase, setting: Setting) -> Phase:
    given = setting.config.learning_rate
    if given is not None and setting.refit is None:
        return replace(phase, choice=Choice(must_beat_start=True))
    # One that is given is tried too, where its trial may show that it pays.
    rates = AUTO_LEARNING_RATES if given is None else (given,)
    candidates = tuple(map(phase.at_rate, rates))
    choice = Choice(
        candidates,
        pilot_steps=setting.pilot_steps(phase.fit.steps),
        is_sequential=True,
        must_beat_start=True,
    )
    return replace(candidates[0], choice=choice)


def _refit(setting: Setting, tried: Phase) -> Phase:
    """What won, with all examples but the holdout's: the recipe that was tried, for as many epochs.

    Args:
        setting: With the validation examples to learn from too.
        tried: Fine-tuning, sized to the training examples.
    """
    steps = -(-tried.fit.steps * setting.steps_per_epoch // tried.fit.steps_per_epoch)
    (probe,) = make_probe(setting).plan(setting)
    fit = replace(
        tried.fit,
        # A duration in steps is one for any number of examples.
        steps=steps if setting.config.duration is None else setting.budget(),
        steps_per_epoch=setting.steps_per_epoch,
    )
    return Phase(
        REFIT,
        tried.scope,
        fit,
        learns_from=_ALL_TO_LEARN_FROM,
        fallback=replace(probe, name=REFIT, learns_from=_ALL_TO_LEARN_FROM),
    )
