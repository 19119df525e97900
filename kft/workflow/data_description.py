"""Description of a run's data and model, in lines of text."""

from __future__ import annotations

from kft.data.refusing import list_bad
from kft.examples import SPLIT_NAMES, Splits
from kft.workflow.plan import Plan


def describe_data(splits: Splits) -> list[str]:
    """List the number of examples, the classes, the split and what happened to every file."""
    counts = ", ".join(f"{len(splits.get(name))} {name}" for name in SPLIT_NAMES)
    names = splits.class_names
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    lines = [
        f"Data: {counts}; {len(names)} {splits.task.nouns}: {shown}",
        f"Split: {splits.origin}",
    ]
    lines.append(_add_up(splits))
    if splits.calibration is not None:
        lines.append(f"{splits.calibration.title}: {splits.calibration.origin}")
    for title, counts_by_word in (
        ("Ignored", splits.ignored),
        ("Repaired", splits.repaired),
        ("Noticed", splits.noticed),
    ):
        if counts_by_word:
            counted = sorted(counts_by_word.items())
            lines.append(f"{title}: {'; '.join(f'{word}: {count}' for word, count in counted)}")
    lines += [f"Note: {note}" for note in splits.notes]
    if splits.quarantined:
        lines += ["Quarantined:", *list_bad(splits.quarantined).splitlines()]
    return lines


def _add_up(splits: Splits) -> str:
    """Account for every file of the source in one sum."""
    used = sum(len(splits.get(name)) for name in SPLIT_NAMES)
    quarantined, ignored = len(splits.quarantined), sum(splits.ignored.values())
    return (
        f"Files: {used + quarantined + ignored:,} found = {used:,} used + {quarantined:,} "
        f"quarantined + {ignored:,} ignored"
    )


def describe_model(plan: Plan) -> list[str]:
    """List the backbone, and how the machine computes."""
    backbone, training = plan.assembled.backbone, plan.pipeline.training
    weights = f"sha256 {backbone.sha256[:12]}" if backbone.sha256 else "random weights"
    compiler = "with XLA" if training.jit_compile else "without XLA"
    return [
        f"Backbone: {backbone.name} at {backbone.input_spec}, "
        f"{backbone.model.count_params():,} parameters, {weights}",
        f"Machine: {training.precision}, {compiler}, {training.threads} threads, batches of "
        f"{training.batch_size}",
    ]
