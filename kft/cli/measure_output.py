"""What `kft measure` prints: the trials, what was chosen, and how to have it otherwise."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from kft.cli.records import Form, print_csv, print_document
from kft.cli.tables import make_console, show_pairs, show_table

if TYPE_CHECKING:
    from kft.config import Pipeline
    from kft.measuring import Measured, Trial


def show_measured(measured: Measured, pipeline: Pipeline, form: Form) -> None:
    """A record a trial, then the choices; in JSON all of it."""
    if form == "json":
        print_document(asdict(measured))
    elif form == "csv":
        print_csv(map(asdict, measured.trials))
    else:
        _show_text(measured, pipeline)


def _show_text(measured: Measured, pipeline: Pipeline) -> None:
    from kft.measuring import find_record

    console = make_console()
    console.print(f"\n{measured.backbone}\n{measured.machine}", soft_wrap=True)
    rows = (
        (
            trial.candidate.partition("batch ")[0] or "batch size",
            str(trial.batch_size),
            "" if trial.examples_per_second is None else f"{trial.examples_per_second:.1f}",
            "" if trial.ratio is None else f"{trial.ratio:.2f}",
            _format_memory(trial),
            _remark(trial, measured),
        )
        for trial in measured.trials
    )
    show_table(console, ("tried", "batch>", "examples/s>", "ratio>", "memory>", ""), rows)
    if measured.is_empty:
        console.print(
            f"Nothing could be measured in {measured.seconds:.0f} s, so nothing is remembered. "
            "Let other programs end, or give it more time with `--seconds 60`.",
            soft_wrap=True,
        )
        return
    show_pairs(console, _describe_settings(measured, pipeline))
    console.print(
        f"\nTook {measured.seconds:.0f} s. Remembered in {find_record(pipeline)}", soft_wrap=True
    )
    console.print(
        "It is what `auto` means for this model on this machine. To have it otherwise: "
        "`kft train … training.precision=float32`.",
        soft_wrap=True,
    )


def _describe_settings(measured: Measured, pipeline: Pipeline) -> list[tuple[str, str]]:
    """Each setting with its measured value, and what a run takes where that is not `auto`."""
    from kft.measuring import describe_choices

    values = {
        "precision": measured.precision,
        "jit_compile": str(measured.jit_compile).lower(),
        "threads": str(measured.threads),
        "global_batch_size": str(measured.batch_size),
    }
    rows = []
    for choice in describe_choices(pipeline, measured):
        value = values[choice.setting.rpartition(".")[2]]
        if choice.value != value:
            value += f"  (a run takes {choice.value}, unless {choice.setting}=auto)"
        rows.append((choice.setting, value))
    return rows


def _format_memory(trial: Trial) -> str:
    return "" if trial.peak_bytes is None else f"{trial.peak_bytes / 1e9:.1f} GB"


def _remark(trial: Trial, measured: Measured) -> str:
    """Why there is no figure, or that this is what was chosen."""
    if trial.note:
        return trial.note
    settings = (trial.precision, trial.threads)
    if settings != (measured.precision, measured.threads):
        return ""
    if trial.jit_compile:
        return "chosen" if measured.jit_compile else ""
    if trial.candidate.startswith("batch"):
        return "chosen" if trial.batch_size == measured.batch_size else ""
    return "chosen"
