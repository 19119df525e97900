"""How files are made ready for a finished run or an export, read without loading its model."""

from __future__ import annotations

from pathlib import Path

from kft.config import DataConfig
from kft.errors import RunError
from kft.modalities import StatedInput
from kft.modalities.checked import TrainedCalibration
from kft.runs import is_run, open_run
from kft.runs.layout import read_json
from kft.serving import find_version, is_export
from kft.serving.versions import read_card
from kft.training.saving import read_input


def read_config(path: Path) -> DataConfig:
    """The `data` section by which files are made ready for a run's model, or an export.

    Raises:
        RunError: `path` is neither a finished run nor an export.
    """
    stated = _read_stated(path)
    return DataConfig() if stated is None else configure_stated(stated)


def read_calibration(path: Path) -> TrainedCalibration:
    """What a run's model, or an export, knows of the calibration of its data.

    Raises:
        RunError: `path` is neither a finished run nor an export.
    """
    stated = _read_stated(path)
    return TrainedCalibration(None) if stated is None else stated.trained


def configure_stated(stated: StatedInput) -> DataConfig:
    """The `data` section by which files are made ready for a model that says this of its input."""
    modality = stated.spec.modality
    return DataConfig().model_copy(update={"modality": modality, modality: stated.settings})


def _read_stated(path: Path) -> StatedInput | None:
    """What is said of the input; None of an export that says nothing."""
    if is_export(path):
        version = find_version(path)
        assert version is not None
        card = read_card(version)
        return None if card is None else read_input(card)
    if not is_run(path):
        raise RunError(
            f"{path}: neither a run (`kft runs` lists them) nor an export (a folder that holds "
            "saved_model.pb, or numbered versions)."
        )
    return read_input(read_json(open_run(path).model_card))
