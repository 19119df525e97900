"""The start of a named run: a new run, a resumed one, or none because it is already finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kft.config import Pipeline
from kft.display import Display
from kft.provenance import check_same_as_finished
from kft.runs import RunDirectory, find_finished
from kft.startup import start_tensorflow
from kft.workers import Cluster

if TYPE_CHECKING:
    from kft.serving import Export
    from kft.workflow import Finished


@dataclass(frozen=True)
class AlreadyFinished:
    """A requested run that is already finished.

    Attributes:
        run: The run directory; its settings and data are the requested ones.
        export: The missing export, made now; None if it was not missing.
    """

    run: RunDirectory
    export: Export | None


def begin(
    pipeline: Pipeline,
    display: Display,
    *,
    run_id: str | None = None,
    cluster: Cluster | None = None,
) -> Finished:
    """Start TensorFlow and train a new run.

    Raises:
        KftError: See `kft.workflow.train`.
    """
    start_tensorflow(pipeline)

    from kft.workflow import train

    return train(pipeline, display, run_id=run_id, cluster=cluster)


def begin_or_resume(
    pipeline: Pipeline, display: Display, *, run_id: str, cluster: Cluster | None = None
) -> Finished | AlreadyFinished:
    """Begin the run of this name, or resume it if it has begun, so that a job can be restarted.

    If the run is finished but was stopped during its export, the chief exports it.

    Raises:
        ChangedRunError: The run has begun or is finished, but with other settings or data.
        KftError: See `kft.workflow.train`.
    """
    run = find_finished(pipeline.runs_directory, pipeline.name, run_id)
    if run is None:
        start_tensorflow(pipeline)

        from kft.workflow import train

        return train(pipeline, display, run_id=run_id, resume_if_started=True, cluster=cluster)
    check_same_as_finished(run, pipeline)
    display.stage(f"{run.path} is finished, with the same settings and data as requested.")
    lacks_export = pipeline.export.enabled and "export" not in run.read_status()
    if not lacks_export or (cluster is not None and not cluster.is_chief):
        return AlreadyFinished(run, None)
    start_tensorflow()

    from kft.run_operations.export import export_run

    return AlreadyFinished(run, export_run(run.path, display))
