"""Measures the fastest settings for the machine and the model at hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from kft.config import Pipeline
from kft.machine import (
    available_memory,
    default_threads,
    describe_machine,
    load,
    num_cores,
)
from kft.measuring.bench import Bench, Deadline, Variant
from kft.measuring.choosing import Chooser, Chosen
from kft.measuring.record import DEFAULT_PRECISION, Measured, describe_model, save_measured
from kft.runs.storage import check_cache

BUDGET_SECONDS = 30.0
# Above it, what else runs on the machine is likely to disturb.
BUSY_SHARE = 0.5
# Ending the processes and writing the record come after the last trial.
_RESERVED_SECONDS = 1.0


def measure(
    pipeline: Pipeline,
    say: Callable[[str], None],
    *,
    budget_seconds: float = BUDGET_SECONDS,
) -> Measured:
    """The fastest precision, threads, batch size and XLA or not; remembered for next time.

    Full training steps of the pipeline's backbone with random weights and
    random pixels are timed in processes of their own; no data is read. What
    the pipeline gives rather than leaves to `auto` is kept. A default stays
    unless something else is 10 % faster.

    Args:
        pipeline: Of which the backbone and the `training` section count.
        say: Takes a line about what is being done.
        budget_seconds: When it ends, whatever was measured until then;
            with nothing measured, nothing is remembered.

    Raises:
        BackboneError: There is no such backbone.
        StorageError: The cache folder, where the result would be kept, cannot be written.
    """
    check_cache()
    deadline = Deadline(budget_seconds - _RESERVED_SECONDS)
    default, *others = list_variants(pipeline)
    given_jit = pipeline.training.jit_compile
    say(f"Measuring {describe_model(pipeline)} for up to {budget_seconds:.0f} s")
    if load() > BUSY_SHARE * num_cores():
        say(
            f"  In the last minute {load():.1f} processes wanted one of the {num_cores()} "
            "cores: the figures will be rough. Measure again when the machine is idle."
        )
    with Bench(pipeline) as bench:
        chooser = Chooser(
            bench,
            default,
            deadline,
            cores=num_cores(),
            memory_bytes=available_memory(),
            jit_compile=None if given_jit == "auto" else given_jit,
        )
        chosen = chooser.choose(others)
    measured = _record(pipeline, chosen, deadline.spent)
    if not measured.is_empty:
        save_measured(pipeline, measured)
    return measured


def list_variants(pipeline: Pipeline) -> Sequence[Variant]:
    """The default, then what is compared with it, each one step away."""
    training = pipeline.training
    precision = DEFAULT_PRECISION if training.precision == "auto" else training.precision
    threads = default_threads() if training.threads == "auto" else training.threads
    variants = [Variant(precision, threads)]
    if training.precision == "auto":
        variants.append(Variant("mixed_bfloat16", threads))
    if training.threads == "auto" and threads > 1:
        # Where two threads share a core, one of them can be the faster.
        variants.append(Variant(precision, threads // 2))
    return variants


def _record(pipeline: Pipeline, chosen: Chosen, seconds: float) -> Measured:
    machine = describe_machine()
    return Measured(
        precision=chosen.variant.precision,
        jit_compile=chosen.jit_compile,
        batch_size=chosen.batch_size,
        threads=chosen.variant.threads,
        trials=chosen.trials,
        seconds=round(seconds, 1),
        backbone=describe_model(pipeline),
        machine=f"{machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gigabytes']} GB, {machine['gpus']} GPUs",
        measured_at=datetime.fromtimestamp(time.time()).isoformat(timespec="seconds"),
    )
