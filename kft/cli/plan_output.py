"""What `kft check` prints: the pipeline, the data, each phase with its block table, the risks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Console

from kft.cli.records import Form, Record, print_csv, print_document
from kft.cli.tables import make_console, show_pairs, show_paragraph, show_table
from kft.printing import printable

if TYPE_CHECKING:
    from kft.planning import BlockRow, PhaseForecast
    from kft.strategies import Phase
    from kft.timing import ResolvedSetting
    from kft.workflow import Plan


def show_plan(plan: Plan, choices: Sequence[ResolvedSetting], form: Form) -> None:
    """The resolved pipeline, data, measured choices, phases, block tables and risks.

    Args:
        plan: What a run would do.
        choices: The settings that may be measured, and where their values come from.
        form: As text; in JSON all of it, in CSV the block tables.
    """
    from kft.workflow import forecast_plan

    forecasts = forecast_plan(plan)
    if form == "json":
        print_document(_describe_plan(plan, choices, forecasts))
    elif form == "csv":
        print_csv(_list_blocks(forecasts))
    else:
        _show_text(plan, choices, forecasts)


def _describe_plan(
    plan: Plan, choices: Sequence[ResolvedSetting], forecasts: Sequence[PhaseForecast]
) -> dict[str, Any]:
    """JSON values."""
    from kft.planning import find_risks
    from kft.workflow import describe_data

    return {
        "pipeline": plan.pipeline.model_dump(mode="json"),
        "data": describe_data(plan.splits),
        "choices": [asdict(choice) for choice in choices],
        "phases": [
            {
                "name": forecast.phase.name,
                "method": forecast.phase.method,
                "steps": forecast.phase.fit.steps if forecast.phase.method == "fit" else 0,
                "computed_from": forecast.computed_from,
                "trainable_parameters": forecast.trainable_parameters,
                "seconds": forecast.seconds,
                "sentences": sentences,
                "blocks": [asdict(row) for row in forecast.rows],
            }
            for forecast, sentences in zip(forecasts, _describe_phases(plan), strict=True)
        ],
        "risks": list(find_risks(plan.splits, plan.assembled.backbone, plan.phases)),
    }


def _list_blocks(forecasts: Sequence[PhaseForecast]) -> Iterator[Record]:
    """A record a block of each phase, in their order."""
    for number, forecast in enumerate(forecasts, start=1):
        for row in forecast.rows:
            yield {"phase": number, "phase_name": forecast.phase.name, **asdict(row)}


def _describe_phases(plan: Plan) -> list[list[str]]:
    """Sentences about each phase."""
    befores = (None, *plan.phases)
    return [
        describe_phase(phase, before, num_adapted=_count_adapted(plan, phase))
        for phase, before in zip(plan.phases, befores, strict=False)
    ]


def _show_text(
    plan: Plan, choices: Sequence[ResolvedSetting], forecasts: Sequence[PhaseForecast]
) -> None:
    from kft.config import dump_pipeline
    from kft.planning import find_risks
    from kft.workflow import describe_data

    console = make_console()
    console.print(dump_pipeline(plan.pipeline), soft_wrap=True)
    for line in describe_data(plan.splits):
        console.print(printable(line), soft_wrap=True)
    _show_choices(console, choices, sum(forecast.seconds for forecast in forecasts))
    _show_phases(console, forecasts)
    described = _describe_phases(plan)
    for number, (forecast, sentences) in enumerate(zip(forecasts, described, strict=True), 1):
        console.print(f"Phase {number} of {len(forecasts)}: {forecast.phase.name}")
        for sentence in sentences:
            show_paragraph(console, sentence, indent=2)
        show_block_table(console, forecast.phase, forecast.rows)
    risks = find_risks(plan.splits, plan.assembled.backbone, plan.phases)
    console.print("Risks" if risks else "No risks seen.")
    for risk in risks:
        console.print(f"  - {risk}", soft_wrap=True)


def _show_choices(
    console: Console, choices: Sequence[ResolvedSetting], forecast_seconds: float
) -> None:
    """The values in force, and whether measuring would pay."""
    from kft.timing import is_worth_measuring

    console.print("\nChoices for this machine\n")
    width = max(len(choice.value) for choice in choices)
    show_pairs(console, [(c.setting, f"{c.value.ljust(width)}  {c.origin}") for c in choices])
    if any(choice.is_unmeasured for choice in choices) and is_worth_measuring(forecast_seconds):
        console.print()
        show_paragraph(
            console,
            "The forecast is long enough for measuring to pay: run `kft benchmark` with the same "
            "settings first.",
        )


def _show_phases(console: Console, forecasts: Sequence[PhaseForecast]) -> None:
    """A line a phase: how long, on what, what it costs."""
    from kft.display import format_seconds

    rows = []
    for forecast in forecasts:
        phase = forecast.phase
        is_solved = phase.method == "solve"
        row = (
            phase.name,
            "solved" if is_solved else f"{phase.fit.steps:,}",
            "" if is_solved else f"{phase.fit.steps / phase.fit.steps_per_epoch:.3g}",
            "as they are" if phase.recipe.augmentation == "none" else phase.recipe.augmentation,
            "pixels" if forecast.computed_from == "pixels" else "cache",
            f"{forecast.trainable_parameters:,}",
            format_seconds(forecast.seconds),
        )
        rows.append(row)
    headings = ("phase", "steps>", "epochs>", "pictures", "from", "trainable>", "about>")
    show_table(console, headings, rows, title="\nPhases")


def describe_phase(phase: Phase, before: Phase | None = None, *, num_adapted: int = 0) -> list[str]:
    """Sentences about how a phase goes, as far as its block table does not say it.

    Args:
        phase: As planned.
        before: The phase that it continues.
        num_adapted: Layers that get low-rank factors.
    """
    sentences = []
    if phase.method == "solve":
        sentences.append("Solved to its optimum on stored features, without steps.")
    if phase.choice.candidates:
        sentences.append(_describe_candidates(phase))
    if phase.choice.must_beat_start:
        start = (
            "the probe"
            if before and len(before.scope.trainable) == 1
            else "the weights it begins with"
        )
        verb = "Wins" if phase.choice.only_compares else "Kept"
        sentences.append(f"{verb} only if it beats {start} on validation beyond the 95 % interval.")
    if phase.choice.only_compares:
        sentences.append("Only asks: it ends where a trial tells, and its weights are given up.")
    if phase.fallback is not None and before is not None:
        splits = " and ".join(phase.learns_from)
        instead = "solved anew" if phase.fallback.method == "solve" else "trained on"
        sentences.append(
            f"Begins where {before.name} began, with {splits}, at the rate that was found; where "
            f"{before.name} was not better, the probe is {instead} with them instead."
        )
    if phase.scope.part == "bias_norm":
        sentences.append("Trains biases and normalisation alone (BitFit).")
    if (lora := phase.scope.lora) is not None:
        sentences.append(
            f"Trains low-rank factors (LoRA) of rank {lora.rank} and alpha "
            f"{lora.alpha:g} on {num_adapted} layers, merged into their kernels at the end."
        )
    if phase.method == "fit" and phase.fit.mixup:
        sentences.append(f"Blends pairs of examples (mixup, alpha {phase.fit.mixup:g}).")
    if phase.method == "fit" and phase.fit.weight_decay is not None:
        sentences.append(f"Weight decay {phase.fit.weight_decay:g}.")
    return sentences


def _count_adapted(plan: Plan, phase: Phase) -> int:
    from kft.strategies.traits import find_lora_layers

    if phase.scope.lora is None:
        return 0
    blocks = [b for b in plan.assembled.backbone.blocks if b.name in phase.scope.trainable]
    return len(find_lora_layers(blocks, phase.scope.lora.layers))


def _describe_candidates(phase: Phase) -> str:
    """What differs between them is what is chosen: the blocks, or the rate."""
    blocks = [set(candidate.scope.trainable) for candidate in phase.choice.candidates]
    if all(other == blocks[0] for other in blocks):
        what = "Learning rate"
        values = [f"{candidate.fit.learning_rate:g}" for candidate in phase.choice.candidates]
    else:
        what = "Blocks"
        shared = set.intersection(*blocks)
        values = [
            " and ".join(name for name in candidate.scope.trainable if name not in shared)
            for candidate in phase.choice.candidates
        ]
    rule = "the best goes on"
    if phase.choice.is_sequential:
        rule = "the first that is not behind the start, beyond chance, goes on"
    return (
        f"{what} tried on validation for {phase.choice.pilot_steps:,} steps each: "
        f"{', '.join(values)}; {rule}. The table shows the first."
    )


def show_block_table(console: Console, phase: Phase, rows: Sequence[BlockRow]) -> None:
    """What becomes of each block; neighbours that are treated alike share a line."""
    lines = []
    for blocks in _group(rows):
        first, last = blocks[0], blocks[-1]
        name = first.block if first is last else f"{first.block} … {last.block} ({len(blocks)})"
        trainable = sum(row.trainable_parameters for row in blocks)
        line = (
            name,
            f"{sum(row.parameters for row in blocks):,}",
            f"{trainable:,}" if trainable else "frozen",
            _format_rate(phase, first),
            "" if first.batch_norm == "none" else first.batch_norm,
            first.computed_from,
        )
        lines.append(line)
    headings = ("block", "parameters>", "trainable>", "rate>", "batch norm", "from")
    show_table(console, headings, lines)


def _format_rate(phase: Phase, row: BlockRow) -> str:
    if row.block in phase.scope.trainable and phase.method == "solve":
        return "solved"
    return "" if row.learning_rate is None else f"{row.learning_rate:.3g}"


def _group(rows: Sequence[BlockRow]) -> Iterator[list[BlockRow]]:
    """Runs of neighbours that differ in their names and sizes alone."""

    def treatment(row: BlockRow) -> tuple[object, ...]:
        is_trained = row.trainable_parameters > 0
        return (is_trained, row.learning_rate, row.batch_norm, row.computed_from)

    for _, run in groupby(rows, treatment):
        yield list(run)
