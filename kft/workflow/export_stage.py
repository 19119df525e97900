"""The last stage: the export's name and card, and the pictures of its parity check."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kft.display import Display
from kft.examples import Examples, Splits
from kft.provenance import describe_data_set
from kft.runs import RunDirectory
from kft.serving import (
    Export,
    ServedModel,
    ServingProcess,
    check_next_version,
    export_model,
)
from kft.training import make_card
from kft.workflow.caution import load_guard
from kft.workflow.plan import Plan


def export_planned(
    plan: Plan, run: RunDirectory, path: Path, display: Display, process: ServingProcess
) -> Export:
    """Export the model that a plan's run has trained, as the next version.

    Args:
        plan: The run's plan.
        run: The run directory.
        path: The run's path as the user gave it.
        display: Shows the progress.
        process: Process for the parity check.

    Raises:
        ConfigError: Another model was exported under this name in the meantime.
        ExportError: The export's answers differ from the model's.
    """
    pipeline = plan.pipeline
    folder = Path(pipeline.export.directory) / pipeline.name
    examples = choose_parity_examples(plan.splits, pipeline.export.parity_examples)
    card = make_card(plan.assembled, pipeline, plan.splits.calibrated) | describe_export(
        run,
        describe_data_set(pipeline, plan.splits.fingerprint),
        files="of the run's data",
        count=len(examples),
    )
    check_next_version(
        folder,
        card,
        allowed=pipeline.export.next_version,
        remedy=f"`kft export {path}` with --name OTHER or --next-version any",
    )
    for package in card["packages"]:
        display.stage(
            f"The export needs {package}: `import {package.replace('-', '_')}` before loading it. "
            "TensorFlow Serving has it linked in."
        )
    with display.track("Export and its parity check"):
        served = ServedModel(
            plan.assembled.model, plan.assembled.head, plan.decoder, load_guard(run)
        )
        return export_model(served, folder, examples=examples, card=card, process=process)


def describe_export(
    run: RunDirectory, data: Mapping[str, Any], *, files: str, count: int
) -> dict[str, Any]:
    """Make the entries that an export's card has in addition to its model's, as JSON values.

    Args:
        run: Run that is exported.
        data: Result of `describe_data_set`.
        files: Origin of the files in the parity check.
        count: Number of these files.
    """
    return {
        "run": os.path.normpath(run.path.absolute()),
        "data": dict(data),
        "parity": {"files": files, "count": count},
    }


def choose_parity_examples(splits: Splits, count: int) -> Examples:
    """Choose `count` examples spread evenly over the holdout.

    Without a holdout they come from validation; without validation, from train.
    """
    examples = next(part for part in (splits.holdout, splits.validation, splits.train) if len(part))
    chosen = np.linspace(0, len(examples) - 1, min(count, len(examples))).astype(int)
    return examples.take(chosen)
