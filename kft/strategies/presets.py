"""Strategies as functions: settings -> the phases they stand for."""

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

# Settings of `strategy` that a probe reads; one that is solved, the first alone.
PROBE = ("probe", "probe_learning_rate", "probe_duration")
BEST = "best"
# Tracing a training step takes as long as some twenty steps.
LEAST_PHASE_STEPS = 20


def make_probe(setting: Setting) -> Part:
    """The head alone, on features of the frozen backbone that are computed once.

    A linear head is solved to its optimum if its loss has one; else, or if
    `strategy.probe` says so, it is trained.
    """
    if not _is_solved(setting):
        return Part(_plan_probe, PROBE)
    why = "The probe is solved. `strategy.probe=trained` trains it by steps."
    return Part(_plan_probe, PROBE[:1], reasons=dict.fromkeys(PROBE[1:], why))


def after_probe(*obeys: str) -> Callable[[Plan], Strategy]:
    """Makes a strategy of a function: a linear probe, then the phases that the function plans.

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
    """The head alone."""
    return (make_probe(setting),)


def full(setting: Setting) -> tuple[Part, ...]:
    """Every block at once, without a probe."""
    return (Part(all_blocks, FINE_TUNING),)


def all_blocks(setting: Setting) -> tuple[Phase, ...]:
    """The phase of `full`."""
    return (setting.phase("full", setting.scope(setting.backbone_blocks), "full"),)


@after_probe(*FINE_TUNING)
def lp_ft(setting: Setting) -> tuple[Phase, ...]:
    """Linear probe, then full fine-tuning from its head.

    A head that already fits spares the pretrained features the distortion
    that gradients of a random head would cause.

    Source: Kumar et al., Fine-Tuning can Distort Pretrained Features,
    arXiv:2202.10054.
    """
    return (setting.phase("full", setting.scope(setting.backbone_blocks), "lp_ft"),)


@after_probe("top_blocks", *FINE_TUNING)
def top_k(setting: Setting) -> tuple[Phase, ...]:
    """Linear probe, then the deepest blocks and the head.

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
    """Linear probe, then one block more in each phase, deepest first; they share the duration.

    Where that would leave a phase fewer steps than its tracing is worth, it
    unfreezes several blocks.

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
            f"Give at least {count} steps."
        )
    share, rest = divmod(budget, count)
    phases = []
    for index in range(count):
        # Blocks that do not divide are unfrozen early, where steps cost least.
        depth = len(blocks) * (count - 1 - index) // count
        # Steps that do not divide go to the last phases, which have the most to train.
        steps = share + (1 if index >= count - rest else 0)
        scope = setting.scope(blocks[depth:])
        phases.append(setting.phase(f"from_{blocks[depth]}", scope, "gradual", steps=steps))
    return tuple(phases)


@after_probe("block", "learning_rate", "duration", "batch_norm")
def surgical(setting: Setting) -> tuple[Phase, ...]:
    """Linear probe, then one block of the backbone and the head.

    Which block is best depends on what differs from pretraining: shallow ones for how pictures
    look, deep ones for what they mean. `strategy.block: best` tries each on validation.

    Raises:
        ConfigError: The block is none of the backbone's, or there is nothing to choose on.

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
    """Linear probe, then low-rank factors of the backbone's kernels, and the head.

    Raises:
        ConfigError: No layer of the backbone takes them.

    Source: Hu et al., LoRA, arXiv:2106.09685.
    """
    config = setting.config
    blocks = resolve_lora_blocks(config.lora, setting.traits, "strategy.lora")
    scope = Scope((*blocks, setting.head), lora=config.lora)
    return (setting.phase("lora", scope, "lora"),)


@after_probe(*FINE_TUNING)
def bitfit(setting: Setting) -> tuple[Phase, ...]:
    """Linear probe, then biases, scales and shifts of normalisation, and the head.

    Raises:
        ConfigError: The backbone shows none of them.

    Source: Ben Zaken et al., BitFit, arXiv:2106.10199; for the normalisation
    of convolutional networks, Frankle et al., arXiv:2003.00152.
    """
    blocks = resolve_bias_norm_blocks(setting.traits, "strategy.name")
    scope = replace(setting.scope(blocks), part="bias_norm")
    return (setting.phase("bitfit", scope, "bitfit"),)


def _choice(name: str, candidates: tuple[Phase, ...], setting: Setting) -> Phase:
    """A phase that goes on as the best of its candidates."""
    first = candidates[0]
    # Short ones: there are many, and each traces a step of its own.
    pilot_steps = max(1, setting.pilot_steps(first.fit.steps) // 2)
    return replace(first, name=name, choice=Choice(candidates, pilot_steps))


def _is_solved(setting: Setting) -> bool:
    asked = setting.config.probe
    return asked == "solved" or (asked == "auto" and setting.has_linear_head)


def _plan_probe(setting: Setting) -> tuple[Phase, ...]:
    config, is_solved = setting.config, _is_solved(setting)
    if is_solved and not setting.has_linear_head:
        raise ConfigError(
            f"strategy.probe: 'solved' {SOLVABLE} Use `strategy.probe=trained`, or remove them."
        )
    recipe: Fit | Solve = Solve()
    if not is_solved:
        recipe = Fit(
            learning_rate=config.probe_learning_rate,
            steps=setting.steps(config.probe_duration, "strategy.probe_duration"),
            steps_per_epoch=setting.steps_per_epoch,
        )
    return (Phase("linear_probe", Scope((setting.head,)), recipe),)
