"""Default strategy `auto`, sized to the data."""

from __future__ import annotations

from dataclasses import replace

from kft.config import AUTO_LEARNING_RATES, StrategyConfig, TrainingConfig
from kft.errors import ConfigError
from kft.strategies.durations import resolve_seconds
from kft.strategies.layerwise import decayed
from kft.strategies.parts import Part
from kft.strategies.phases import Choice, Folds, Phase
from kft.strategies.presets import PROBE, all_blocks, is_solved, make_probe
from kft.strategies.setting import FINE_TUNING, Setting
from kft.strategies.targets import ON_VALIDATION

# Factor from one block to the next toward the input, if none is configured.
AUTO_LAYER_DECAY = 0.9
# Factor on the rate of a head that was solved. It is at its optimum already, and it has thousands
# of columns: at the full rate, a few steps of Adam along all of them would move the logits far.
SOLVED_HEAD_RATE = 0.1
# Blocks with feature maps this many times finer than the coarsest represent edges and textures.
FINENESS = 8
# Smaller data sets are trained for too few epochs to benefit from mixup.
MIXUP_EXAMPLES = 20_000
MIXUP_ALPHA = 0.2
# Folds of the examples: one for the short runs, and one that fine-tuning leaves out until this
# share of its steps is taken, when its rate has fallen to a seventh.
NUM_FOLDS = 4
JUDGED_AFTER = 0.75


def auto(setting: Setting) -> tuple[Part, ...]:
    """Plan a linear probe, then fine-tuning of the upper blocks, blended with the probe.

    The lowest blocks hold features that all kinds of images share. They also
    cost most, half of a step or more, because their feature maps are the
    largest. They stay frozen, so that their outputs are computed only once.

    Shares of the weights are blended: 0 is the probe, 1 the fine-tuned model.
    Folds that neither a probe nor fine-tuning has seen decide rate and share;
    see `Folds`. Validation is not needed for that, so if there is a holdout to
    judge the result, both phases learn from it too.

    If the probe cannot be solved, it cannot be solved anew for each fold, and
    validation decides. Without validation examples nothing is chosen, and the
    rate is that of `lp_ft`. A backbone with random weights is trained in full,
    because a probe on random features is not informative.

    Source: Kumar et al., arXiv:2202.10054; the budget is BiT-HyperRule's,
    arXiv:1912.11370. Yosinski et al., arXiv:1411.1792, show that the lowest
    layers are general; freezing them up to stride 4 of 32 follows Ren et al.,
    Faster R-CNN, arXiv:1506.01497, and later detectors. The blends are
    WiSE-FT's, arXiv:2109.01903.
    """
    obeys = ("freeze", "refit", *FINE_TUNING)
    shorter = "Set `strategy.duration`: steps are left out of time only where folds decide."
    if setting.is_pretrained and is_solved(setting):
        return (make_probe(setting), Part(_fine_tune, ("budget", *obeys)))
    if setting.is_pretrained:
        return (make_probe(setting), Part(_fine_tune, obeys, reasons={"budget": shorter}))
    why = "Random weights are trained without a probe. Use `strategy.name=lp_ft` for a probe."
    reasons = {**dict.fromkeys(PROBE, why), "budget": shorter}
    return (Part(_from_random_weights, obeys, reasons=reasons),)


def refits(
    config: StrategyConfig,
    training: TrainingConfig,
    *,
    num_validation: int,
    num_holdout: int,
    is_fold: bool,
    is_pretrained: bool,
    has_solved_probe: bool,
) -> bool:
    """Tell whether the strategy trains on train and validation together.

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
        has_solved_probe=has_solved_probe,
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
    has_solved_probe: bool,
) -> str | None:
    """Find the reason why `auto` cannot train on train and validation together, if there is one.

    Args:
        training: The pipeline's `training` section.
        num_validation: Number of validation examples.
        num_holdout: Number of holdout examples.
        is_fold: Whether validation is one of several folds, each of which judges a run.
        is_pretrained: Whether the backbone has pretrained weights.
        has_solved_probe: Whether the probe is solved, so that folds can decide.
    """
    obstacles = (
        (
            not is_pretrained,
            "a backbone with random weights is trained once, and nothing is chosen on validation.",
        ),
        (not has_solved_probe, "the probe is trained by steps, so validation chooses."),
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
    """Plan the fine-tuning phase with its decisions."""
    phase = _fine_tuning_phase(setting)
    given = setting.config.learning_rate
    rates = AUTO_LEARNING_RATES if given is None else (given,)
    if is_solved(setting) and setting.may_fold:
        short = setting.pilot_steps(phase.fit.steps)
        judged_after = max(1, round(phase.fit.steps * JUDGED_AFTER))
        budget = resolve_seconds(setting.config.budget)
        folds = Folds(rates, short, judged_after, NUM_FOLDS, budget)
        return (replace(phase.at_rate(rates[0]), folds=folds),)
    if is_solved(setting) and setting.config.budget is not None:
        raise ConfigError(
            "strategy.budget: steps are left out of time only where folds decide, but a target of "
            "these data is not one row of the probe. Set `strategy.duration` instead."
        )
    if not setting.num_validation:
        return (phase,)
    if given is not None:
        return (replace(phase, choice=Choice(blends=True)),)
    candidates = tuple(map(phase.at_rate, rates))
    choice = Choice(
        candidates,
        pilot_steps=setting.pilot_steps(phase.fit.steps),
        is_sequential=True,
        blends=True,
    )
    return (replace(candidates[0], choice=choice),)


def _fine_tuning_phase(setting: Setting) -> Phase:
    """Plan fine-tuning of all blocks that are not frozen, with the whole budget."""
    frozen = _frozen_blocks(setting)
    blocks = tuple(block for block in setting.backbone_blocks if block not in frozen)
    decay = setting.config.layer_decay
    decay = AUTO_LAYER_DECAY if decay is None else decay
    mixes = setting.may_mix and setting.num_examples >= MIXUP_EXAMPLES
    phase = setting.phase("fine_tune", setting.scope(blocks), "lp_ft")
    multipliers = decayed(blocks, decay)
    if is_solved(setting):
        multipliers[setting.head] = SOLVED_HEAD_RATE
    fit = replace(
        phase.fit,
        multipliers=multipliers,
        mixup=MIXUP_ALPHA if mixes else None,
    )
    return replace(phase, recipe=fit)
