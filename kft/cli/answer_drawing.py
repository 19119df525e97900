"""Drawing of the dense answers of `kft predict`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kft.examples import Quarantined

if TYPE_CHECKING:
    from kft.serving import Answer


def draw_answers(
    outcomes: Iterable[Answer | Quarantined], files: Sequence[str], folder: Path, model: Path
) -> Iterator[Answer | Quarantined]:
    """Pass on the outcomes, and draw each answer into a folder as NUMBER-NAME.png.

    Args:
        outcomes: One outcome per file.
        files: Path of each file.
        folder: Folder, which is made.
        model: Path of the model.

    Raises:
        UsageError: The model has no answers to draw.
    """
    from kft.modalities import choose_modality
    from kft.run_operations.asked_model import read_config
    from kft.runs.atomic import write_bytes

    config = read_config(model)
    modality = choose_modality(config)
    for number, (outcome, file) in enumerate(zip(outcomes, files, strict=True), start=1):
        if not isinstance(outcome, Quarantined):
            if outcome.companion is None:
                raise click.UsageError(
                    f"--draw: the answers of this model are {outcome.task.nouns}, which are not "
                    "drawn. It is for masks and boxes."
                )
            drawn = modality.draw_answer(
                file, outcome.companion, tuple(outcome.values), modality.settings_of(config)
            )
            if drawn is not None:
                folder.mkdir(parents=True, exist_ok=True)
                write_bytes(folder / f"{number:04d}-{Path(file).stem}.png", drawn)
        yield outcome
