"""Named strategies, functions from settings to phases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps

from kft.errors import ConfigError
from kft.registry import suggest
from kft.strategies.parts import Part, Plan, Strategy
from kft.strategies.phases import Choice, Fit, Phase, Scope, Solve
from kft.strategies.setting import FINE_TUNING, SOLVABLE, Setting
from kft.strategies.traits import resolve_bias_norm_blocks, resolve_lora_blocks

# Settings of `strategy` that a probe reads: any probe, a solved one, a trained one.
PROBE = ("probe", "probe_layers", "probe_learning_rate", "probe_duration")
_SOLVED, _TRAINED = PROBE[1:2], PROBE[2:]
BEST = "best"
# Tracing a training step takes about as long as twenty steps.
LEAST_PHASE_STEPS = 20


def make_probe(setting: Setting) -> Part:
    """Plan a probe: the head only, on features of the frozen backbone that are computed once.

    A linear head is solved if its loss has an optimum. Otherwise, or if
    `strategy.probe` requests it, the head is trained.
    """
    if not is_solved(setting):
        why = "The probe is trained, and reads the last block. A solved probe reads several."
        return Part(_plan_probe, (PROBE[0], *_TRAINED), reasons=dict.fromkeys(_SOLVED, why))
    why = "The probe is solved. `strategy.probe=trained` trains it by steps."
    return Part(_plan_probe, (PROBE[0], *_SOLVED), reasons=dict.fromkeys(_TRAINED, why))


def after_probe(*obeys: str) -> Callable[[Plan], Strategy]:
    """Make a strategy from a function: a linear probe, then the phases that the function plans.

    Args:
        obeys: Settings of `strategy` that the function reads.
    """

    def make_strategy(plan: Plan) -> Strategy:
        @wraps(plan)
        def strategy(setting: Setting) -> tuple[Part, ...]:
            return (make_probe(setting), Part(plan, obeys))

        return strategy

    return make_strategy


def linear_probe(setting: Setting) -> tuple[Part, ...]:
    """Plan the head only."""
    return (make_probe(setting),)


def full(setting: Setting) -> tuple[Part, ...]:
    """Plan training of every block at once, without a probe."""
    return (Part(all_blocks, FINE_TUNING),)


def all_blocks(setting: Setting) -> tuple[Phase, ...]:
    """Plan the phase of `full`."""
    return (setting.phase("full", setting.scope(setting.backbone_blocks), "full"),)


@after_probe(*FINE_TUNING)
def lp_ft(setting: Setting) -> tuple[Phase, ...]:
    """Plan full fine-tuning that starts from the head of a linear probe.

    The gradients of a random head would distort the pretrained features; those
    of a fitted head distort them less.

    Source: Kumar et al., Fine-Tuning can Distort Pretrained Features,
    arXiv:2202.10054.
    """
    return (setting.phase("full", setting.scope(setting.backbone_blocks), "lp_ft"),)


@after_probe("top_blocks", *FINE_TUNING)
def top_k(setting: Setting) -> tuple[Phase, ...]:
    """Plan the deepest blocks and the head, after a linear probe.

    Raises:
        ConfigError: There are fewer blocks than `strategy.top_blocks`.
    """
    count, blocks = setting.config.top_blocks, setting.backbone_blocks
    if count > len(blocks):
        raise ConfigError(
            f"strategy.top_blocks: found {count}, but backbone {setting.backbone!r} has "
            f"{len(blocks)} blocks: {', '.join(blocks)}."
        )
    return (setting.phase("top_k", setting.scope(blocks[-count:]), "top_k"),)


@after_probe(*FINE_TUNING)
def gradual(setting: Setting) -> tuple[Phase, ...]:
    """Plan phases that each unfreeze one more block, deepest first, after a linear probe.

    The phases share the duration. If a phase would have so few steps that
    tracing dominates, it unfreezes several blocks at once.

    Raises:
        ConfigError: The backbone has one block, or there are fewer steps than phases.

    Source: Howard and Ruder, ULMFiT, arXiv:1801.06146.
    """
    blocks = setting.backbone_blocks
    if len(blocks) < 2:
        raise ConfigError(
            f"strategy.name: 'gradual' unfreezes block by block, but backbone "
            f"{setting.backbone!r} is one block, {blocks[0]!r}. Use `strategy.name=lp_ft`."
        )
    budget = setting.budget()
    count = min(len(blocks), max(2, budget // LEAST_PHASE_STEPS))
    if budget < count:
        raise ConfigError(
            f"strategy.duration: {budget} steps are fewer than the {count} phases of 'gradual'. "
            f"Set at least {count} steps."
        )
    share, rest = divmod(budget, count)
    phases = []
    for index in range(count):
        # If blocks do not divide evenly, early phases unfreeze more: steps are cheapest there.
        depth = len(blocks) * (count - 1 - index) // count
        # Remaining steps go to the last phases, which train the most weights.
        steps = share + (1 if index >= count - rest else 0)
        scope = setting.scope(blocks[depth:])
        phases.append(setting.phase(f"from_{blocks[depth]}", scope, "gradual", steps=steps))
    return tuple(phases)


@after_probe("block", "learning_rate", "duration", "batch_norm")
def surgical(setting: Setting) -> tuple[Phase, ...]:
    """Plan one block of the backbone and the head, after a linear probe.

    The best block depends on the shift from pretraining: a shallow block for a shift in the
    inputs, a deep block for a shift in the targets. `strategy.block: best` tries each block on
    validation.

    Raises:
        ConfigError: The block is not one of the backbone's, or there are no validation examples
            to choose on.

    Source: Lee et al., Surgical Fine-Tuning, arXiv:2210.11466.
    """
    block, blocks = setting.config.block, setting.backbone_blocks
    if block != BEST:
        if block not in blocks:
            raise ConfigError(
                f"strategy.block: backbone {setting.backbone!r} has no block {block!r} to train "
                f"by itself. {suggest(block, (*blocks, BEST))} Blocks: {', '.join(blocks)}."
            )
        return (setting.phase("surgical", setting.scope((block,)), "surgical"),)
    setting.must_choose("strategy.block")
    candidates = tuple(setting.phase(name, setting.scope((name,)), "surgical") for name in blocks)
    return (_choice("surgical", candidates[::-1], setting),)


@after_probe("lora", "learning_rate", "duration", "layer_decay")
def lora(setting: Setting) -> tuple[Phase, ...]:
    """Plan low-rank factors of the backbone's kernels and the head, after a linear probe.

    Raises:
        ConfigError: No layer of the backbone takes low-rank factors.

    Source: Hu et al., LoRA, arXiv:2106.09685.
    """
    config = setting.config
    blocks = resolve_lora_blocks(config.lora, setting.traits, "strategy.lora")
    scope = Scope((*blocks, setting.head), lora=config.lora)
    return (setting.phase("lora", scope, "lora"),)


@after_probe(*FINE_TUNING)
def bitfit(setting: Setting) -> tuple[Phase, ...]:
    """Plan biases, normalisation scales and shifts, and the head, after a linear probe.

    Raises:
        ConfigError: The backbone has no biases or normalisation, or hides them.

    Source: Ben Zaken et al., BitFit, arXiv:2106.10199; for the normalisation
    of convolutional networks, Frankle et al., arXiv:2003.00152.
    """
    blocks = resolve_bias_norm_blocks(setting.traits, "strategy.name")
    scope = replace(setting.scope(blocks), part="bias_norm")
    return (setting.phase("bitfit", scope, "bitfit"),)


def _choice(name: str, candidates: tuple[Phase, ...], setting: Setting) -> Phase:
    """Make a phase that continues as the best of its candidates."""
    first = candidates[0]
    # Trials are short because there are many, and each traces a step of its own.
    pilot_steps = max(1, setting.pilot_steps(first.fit.steps) // 2)
    return replace(first, name=name, choice=Choice(candidates, pilot_steps))


def is_solved(setting: Setting) -> bool:
    """Tell whether the probe is solved rather than trained."""
    probe = setting.config.probe
    return probe == "solved" or (probe == "auto" and setting.has_linear_head)


def _plan_probe(setting: Setting) -> tuple[Phase, ...]:
    config = setting.config
    if is_solved(setting) and not setting.has_linear_head:
        raise ConfigError(
            f"strategy.probe: 'solved' {SOLVABLE} Use `strategy.probe=trained`, or remove them."
        )
    recipe: Fit | Solve = Solve()
    if not is_solved(setting):
        recipe = Fit(
            learning_rate=config.probe_learning_rate,
            steps=setting.steps(config.probe_duration, "strategy.probe_duration"),
            steps_per_epoch=setting.steps_per_epoch,
        )
    return (Phase("linear_probe", Scope((setting.head,)), recipe, setting.learns_from),)
