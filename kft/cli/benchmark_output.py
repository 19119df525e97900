"""Output of `kft benchmark`: the timings, the chosen settings, and how to override them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from kft.cli.records import Form, print_csv, print_document
from kft.cli.tables import make_console, show_pairs, show_table

if TYPE_CHECKING:
    from kft.config import Pipeline
    from kft.timing import Measured, Timing


def show_measured(measured: Measured, pipeline: Pipeline, form: Form) -> None:
    """Print one record per timing, then the choices; JSON has both."""
    if form == "json":
        print_document(asdict(measured))
    elif form == "csv":
        print_csv(map(asdict, measured.timings))
    else:
        _show_text(measured, pipeline)


def _show_text(measured: Measured, pipeline: Pipeline) -> None:
    from kft.timing import find_record

    console = make_console()
    console.print(f"\n{measured.backbone}\n{measured.machine}", soft_wrap=True)
    rows = (
        (
            timing.precision,
            "yes" if timing.jit_compile else "no",
            str(timing.batch_size),
            *_format_speed(timing, measured),
            "" if timing.peak_bytes is None else f"{timing.peak_bytes / 1e9:.1f} GB",
            timing.note or ("chosen" if _is_chosen(timing, measured) else ""),
        )
        for timing in measured.timings
    )
    headings = ("precision", "XLA", "batch>", "examples/s>", "ratio>", "memory>", "")
    show_table(console, headings, rows)
    if measured.is_empty:
        console.print(
            f"Nothing could be measured in {measured.seconds:.0f} s, so nothing is stored. "
            "Stop other programs, or allow more time with `--seconds 60`.",
            soft_wrap=True,
        )
        return
    show_pairs(console, _describe_settings(measured, pipeline))
    console.print(
        f"\nTook {measured.seconds:.0f} s. Stored in {find_record(pipeline)}", soft_wrap=True
    )
    console.print(
        "On this machine, `auto` now stands for these settings of this model. To override one: "
        "`kft train … training.precision=float32`.",
        soft_wrap=True,
    )


def _describe_settings(measured: Measured, pipeline: Pipeline) -> list[tuple[str, str]]:
    """List each setting with its measured value, and a run's own value if it is not `auto`."""
    from kft.timing import describe_choices

    values = {
        "precision": measured.precision,
        "jit_compile": str(measured.jit_compile).lower(),
        "global_batch_size": str(measured.batch_size),
    }
    rows = []
    for choice in describe_choices(pipeline, measured):
        if choice.setting == "training.threads":
            continue
        value = values[choice.setting.rpartition(".")[2]]
        if choice.value != value:
            value += f"  (a run uses {choice.value}, unless {choice.setting}=auto)"
        rows.append((choice.setting, value))
    return rows


def _format_speed(timing: Timing, measured: Measured) -> tuple[str, str]:
    """Format the examples per second, and their ratio to the first timing."""
    speed = timing.examples_per_second
    if speed is None:
        return "", ""
    first = next(t.examples_per_second for t in measured.timings if t.examples_per_second)
    return f"{speed:.1f}", f"{speed / first:.2f}"


def _is_chosen(timing: Timing, measured: Measured) -> bool:
    """Whether a timing is the one of the chosen settings."""
    return timing.batch_size == measured.batch_size and (
        (timing.precision, timing.jit_compile) == (measured.precision, measured.jit_compile)
    )
