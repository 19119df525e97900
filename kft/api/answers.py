"""Prediction of pictures in Python, with a run or an export."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kft.api.pictures import Picture, as_files
from kft.api.process import restored_process
from kft.display import make_display
from kft.errors import DataError
from kft.examples import Quarantined

if TYPE_CHECKING:
    from kft.run_operations.predict import LoadedModel
    from kft.serving import Answer


class PicturePredictor:
    """Base of `Run` and `Exported`, which predict pictures.

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

    def predict(self, pictures: Picture | Iterable[Picture]) -> list[Answer]:
        """Predict pictures as `kft predict` does; answers are in the order of the pictures.

        >>> run.predict("photos/val")[0].best(2)
        >>> run.predict(numpy.zeros((10, 224, 224, 3), "uint8"))

        Arrays and PIL pictures are converted to PNG files, so that they are decoded like training
        files. The model is loaded once.

        Args:
            pictures: A file, a folder, a pattern such as `photos/**/*.jpg`, a PIL picture, an
                array uint8 (height, width, 3) or (pictures, height, width, 3); or several of them.

        Raises:
            DataError: A picture cannot be used; all such pictures are named with the reason.
            RunError: The run is not finished.
        """
        with restored_process(), as_files(pictures) as (files, names):
            from kft.data.file_patterns import find_named_files
            from kft.data.refusing import list_bad
            from kft.modalities import choose_modality
            from kft.run_operations.asked_model import read_config
            from kft.run_operations.predict import load_model, predict_pieces

            named = find_named_files(files, choose_modality(read_config(self.path)))
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
                    f"{len(bad)} of {len(bad) + len(answers)} pictures cannot be used. Repair or "
                    f"remove them.\n{list_bad(bad)}"
                )
        return answers


class Exported(PicturePredictor):
    """An export: a SavedModel for TensorFlow Serving, called through the same signature.

    >>> exported = kft.load("saved_models/photos")
    >>> exported.predict("photos/val/bees/151603988_2c6f7d14c7.jpg")[0].chosen
    ['bees']

    Args:
        path: Path of the export, or of the folder of its versions.

    Attributes:
        path: The path as given.
    """
