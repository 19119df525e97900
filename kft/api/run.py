"""A run in Python: its figures, predictions and operations."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kft.api.answers import ExamplePredictor, Exported
from kft.api.labelled_values import is_path, store_values
from kft.api.process import restored_process
from kft.api.run_pages import RunPages
from kft.display import make_display
from kft.errors import ConfigError, RunError
from kft.runs import find_run
from kft.runs.layout import read_json

if TYPE_CHECKING:
    import keras
    import pyarrow

    from kft.api.settings import Section, Source

# Columns of predictions.csv that hold names, even if a name looks like a number.
_NAMES = ("file", "true", "predicted", *(f"choice {place}" for place in range(1, 6)))


class Run(RunPages, ExamplePredictor):
    """A run, with its figures, predictions and operations.

    >>> run = kft.load("runs/photos/first")
    >>> run.metrics["accuracy"]
    0.9078947368421053

    A notebook shows a run with its loss curves and some pictures.

    Args:
        path: Path of the run's directory.

    Attributes:
        path: The path as given.

    Raises:
        RunError: There is no run at `path`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self._directory = find_run(self.path)

    @property
    def name(self) -> str:
        """Name and run ID, such as 'photos/first'."""
        return "/".join(self.path.absolute().parts[-2:])

    @property
    def state(self) -> str:
        """State of the run: 'running', 'interrupted', 'failed' or 'finished'."""
        return str(self._directory.read_status()["state"])

    @property
    def metrics(self) -> dict[str, Any]:
        """Figures on the holdout, or on validation if the run has no holdout.

        >>> run.metrics["accuracy"], run.metrics["accuracy_95_percent_interval"]

        Raises:
            RunError: The run judged neither.
        """
        figures: dict[str, Any] = read_json(self._judged / "metrics.json")
        return figures

    @property
    def predictions(self) -> pyarrow.Table:
        """Answers about the examples of `metrics`, one row each, from `predictions.csv`.

        >>> run.predictions.column_names
        ['file', 'true', 'predicted', 'probability ants', 'probability bees']
        >>> run.predictions.to_pandas()

        Raises:
            RunError: The run judged neither holdout nor validation.
        """
        from kft.evaluation.prediction_reading import read_table

        return read_table(self._judged / "predictions.csv", names=_NAMES)

    @property
    def history(self) -> pyarrow.Table:
        """Loss and metrics after each epoch, with the columns phase, epoch, loss and metrics.

        >>> run.history["val_loss"]

        A solved phase has no epochs; if no phase has epochs, the table is empty.
        """
        import pyarrow as pa

        from kft.evaluation.prediction_reading import read_table

        tables = [pa.table({"phase": pa.array([], pa.string())})]
        for file in sorted(self.path.glob("phases/*/history.csv")):
            table = read_table(file)
            phase = file.parent.name.partition("-")[2].replace("-", "_")
            tables.append(table.add_column(0, "phase", pa.array([phase] * len(table), pa.string())))
        return pa.concat_tables(tables, promote_options="permissive")

    @cached_property
    def model(self) -> keras.Model:
        """Trained Keras model from float32 RGB pixels in 0 to 255 to logits.

        >>> run.model.summary()

        Raises:
            RunError: The run is not finished.
        """
        with restored_process():
            from kft.runs import open_run
            from kft.training import load_trained

            return load_trained(open_run(self.path)).model

    @property
    def backbone(self) -> Path | None:
        """Folder of the trained backbone, for `backbone=`; None except after `kft.pretrain`."""
        folder = self.path / "backbone"
        return folder if folder.is_dir() else None

    def evaluate(
        self,
        data: Source | None = None,
        *,
        split: Literal["holdout", "validation"] | None = None,
        settings: Section | None = None,
    ) -> dict[str, Any]:
        """Read or compute the figures on one of the run's splits, or on other labelled data.

        >>> run.evaluate(split="validation")["accuracy"]
        >>> run.evaluate("new.csv", settings={"table": {"path_column": "image"}})
        >>> run.evaluate((texts, labels))

        Args:
            data: Other labelled data, or a pair (examples, targets) in memory; the run decides the
                kind of target and the classes.
            split: Split of the run's data, by default the holdout; its figures are read, not
                computed again.
            settings: Keys of the section `data`, for reading other data.

        Raises:
            RunError: The run is not finished.
            ConfigError: The run decides a setting, or an argument has no effect.
            DataError: Other data cannot be read, or have other classes; or the split was not
                judged.
        """
        if data is not None and split is not None:
            raise ConfigError(
                "split selects the run's own data, data other data: give only one of them."
            )
        if data is None and settings:
            raise ConfigError("settings describe other data: give them only with data.")
        with restored_process():
            from kft.provenance import flatten
            from kft.run_operations.asked_model import read_config
            from kft.run_operations.evaluate import evaluate_run

            given = flatten({"data": settings}) if settings else ()
            overrides = [f"{key}={json.dumps(value)}" for key, value in given]
            if data is not None and not is_path(data):
                own = {**(settings or {}), "modality": read_config(self.path).modality}
                stored = store_values(data, own)
                overrides.append(f"data.table={json.dumps(stored.data['table'])}")
                data = stored.path
            assert data is None or is_path(data)
            return evaluate_run(
                self.path,
                make_display(),
                split=split or "holdout",
                data=None if data is None else os.fspath(data),
                overrides=overrides,
            )

    def export(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        name: str | None = None,
        next_version: Literal["same", "any"] | None = None,
        data: str | os.PathLike[str] | None = None,
        files: Sequence[str | os.PathLike[str]] = (),
    ) -> Exported:
        """Export the run again, as the next version, if its answers match the model's.

        >>> run.export("/srv/models").predict("new.jpg")

        Args:
            directory: Folder of all exports; by default as in the run's pipeline.
            name: Name of the model; by default the run's own.
            next_version: 'any' allows the model to follow a version with other classes or data.
            data: New path of the run's data, if they have moved.
            files: Pictures, folders or patterns for the parity check, instead of the run's data.

        Raises:
            RunError: The run is not finished.
            DataError: The run's data are missing or have changed, or files cannot be used.
            ConfigError: The current version is another model; or both data and files are given.
            ExportError: The export's answers differ from the model's.
        """
        if files and data is not None:
            raise ConfigError("files replace the run's data: give only one of files and data.")
        with restored_process():
            from kft.run_operations.export import Destination, export_run

            export = export_run(
                self.path,
                make_display(),
                destination=Destination(
                    None if directory is None else os.fspath(directory), name, next_version
                ),
                data=None if data is None else os.fspath(data),
                files=[os.fspath(file) for file in files],
            )
        return Exported(export.path)

    def resume(
        self, *, accept_changes: bool = False, data: str | os.PathLike[str] | None = None
    ) -> Run:
        """Resume a run that was stopped; it ends with the weights of an uninterrupted run.

        >>> kft.load("runs/photos/first").resume().metrics

        Args:
            accept_changes: Resume although data, weights or versions have changed since the run
                began.
            data: New path of the run's data, if they have moved.

        Raises:
            RunError: The run is finished, another process is writing into it, or something has
                changed.
            DataError: The run's data are missing.
        """
        from kft.provenance import read_interrupted

        interrupted = read_interrupted(self.path, data=None if data is None else os.fspath(data))
        with restored_process(interrupted.pipeline):
            from kft.workflow import resume

            resume(interrupted, make_display(), accept_changes=accept_changes)
        return self

    def _repr_html_(self) -> str:
        from kft.api.page import render_run

        return render_run(self)

    def __repr__(self) -> str:
        status = self._directory.read_status()
        score = f"; holdout: {status['holdout']}" if status.get("holdout") else ""
        return f"Run({str(self.path)!r}): {status['state']}{score}"

    @property
    def _judged(self) -> Path:
        """Folder of the run's main evaluation: the holdout's, or else validation's."""
        for split in ("holdout", "validation"):
            folder = self._directory.evaluation(split)
            if (folder / "metrics.json").is_file():
                return folder
        raise RunError(
            f"{self.path}: this run is {self.state} and judged neither holdout nor validation. "
            "Call `evaluate(DATA)` to judge a finished run on other labelled data."
        )
