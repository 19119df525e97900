"""Export of a finished run, from any directory, with or without its data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from kft.config import Pipeline
from kft.config.section import NAME_PATTERN
from kft.data.admission.check_files import check_files
from kft.data.file_patterns import find_named_files
from kft.data.refusing import list_bad
from kft.display import Display
from kft.errors import ConfigError, DataError
from kft.examples import Examples, Files, Quarantined
from kft.modalities import StatedInput, load_modality
from kft.modalities.checked import Checked, CheckOptions, to_examples
from kft.provenance import describe_data_set, load_run_pipeline
from kft.run_operations.asked_model import configure_stated
from kft.run_operations.run_data import load_run_splits
from kft.runs import RunDirectory, open_run
from kft.runs.layout import read_json
from kft.runs.storage import check_cache, check_folder
from kft.serving import (
    Export,
    ServedModel,
    ServingProcess,
    check_next_version,
    export_model,
)
from kft.training import load_trained
from kft.workflow import choose_parity_examples, describe_export, load_guard

_WITHOUT_DATA = (
    " To export without these data, give other files for the parity check: `--files FILES`."
)


@dataclass(frozen=True)
class Destination:
    """The destination of an export; None stands for the setting of the run's pipeline.

    Attributes:
        directory: Folder of all exports.
        name: Name of the model.
        next_version: See `export.next_version`.
    """

    directory: str | None = None
    name: str | None = None
    next_version: Literal["same", "any"] | None = None


def export_run(
    path: Path,
    display: Display,
    *,
    destination: Destination = Destination(),
    data: str | None = None,
    files: Sequence[str] = (),
) -> Export:
    """Export a finished run again, as the next version.

    Args:
        path: Path of the run.
        display: Shows the progress.
        destination: Destination of the export.
        data: New path of the run's data, if they have moved; they must be the same data.
        files: Files, folders or globs for the parity check, in place of the data.

    Raises:
        RunError: There is no finished run at `path`.
        DataError: The run's data are missing or have changed, or a file cannot be used.
        ConfigError: The current version is another model.
        ExportError: The export's answers differ from the model's.
        StorageError: The run, the cache or the folder of exports is not writable.
    """
    run = open_run(path)
    run.check_writable()
    check_cache()
    pipeline = load_run_pipeline(run, data=data)
    name = destination.name or pipeline.name
    if not re.match(NAME_PATTERN, name):
        raise ConfigError(
            f"--name {name!r}: not a valid name. Use letters, digits, '.', '_' and '-', and begin "
            "with a letter or digit."
        )
    directory = Path(destination.directory or pipeline.export.directory)
    check_folder(directory, "--directory" if destination.directory else "export.directory")
    data_set = describe_data_set(pipeline, read_json(run.manifest)["data_fingerprint"])
    check_next_version(
        directory / name,
        {**read_json(run.model_card), "data": data_set},
        allowed=destination.next_version or pipeline.export.next_version,
        remedy="--name OTHER, or --next-version any",
    )
    with ServingProcess() as process:
        trained = load_trained(run)
        if files:
            examples = _check_named(files, trained.stated, pipeline.export.parity_examples)
        else:
            examples = _choose_own(run, pipeline, display)
        card = read_json(run.model_card) | describe_export(
            run,
            data_set,
            files="given by --files" if files else "of the run's data",
            count=len(examples),
        )
        served = ServedModel(trained.model, trained.head, trained.decoder, load_guard(run))
        with run.hold(), display.track("Export and its parity check"):
            export = export_model(
                served, directory / name, examples=examples, card=card, process=process
            )
            run.write_status(**{**run.read_status(), "export": str(export.path)})
    return export


def _choose_own(run: RunDirectory, pipeline: Pipeline, display: Display) -> Examples:
    """Choose pictures of the run's own data, after checking that the data are unchanged."""
    splits = load_run_splits(run, pipeline, display, alternative=_WITHOUT_DATA)
    return choose_parity_examples(splits, pipeline.export.parity_examples)


def _check_named(patterns: Sequence[str], stated: StatedInput, count: int) -> Examples:
    """Check up to `count` of the files, evenly spread, and list the files to read for them.

    Raises:
        DataError: There are no pictures, or some cannot be used.
    """
    found = find_named_files(patterns, load_modality(stated.spec.modality))
    files = tuple(dict.fromkeys(found.files))
    chosen = np.linspace(0, len(files) - 1, min(count, len(files))).astype(int)
    names = tuple(files[i] for i in chosen)
    paths = tuple(str(Path(name).absolute()) for name in names)
    targets = np.zeros(len(names), np.int64)
    outcomes = check_files(
        Examples(names, Files(paths), targets),
        configure_stated(stated),
        options=CheckOptions(trained=stated.trained),
    )
    bad = [outcome for outcome in outcomes if isinstance(outcome, Quarantined)]
    bad += found.quarantined
    if bad:
        raise DataError(
            f"--files: {len(bad)} files cannot be used. Repair or remove them.\n{list_bad(bad)}"
        )
    checked = [outcome for outcome in outcomes if isinstance(outcome, Checked)]
    return to_examples(checked, targets)
