"""Update rules: learning-rate multiplier, decay and decay goal of each variable."""

from __future__ import annotations

from dataclasses import dataclass

from kft.config import TrainingConfig
from kft.model import HEAD, BlockTable, biases_and_norms
from kft.strategies import Phase


@dataclass(frozen=True)
class UpdateRule:
    """Rule for updating one variable.

    Attributes:
        multiplier: Factor on the learning rate.
        decay: Coefficient of decoupled decay; a step removes this share of
            the distance to the goal, times its learning rate.
        decays_to_pretrained: Whether the goal is the pretrained value (or, if
            none is given, the value when the optimizer was built) instead of
            zero.
        is_kernel: Whether it is neither a bias nor a scale or shift of
            normalisation.
        is_of_head: Whether it belongs to the head.
    """

    multiplier: float = 1.0
    decay: float = 0.0
    decays_to_pretrained: bool = False
    is_kernel: bool = True
    is_of_head: bool = False


def make_rules(config: TrainingConfig, phase: Phase, blocks: BlockTable) -> dict[int, UpdateRule]:
    """Make the rule of each variable, by the variable's `id`."""
    weight_decay = config.weight_decay if phase.fit.weight_decay is None else phase.fit.weight_decay
    rules = {}
    for block in blocks.blocks:
        is_head = block.name == HEAD
        # Biases of attention have two axes, so the rank does not identify kernels.
        spared = {id(variable) for variable in biases_and_norms(block)}
        for variable in block.variables:
            is_kernel = len(variable.shape) > 1 and id(variable) not in spared
            # The head has no pretrained weights to stay near.
            is_held = is_kernel and config.l2_sp > 0 and not is_head
            rules[id(variable)] = UpdateRule(
                multiplier=phase.fit.multipliers.get(block.name, 1.0),
                decay=config.l2_sp if is_held else weight_decay if is_kernel else 0.0,
                decays_to_pretrained=is_held,
                is_kernel=is_kernel,
                is_of_head=is_head,
            )
    return rules
