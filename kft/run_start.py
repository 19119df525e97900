"""How a run starts: anew, where it was stopped, or not at all because it is finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kft.config import Pipeline
from kft.display import Display
from kft.provenance import InterruptedRun, check_same_as_finished
from kft.runs import RunDirectory, find_finished
from kft.startup import start_tensorflow
from kft.workers import Cluster

if TYPE_CHECKING:
    from kft.serving import Export
    from kft.workflow import Finished


@dataclass(frozen=True)
class AlreadyFinished:
    """A run that was asked for and had been finished before.

    Attributes:
        run: Its directory; its settings and data are those asked for.
        export: What it lacked and was made now; None where it lacked none.
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
    """Start TensorFlow, and train a new run.

    Raises:
        KftError: See `kft.workflow.train`.
    """
    start_tensorflow(pipeline)

    from kft.workflow import train

    return train(pipeline, display, run_id=run_id, cluster=cluster)


def begin_or_go_on(
    pipeline: Pipeline, display: Display, *, run_id: str, cluster: Cluster | None = None
) -> Finished | AlreadyFinished:
    """Train a run of this name, from where it is: a job that is started again runs one command.

    A finished run that was stopped in its export is exported by the chief.

    Raises:
        ChangedRunError: The run is finished or begun, but with other settings or data.
        KftError: See `kft.workflow.train`.
    """
    run = find_finished(pipeline.runs_directory, pipeline.name, run_id)
    if run is None:
        start_tensorflow(pipeline)

        from kft.workflow import train

        return train(pipeline, display, run_id=run_id, or_resume=True, cluster=cluster)
    check_same_as_finished(run, pipeline)
    display.stage(f"{run.path} is finished; its settings and data are those asked for.")
    lacks_export = pipeline.export.enabled and "export" not in run.read_status()
    if not lacks_export or (cluster is not None and not cluster.is_chief):
        return AlreadyFinished(run, None)
    start_tensorflow()

    from kft.run_operations.export import export_run

    return AlreadyFinished(run, export_run(run.path, display))


def go_on(
    interrupted: InterruptedRun,
    display: Display,
    *,
    accept_changes: bool = False,
    cluster: Cluster | None = None,
) -> Finished:
    """Start TensorFlow, and go on with a run that was stopped.

    Raises:
        KftError: See `kft.workflow.resume`.
    """
    start_tensorflow(interrupted.pipeline)

    from kft.workflow import resume

    return resume(interrupted, display, accept_changes=accept_changes, cluster=cluster)
