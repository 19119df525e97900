"""Training of a new run, and resumption of an interrupted one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from kft.config import Pipeline, dump_pipeline
from kft.data import write_quarantine_csv, write_splits_csv
from kft.display import Display
from kft.examples import SplitName
from kft.provenance import InterruptedRun, make_absolute
from kft.runs import (
    RunDirectory,
    check_run_is_new,
    create_run,
    find_started,
    open_interrupted,
)
from kft.runs.atomic import write_array, write_json, write_text
from kft.runs.checkpoints import Checkpoints
from kft.runs.layout import check_run_id, read_json
from kft.runs.storage import check_folder
from kft.workers import Cluster, Workers
from kft.workflow.manifest import describe_plan
from kft.workflow.plan import BEFORE_ALL, Plan, make_plan
from kft.workflow.resuming import Resumption, check_unchanged, find_resumption
from kft.workflow.stages import Finished, Work

# Entries of the manifest that `--accept-changes` updates.
_ACCEPTED = ("data_fingerprint", "calibration", "versions", "backbone")
_ALL_JUDGED: tuple[SplitName, ...] = ("validation", "holdout")


def train(
    pipeline: Pipeline,
    display: Display,
    *,
    run_id: str | None = None,
    resume_if_started: bool = False,
    keep_backbone: bool = False,
    judged_splits: Sequence[SplitName] = _ALL_JUDGED,
    cluster: Cluster | None = None,
) -> Finished:
    """Train, evaluate and export a model of labelled examples.

    Args:
        pipeline: The pipeline to run.
        display: Shows the progress.
        run_id: Name of the run's directory; by default made from the time.
        resume_if_started: Resume the run of this name, as `resume` does, if it has begun.
        keep_backbone: Save the trained backbone for later use by its path.
        judged_splits: Splits to evaluate on; a trial of a search leaves the holdout out.
        cluster: Processes that train together; each calls this function.

    Raises:
        KftError: The run failed. An error before training leaves no files; later the status
            in the run directory gives the reason.
        Interrupted: The system or the user stopped the run, which can be resumed.
    """
    where = (pipeline.runs_directory, pipeline.name)
    is_chief = cluster is None or cluster.is_chief
    if is_chief and run_id is not None and not resume_if_started:
        check_run_is_new(*where, run_id)
    if run_id is not None:
        check_run_id(run_id)
    plan = _make_plan(pipeline, display, cluster)

    def open_place() -> tuple[str, bool]:
        begun = find_started(*where, run_id) if resume_if_started and run_id is not None else None
        if begun is not None:
            return str(begun.path), False
        return str(create_run(*where, run_id).path), True

    with plan.process.workers.report_lost_workers(BEFORE_ALL):
        path, is_new = plan.process.workers.broadcast_from_chief(open_place)
    if not is_new:
        return _resume(InterruptedRun(Path(path), plan.pipeline), plan, display, judged_splits)
    with _writable(Path(path), plan.process.workers) as run, run.hold():
        work = Work(plan, run, Path(path), display, keep_backbone, judged_splits)
        return work.do(work.write_records)


def resume(
    interrupted: InterruptedRun,
    display: Display,
    *,
    accept_changes: bool = False,
    cluster: Cluster | None = None,
) -> Finished:
    """Resume a run that was stopped; it ends with the weights of an uninterrupted run.

    Args:
        interrupted: The run; changed settings need `accept_changes`.
        display: Shows the progress.
        accept_changes: Resume although data, settings, weights or versions have changed since
            the run began; the changes are recorded.
        cluster: See `train`.

    Raises:
        RunError: Another process is writing into the run, or something has changed.
        KftError: See `train`.
        Interrupted: See `train`.
    """
    plan = _make_plan(interrupted.pipeline, display, cluster)
    return _resume(interrupted, plan, display, _ALL_JUDGED, accept_changes=accept_changes)


def _make_plan(pipeline: Pipeline, display: Display, cluster: Cluster | None) -> Plan:
    if cluster is None or cluster.is_chief:
        check_folder(Path(pipeline.runs_directory), "runs_directory")
    return make_plan(pipeline, display, cluster=cluster)


def _resume(
    interrupted: InterruptedRun,
    plan: Plan,
    display: Display,
    judged_splits: Sequence[SplitName],
    *,
    accept_changes: bool = False,
) -> Finished:
    """Resume a run by a new plan of its pipeline."""
    path, data = interrupted.path, interrupted.data
    manifest = describe_plan(plan)
    original = RunDirectory(path)
    checkpoints = Checkpoints(original.checkpoints)

    def say_damaged(bad: Path, why: str) -> None:
        display.stage(f"Checkpoint {bad.name} is damaged ({why}); it is set aside.")

    with ExitStack() as held:
        resumption: list[Resumption] = []

        def find() -> dict[str, Any]:
            held.enter_context(open_interrupted(path).hold())
            changes = check_unchanged(original, plan, manifest, accept=accept_changes, data=data)
            found = find_resumption(checkpoints, say_damaged)
            checkpoints.remove_after(found.number)
            resumption.append(found)
            return {"changes": changes, "numbers": found.numbers}

        with plan.process.workers.report_lost_workers(BEFORE_ALL):
            agreed = plan.process.workers.broadcast_from_chief(find)
        # The chief has read its checkpoints; the other workers read the same ones.
        found = (resumption or [Resumption.of(checkpoints.find(agreed["numbers"]))])[0]
        before = read_json(original.manifest)
        run = held.enter_context(_writable(path, plan.process.workers))
        place = found.describe(plan.phases)

        def record() -> None:
            resumed = {"place": place, "accepted_changes": agreed["changes"]}
            if data is not None:
                resumed["data"] = plan.pipeline.data.path
            _record_resumption(run, plan, before, manifest, resumed)
            display.stage(f"resuming {place}")

        work = Work(plan, run, path, display, before["keep_backbone"], judged_splits)
        return work.do(record, found)


def _record_resumption(
    run: RunDirectory,
    plan: Plan,
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    resumed: Mapping[str, Any],
) -> None:
    """Add a resumption to the records of a run, and bring them up to date with what changed.

    Args:
        run: The run directory.
        plan: New plan of the run's pipeline.
        before: Manifest of the run so far.
        now: Manifest of the new plan.
        resumed: Place of the resumption and accepted changes; the new path of moved data.
    """
    changes = resumed["accepted_changes"]
    hardware = {key: now["hardware"][key] for key in ("workers", "replicas")}
    every = [*before.get("resumed", ()), {**resumed, **hardware}]
    # The run depends on the accepted values from now on.
    accepted = {key: now[key] for key in _ACCEPTED if changes}
    write_json(run.manifest, {**before, **accepted, "resumed": every})
    if changes:
        run.quarantine.unlink(missing_ok=True)
        write_quarantine_csv(plan.splits.quarantined, run.quarantine)
        write_array(run.train_targets, plan.splits.train.targets)
    if changes or "data" in resumed:
        write_text(run.pipeline, dump_pipeline(_anchor(plan.pipeline, before)))
        write_splits_csv(plan.splits, run.splits)


def _anchor(pipeline: Pipeline, manifest: Mapping[str, Any]) -> Pipeline:
    """Make paths absolute if the run began in another working directory."""
    is_here = manifest.get("working_directory", str(Path.cwd())) == str(Path.cwd())
    return pipeline if is_here else make_absolute(pipeline)


@contextmanager
def _writable(path: Path, workers: Workers) -> Iterator[RunDirectory]:
    """Give the chief the run directory, and every other worker a temporary one.

    All workers can then run the same code, while only the chief writes the run.
    """
    if workers.is_chief:
        yield RunDirectory(path)
        return
    with tempfile.TemporaryDirectory(prefix="kft-worker-") as scratch:
        yield RunDirectory(scratch)
