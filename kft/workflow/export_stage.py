"""The last stage: what is exported, under which name, and which pictures prove it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kft.display import Display
from kft.examples import Splits
from kft.provenance import describe_data_set
from kft.runs import RunDirectory
from kft.serving import Export, check_next_version, export_model
from kft.training import make_card
from kft.workflow.plan import Plan


def export_planned(plan: Plan, run: RunDirectory, path: Path, display: Display) -> Export:
    """The next version, of the model that a plan's run has trained.

    Args:
        plan: Of the run.
        run: Its directory.
        path: By which people name it.
        display: What a person sees meanwhile.

    Raises:
        ConfigError: The present version has become another model meanwhile.
        ExportError: The export does not answer as the model does.
    """
    pipeline = plan.pipeline
    directory = Path(pipeline.export.directory)
    files = choose_parity_files(plan.splits, pipeline.export.parity_examples)
    card = make_card(plan.assembled, pipeline, plan.splits.calibrated) | describe_export(
        run,
        describe_data_set(pipeline, plan.splits.fingerprint),
        files="of the run's data",
        count=len(files),
    )
    check_next_version(
        directory / pipeline.name,
        card,
        allowed=pipeline.export.next_version,
        mend=f"`kft export {path}` with --name OTHER or --next-version any",
    )
    with display.track("Export and its parity gate"):
        return export_model(
            plan.assembled.model,
            plan.assembled.head,
            plan.decoder,
            directory=directory,
            name=pipeline.name,
            files=files,
            card=card,
        )


def describe_export(
    run: RunDirectory, data: Mapping[str, Any], *, files: str, count: int
) -> dict[str, Any]:
    """What the card of an export says beside that of its model, as JSON values.

    Args:
        run: That it comes from.
        data: Of `describe_data_set`.
        files: Which ones the parity gate asked about.
        count: How many.
    """
    return {
        "run": os.path.normpath(run.path.absolute()),
        "data": dict(data),
        "parity": {"files": files, "count": count},
    }


def choose_parity_files(splits: Splits, count: int) -> list[str]:
    """`count` files spread evenly over the holdout.

    Where a user kept no holdout they come from validation, and else from train.
    """
    examples = next(part for part in (splits.holdout, splits.validation, splits.train) if len(part))
    chosen = np.linspace(0, len(examples) - 1, min(count, len(examples))).astype(int)
    return [examples.paths[i] for i in chosen]
