"""Input settings of a finished run or an export, read without loading its model."""

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
    """Read the `data` section with which files are prepared for a run's model or an export.

    Raises:
        RunError: `path` is neither a finished run nor an export.
    """
    stated = _read_stated(path)
    return DataConfig() if stated is None else configure_stated(stated)


def read_calibration(path: Path) -> TrainedCalibration:
    """Read the calibration of the data that a run's model or an export was trained on.

    Raises:
        RunError: `path` is neither a finished run nor an export.
    """
    stated = _read_stated(path)
    return TrainedCalibration(None) if stated is None else stated.trained


def configure_stated(stated: StatedInput) -> DataConfig:
    """Make the `data` section with which files are prepared for a model with this input."""
    modality = stated.spec.modality
    return DataConfig().model_copy(update={"modality": modality, modality: stated.settings})


def _read_stated(path: Path) -> StatedInput | None:
    """Read the input from the model's card; None for an export without one."""
    if is_export(path):
        version = find_version(path)
        assert version is not None
        card = read_card(version)
        return None if card is None else read_input(card)
    if not is_run(path):
        raise RunError(
            f"{path}: neither a run (`kft runs` lists them) nor an export (a folder with "
            "saved_model.pb, or with numbered versions)."
        )
    return read_input(read_json(open_run(path).model_card))
