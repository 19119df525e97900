"""The default strategy, sized to the data."""

from __future__ import annotations

from dataclasses import replace

from kft.config import AUTO_LEARNING_RATES
from kft.strategies.layerwise import decayed
from kft.strategies.phases import Phase
from kft.strategies.presets import full, linear_probe
from kft.strategies.setting import Setting

# Of one block to the next toward the input, where none is configured.
AUTO_LAYER_DECAY = 0.9
# Smaller sets are learnt in too few epochs for blended pictures to help.
MIXUP_EXAMPLES = 20_000
MIXUP_ALPHA = 0.2


def auto(setting: Setting) -> tuple[Phase, ...]:
    """Linear probe, then all blocks from it, kept only if validation gains by it.

    The learning rate, to which fine-tuning is most sensitive, is found on
    validation: the rates are tried in turn, and the first that after a
    quarter of the phase is not behind the probe, beyond chance, goes on.
    Without validation examples there is nothing to choose on: the rate is
    that of `lp_ft`. A backbone of random weights is trained in full, since a
    probe on it says nothing.

    Source: Kumar et al., arXiv:2202.10054; the budget is BiT-HyperRule's,
    arXiv:1912.11370.
    """
    if not setting.is_pretrained:
        return full(setting)
    config = setting.config
    decay = AUTO_LAYER_DECAY if config.layer_decay is None else config.layer_decay
    phase = setting.phase(
        "fine_tune",
        setting.backbone_blocks,
        "lp_ft",
        multipliers=decayed(setting.backbone_blocks, decay),
        mixup=MIXUP_ALPHA if setting.may_mix and setting.num_examples >= MIXUP_EXAMPLES else None,
    )
    return (*linear_probe(setting), _with_choices(phase, setting))


def _with_choices(phase: Phase, setting: Setting) -> Phase:
    if not setting.num_validation:
        return phase
    if setting.config.learning_rate is not None:
        return replace(phase, must_beat_start=True)
    candidates = tuple(replace(phase, learning_rate=rate) for rate in AUTO_LEARNING_RATES)
    return replace(
        candidates[0],
        candidates=candidates,
        is_sequential=True,
        pilot_steps=setting.pilot_steps(phase.steps),
        must_beat_start=True,
    )
