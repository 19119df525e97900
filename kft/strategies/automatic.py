"""Default strategy `auto`, sized to the data."""

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

# Factor from one block to the next toward the input, if none is configured.
AUTO_LAYER_DECAY = 0.9
# Blocks with feature maps this many times finer than the coarsest represent edges and textures.
FINENESS = 8
# Smaller data sets are trained for too few epochs to benefit from mixup.
MIXUP_EXAMPLES = 20_000
MIXUP_ALPHA = 0.2
REFIT = "refit"
_ALL_TO_LEARN_FROM: tuple[SplitName, ...] = ("train", "validation")


def auto(setting: Setting) -> tuple[Part, ...]:
    """Plan a linear probe, then fine-tuning of the upper blocks, blended with the probe.

    The lowest blocks hold features that all kinds of images share. They also
    cost most, half of a step or more, because their feature maps are the
    largest. They stay frozen, so that their outputs are computed only once.

    Shares of the weights are blended: 0 is the probe, 1 the fine-tuned model,
    and the share with the lowest loss on validation is expected to be best.
    The rates are tried in turn, and the first rate for which a blend is better
    than the probe is taken. If there is a holdout to judge the result, that
    recipe is then trained from the start on train and validation together;
    otherwise the trial continues. If no blend is better, the probe remains.

    Without validation examples nothing can be selected, and the rate is that
    of `lp_ft`. A backbone with random weights is trained in full, because a
    probe on random features is not informative.

    Source: Kumar et al., arXiv:2202.10054; the budget is BiT-HyperRule's,
    arXiv:1912.11370. Yosinski et al., arXiv:1411.1792, show that the lowest
    layers are general; freezing them up to stride 4 of 32 follows Ren et al.,
    Faster R-CNN, arXiv:1506.01497, and later detectors. The blends are
    WiSE-FT's, arXiv:2109.01903.
    """
    obeys = ("freeze", "refit", *FINE_TUNING)
    if setting.is_pretrained:
        return (make_probe(setting), Part(_fine_tune, obeys))
    why = "Random weights are trained without a probe. Use `strategy.name=lp_ft` for a probe."
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
    """Tell whether the strategy ends by training on train and validation together.

    Raises:
        ConfigError: The refit is requested but not possible.
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
    """Find the reason why `auto` cannot refit on train and validation together, if there is one.

    Args:
        training: The pipeline's `training` section.
        num_validation: Number of validation examples.
        num_holdout: Number of holdout examples.
        is_fold: Whether validation is one of several folds, each of which judges a run.
        is_pretrained: Whether the backbone has pretrained weights.
    """
    obstacles = (
        (
            not is_pretrained,
            "a backbone with random weights is trained once, and nothing is chosen on validation.",
        ),
        *(
            (getattr(training, name), f"`training.{name}` chooses weights on validation.")
            for name in ON_VALIDATION
        ),
        (
            training.schedule == "plateau",
            "`training.schedule=plateau` follows the validation loss.",
        ),
        (not num_validation, "there are no validation examples."),
        (is_fold, "with `data.split.folds`, validation is the fold that judges the run."),
        (not num_holdout, "without a holdout, validation alone judges the run."),
    )
    return next((reason for is_given, reason in obstacles if is_given), None)


def _frozen_blocks(setting: Setting) -> tuple[str, ...]:
    """Resolve the blocks that stay frozen: as configured, or those with the finest feature maps."""
    where, given, blocks = "strategy.freeze", setting.config.freeze, setting.backbone_blocks
    if given == "auto":
        strides = [each.stride or 0 for each in setting.traits]
        fine = [i for i, stride in enumerate(strides) if 0 < stride * FINENESS <= max(strides)]
        return blocks[: max(fine, default=-1) + 1]
    frozen = setting.blocks(given, where)
    if frozen and not setting.is_pretrained:
        raise ConfigError(
            f"{where}: the weights of backbone {setting.backbone!r} are random, and frozen blocks "
            "would stay random. Remove it, or load pretrained weights."
        )
    if setting.head in frozen:
        raise ConfigError(
            f"{where}: the head must train and cannot be frozen. Name blocks of the backbone only."
        )
    if frozen == blocks:
        raise ConfigError(
            f"{where}: names all blocks of backbone {setting.backbone!r}, so only the head would "
            "train. Use `strategy.name=linear_probe`."
        )
    return frozen


def _from_random_weights(setting: Setting) -> tuple[Phase, ...]:
    _frozen_blocks(setting)
    return all_blocks(setting)


def _fine_tune(setting: Setting) -> tuple[Phase, ...]:
    """Plan the fine-tuning phase with its choices, and the refit that may follow it."""
    phase = _fine_tuning_phase(setting)
    if not setting.num_validation:
        return (phase,)
    choosing = _with_choices(phase, setting)
    if setting.refit is None:
        return (choosing,)
    comparing = replace(choosing, choice=replace(choosing.choice, only_compares=True))
    return (comparing, _refit(setting.refit, phase))


def _fine_tuning_phase(setting: Setting) -> Phase:
    """Plan fine-tuning of all blocks that are not frozen, with the whole budget."""
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
        return replace(phase, choice=Choice(blends=True))
    # Before a refit even a given rate is tried, because the trial decides whether to fine-tune.
    rates = AUTO_LEARNING_RATES if given is None else (given,)
    candidates = tuple(map(phase.at_rate, rates))
    choice = Choice(
        candidates,
        pilot_steps=setting.pilot_steps(phase.fit.steps),
        is_sequential=True,
        blends=True,
    )
    return replace(candidates[0], choice=choice)


def _refit(setting: Setting, tried: Phase) -> Phase:
    """Plan the winner again on train and validation: the same recipe for the same epochs.

    Args:
        setting: Setting whose training examples include those of validation.
        tried: Fine-tuning phase, sized to the training examples.
    """
    steps = -(-tried.fit.steps * setting.steps_per_epoch // tried.fit.steps_per_epoch)
    (probe,) = make_probe(setting).plan(setting)
    fit = replace(
        tried.fit,
        # A configured duration in steps does not depend on the number of examples.
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
