"""What a run in Python says about itself: report, explanations, robustness, changes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kft.api.explanations import Explanations
from kft.api.process import restored_process
from kft.api.values import Value, as_files
from kft.display import make_display

if TYPE_CHECKING:
    from kft.evaluation.changes import Changes
    from kft.evaluation.robustness import Robustness


class RunPages:
    """Base of `Run`: its report, and what is computed for it on request.

    Attributes:
        path: Path of the run.
    """

    path: Path

    def report(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        split: str | None = None,
    ) -> Path:
        """Write the report, one HTML file that needs no network; return its path.

        >>> run.report("report.html")

        Args:
            path: File to write; by default report.html in the run's folder of the evaluation.
            split: 'holdout', 'validation', or other data that were judged, as 'other-NAME'; by
                default the holdout, or validation without one.

        Raises:
            RunError: The run is not finished, or did not judge that split.
        """
        from kft.report import write_report

        return write_report(self.path, path, split=split)

    def explain(
        self,
        examples: Value | Iterable[Value] = (),
        *,
        mistakes: int | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> Explanations:
        """Show what answers depend on, as `kft explain` does.

        >>> run.explain("new.jpg")
        >>> run.explain(mistakes=12)

        Args:
            examples: See `predict`; none for the most costly mistakes of the run's evaluation,
                which need its data.
            mistakes: Number of these mistakes, by default 6.
            folder: Folder to write; by default `explanations` in the run, where its report shows
                them.

        Raises:
            DataError: An example cannot be used, or the run's data are missing or have changed.
            RunError: The run is not finished, or its model cannot be explained.
        """
        with restored_process():
            from kft.data.file_patterns import find_named_files
            from kft.modalities import choose_modality
            from kft.run_operations.asked_model import read_config
            from kft.run_operations.explain import NUM_MISTAKES, explain_run

            modality = choose_modality(read_config(self.path))
            with as_files(examples, modality) as (files, names):
                explained = explain_run(
                    self.path,
                    make_display(),
                    find_named_files(files, modality).files,
                    mistakes=mistakes or NUM_MISTAKES,
                    folder=None if folder is None else Path(folder),
                )
        renamed = tuple(
            replace(each, file=names.get(each.file, each.file)) for each in explained.explanations
        )
        return Explanations(replace(explained, explanations=renamed))

    def measure_robustness(
        self, *, split: Literal["holdout", "validation"] | None = None
    ) -> Robustness:
        """Judge the run on corrupted examples, as `kft evaluate --robustness` does.

        >>> run.measure_robustness().rows["noise"][-1].value

        Args:
            split: Split of the run's data; by default the holdout, or validation without one.

        Raises:
            DataError: The run's data are missing or have changed.
            RunError: The run is not finished.
        """
        with restored_process():
            from kft.run_operations.robustness import measure_robustness

            return measure_robustness(self.path, make_display(), split=split)

    def measure_changes(self, source: str | os.PathLike[str] | None = None) -> Changes:
        """Compare the backbone with the pretrained one, as `kft evaluate --changes` does.

        >>> [block.relative_change for block in run.measure_changes().blocks]

        Args:
            source: Labelled data of a source task, to see what was forgotten of it.

        Raises:
            DataError: The run's data are missing or have changed, or the source has no classes.
            RunError: The run is not finished, or its backbone began from random weights.
        """
        with restored_process():
            from kft.run_operations.changes import measure_changes

            given = None if source is None else os.fspath(source)
            return measure_changes(self.path, make_display(), source=given)
