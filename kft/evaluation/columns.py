"""Properties of examples by which answers are sliced: from names, files, tables and answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from kft.config import DataConfig
from kft.data.admission.check_files import check_files
from kft.evaluation.slices import Column
from kft.examples import Examples, Files
from kft.modalities import choose_modality
from kft.modalities.checked import Checked, CheckOptions
from kft.tasks import Task

# Examples whose files are read once more for their size, brightness or length.
_MOST_READ = 2_000


def list_columns(
    examples: Examples,
    config: DataConfig,
    task: Task,
    names: Sequence[str],
    outputs: np.ndarray,
) -> dict[str, Column]:
    """List the properties of judged examples: answer, file, metadata, and what their files hold.

    Args:
        examples: The examples.
        config: The `data` section that they were read with.
        task: Task of the answers.
        names: Name of each output.
        outputs: Answers in the unit of the targets (examples, outputs).
    """
    columns = {}
    if task.has_classes:
        columns["answer"] = Column([names[place] for place in outputs.argmax(axis=1)])
    if isinstance(examples.inputs, Files):
        columns |= _describe_names(examples)
    columns |= {name: Column(values) for name, values in examples.metadata.items()}
    if len(examples) <= _MOST_READ:
        columns |= _read_files(examples, config)
    return columns


def _describe_names(examples: Examples) -> dict[str, Column]:
    """List file type and folder."""
    paths = list(map(PurePosixPath, examples.ids))
    columns = {"file type": Column([path.suffix.lower() or "none" for path in paths])}
    folders = [str(path.parent) for path in paths]
    targets = [target.tobytes() for target in examples.targets]
    # The folders of classes would only repeat the recall of these.
    if len(set(folders)) < len(set(zip(folders, targets, strict=True))):
        columns["folder"] = Column(folders)
    return columns


def _read_files(examples: Examples, config: DataConfig) -> dict[str, Column]:
    """List what the modality measures of files, such as size, brightness or length."""
    modality = choose_modality(config)
    options = CheckOptions(decode=False, with_measures=True)
    checked = check_files(examples, config, options=options)
    seen = [each for each in checked if isinstance(each, Checked)]
    if len(seen) < len(checked):
        # A file changed since it was judged.
        return {}
    columns = {each.name: Column(each.values, each.texts) for each in modality.list_measures(seen)}
    for each in modality.list_properties(seen):
        if each.is_technical and each.name not in columns:
            columns[each.name] = Column(each.values)
    return columns
