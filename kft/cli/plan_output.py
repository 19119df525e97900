"""Output of `kft check`: the pipeline, the data, each phase with its block table, the risks."""

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
    from kft.strategies.phases import Folds
    from kft.timing import ResolvedSetting
    from kft.workflow import Plan


def show_plan(plan: Plan, choices: Sequence[ResolvedSetting], form: Form) -> None:
    """Print the resolved pipeline, data, measured settings, phases, block tables and risks.

    Args:
        plan: Plan of a run.
        choices: Settings that may be measured, with the origin of their values.
        form: Form of the output; JSON has everything, CSV only the block tables.
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
    """Make the JSON values of a plan."""
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
    """Make one record per block of each phase, in order."""
    for number, forecast in enumerate(forecasts, start=1):
        for row in forecast.rows:
            yield {"phase": number, "phase_name": forecast.phase.name, **asdict(row)}


def _describe_phases(plan: Plan) -> list[list[str]]:
    """Describe each phase in sentences."""
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
    console.print("Risks" if risks else "No risks found.")
    for risk in risks:
        console.print(f"  - {risk}", soft_wrap=True)


def _show_choices(
    console: Console, choices: Sequence[ResolvedSetting], forecast_seconds: float
) -> None:
    """Print the measurable settings, and advise a benchmark if the run is long enough."""
    from kft.timing import is_worth_measuring

    console.print("\nChoices for this machine\n")
    width = max(len(choice.value) for choice in choices)
    show_pairs(console, [(c.setting, f"{c.value.ljust(width)}  {c.origin}") for c in choices])
    if any(choice.is_unmeasured for choice in choices) and is_worth_measuring(forecast_seconds):
        console.print()
        show_paragraph(
            console,
            "The forecast is long enough to make a benchmark worthwhile: run `kft benchmark` with "
            "the same settings first.",
        )


def _show_phases(console: Console, forecasts: Sequence[PhaseForecast]) -> None:
    """Print one line per phase: its length, inputs and cost."""
    from kft.display import format_seconds
    from kft.strategies.phases import COMPUTED_FROM_INPUTS

    rows = []
    for forecast in forecasts:
        phase = forecast.phase
        is_solved = phase.method == "solve"
        starts_from_inputs = forecast.computed_from == COMPUTED_FROM_INPUTS
        row = (
            phase.name,
            "solved" if is_solved else f"{phase.fit.steps:,}",
            "" if is_solved else f"{phase.fit.steps / phase.fit.steps_per_epoch:.3g}",
            phase.recipe.augmentation,
            COMPUTED_FROM_INPUTS if starts_from_inputs else "cache",
            f"{forecast.trainable_parameters:,}",
            format_seconds(forecast.seconds),
        )
        rows.append(row)
    headings = ("phase", "steps>", "epochs>", "augmentation", "input", "trainable>", "time>")
    show_table(console, headings, rows, title="\nPhases")


def describe_phase(phase: Phase, before: Phase | None = None, *, num_adapted: int = 0) -> list[str]:
    """Describe in sentences the properties of a phase that its block table does not show.

    Args:
        phase: The planned phase.
        before: The phase that it continues.
        num_adapted: Number of layers with low-rank factors.
    """
    sentences = []
    if phase.method == "solve":
        sentences.append("Solves the head to its optimum on stored features, without steps.")
    if phase.choice.candidates:
        sentences.append(_describe_candidates(phase))
    if phase.choice.blends:
        is_probed = before is not None and len(before.scope.trainable) == 1
        start = "those of the probe" if is_probed else "its initial weights"
        sentences.append(
            f"Blends its weights with {start}, in the share that has the lowest loss on "
            "validation; a share of 0 keeps the start."
        )
    if phase.folds is not None:
        sentences.append(_describe_folds(phase.folds))
    if len(phase.learns_from) > 1:
        sentences.append(f"Learns from {' and '.join(phase.learns_from)}.")
    if phase.scope.part == "bias_norm":
        sentences.append("Trains only biases and normalisation (BitFit).")
    if (lora := phase.scope.lora) is not None:
        sentences.append(
            f"Trains low-rank factors (LoRA) of rank {lora.rank} and alpha "
            f"{lora.alpha:g} on {num_adapted} layers, and merges them into the kernels at the end."
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


def _describe_folds(folds: Folds) -> str:
    rates = ", ".join(f"{rate:g}" for rate in folds.rates)
    return (
        f"Learning rates are tried on one of {folds.count} folds for {folds.steps:,} steps each: "
        f"{rates}; the first of which a blend is better than the probe is taken, or the phase is "
        f"skipped. Another fold is left out until it decides, after {folds.judged_after:,} steps, "
        "the share of the trained weights in the result. The table shows the first rate."
    )


def _describe_candidates(phase: Phase) -> str:
    """Describe the candidates by what differs between them: the blocks, or the rate."""
    blocks = [set(candidate.scope.trainable) for candidate in phase.choice.candidates]
    if all(other == blocks[0] for other in blocks):
        subject = "Learning rates"
        values = [f"{candidate.fit.learning_rate:g}" for candidate in phase.choice.candidates]
    else:
        subject = "Blocks"
        shared = set.intersection(*blocks)
        values = [
            " and ".join(name for name in candidate.scope.trainable if name not in shared)
            for candidate in phase.choice.candidates
        ]
    rule = "the best continues"
    if phase.choice.is_sequential:
        rule = "the first for which a blend is better than the start is chosen"
    return (
        f"{subject} tried on validation for {phase.choice.pilot_steps:,} steps each: "
        f"{', '.join(values)}; {rule}. The table shows the first."
    )


def show_block_table(console: Console, phase: Phase, rows: Sequence[BlockRow]) -> None:
    """Print the treatment of each block; neighbours with equal treatment share a line."""
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
    headings = ("block", "parameters>", "trainable>", "rate>", "batch norm", "input")
    show_table(console, headings, lines)


def _format_rate(phase: Phase, row: BlockRow) -> str:
    if row.block in phase.scope.trainable and phase.method == "solve":
        return "solved"
    return "" if row.learning_rate is None else f"{row.learning_rate:.3g}"


def _group(rows: Sequence[BlockRow]) -> Iterator[list[BlockRow]]:
    """Group neighbours that differ only in their names and sizes."""

    def treatment(row: BlockRow) -> tuple[object, ...]:
        is_trained = row.trainable_parameters > 0
        return (is_trained, row.learning_rate, row.batch_norm, row.computed_from)

    for _, run in groupby(rows, treatment):
        yield list(run)
