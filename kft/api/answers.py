"""Predictions in Python, with a run or an export."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kft.api.process import restored_process
from kft.api.values import Value, as_files
from kft.display import make_display
from kft.errors import DataError
from kft.examples import Quarantined

if TYPE_CHECKING:
    from kft.modalities import Modality
    from kft.run_operations.predict import LoadedModel
    from kft.serving import Answer


class ExamplePredictor:
    """Base of `Run` and `Exported`, which predict examples.

    Args:
        path: Path of the run or export.

    Attributes:
        path: The path as given.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser()
        self._loaded: LoadedModel | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def predict(self, examples: Value | Iterable[Value]) -> list[Answer]:
        """Predict examples as `kft predict` does; answers are in their order.

        >>> run.predict("photos/val")[0].best(2)
        >>> run.predict(numpy.zeros((10, 224, 224, 3), "uint8"))
        >>> of_texts.predict(["a fine film", "two hours too long"])

        Examples in memory are written as files, so that they are decoded like training files. The
        model is loaded once.

        Args:
            examples: One or several. Of pictures: a file, a folder, a pattern such as
                `photos/**/*.jpg`, a PIL picture, an array uint8 (height, width, 3) or (pictures,
                height, width, 3). Of texts: a string, or the `Path` of a file or folder. Of
                recordings: a file, or a pair (samples, rate). Of all: bytes as a file holds them.

        Raises:
            DataError: An example cannot be used; all such examples are named with the reason.
            RunError: The run is not finished.
        """
        with restored_process():
            from kft.modalities import choose_modality
            from kft.run_operations.asked_model import read_config

            modality = choose_modality(read_config(self.path))
            with as_files(examples, modality) as (files, names):
                return self._predict_files(files, names, modality)

    def _predict_files(
        self, files: Sequence[str], names: Mapping[str, str], modality: Modality
    ) -> list[Answer]:
        """Predict files, some of which have other names in answers and messages."""
        from kft.data.file_patterns import find_named_files
        from kft.data.refusing import list_bad
        from kft.run_operations.predict import load_model, predict_pieces

        named = find_named_files(files, modality)
        self._loaded = self._loaded or load_model(self.path, len(named.files))
        display = make_display()
        outcomes = predict_pieces(
            *self._loaded,
            named.files,
            lambda file, words: display.stage(f"{names.get(file, file)}: {', '.join(words)}"),
        )
        answers: list[Answer] = []
        bad = list(named.quarantined)
        for file, outcome in zip(named.files, outcomes, strict=True):
            name = names.get(file, file)
            if isinstance(outcome, Quarantined):
                bad.append(replace(outcome, name=name))
            else:
                answers.append(replace(outcome, file=name))
        if bad:
            raise DataError(
                f"{len(bad)} of {len(bad) + len(answers)} {modality.nouns} cannot be used. Repair "
                f"or remove them.\n{list_bad(bad)}"
            )
        return answers


class Exported(ExamplePredictor):
    """An export: a SavedModel for TensorFlow Serving, called through the same signature.

    >>> exported = kft.load("saved_models/photos")
    >>> exported.predict("photos/val/bees/151603988_2c6f7d14c7.jpg")[0].chosen
    ['bees']

    Args:
        path: Path of the export, or of the folder of its versions.

    Attributes:
        path: The path as given.
    """
