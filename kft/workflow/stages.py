"""The stages of a run in order; only this module writes into a run directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from kft.backbones import save_backbone
from kft.config import dump_pipeline
from kft.data import write_quarantine_csv, write_splits_csv
from kft.data.batches.service import ServiceError
from kft.display import Display
from kft.errors import KftError, LostWorkerError
from kft.evaluation.changes import Changes, copy_movable, measure_movement, write_changes
from kft.evaluation.evaluating import Evaluation, evaluate
from kft.evaluation.prediction import Predictor
from kft.examples import SplitName
from kft.feeding import Feed, Source
from kft.optimization.distribution import name_nondeterministic
from kft.optimization.replicas import find_share
from kft.provenance import flatten
from kft.runs import RunDirectory
from kft.runs.atomic import write_array, write_json, write_text
from kft.runs.checkpoints import Checkpoints
from kft.runs.storage import find_storage_failure
from kft.serving import Export, ServingProcess
from kft.tasks import headline
from kft.training import (
    FittedPhase,
    PhaseCompiler,
    PhaseReport,
    run_phase,
    save_trained,
)
from kft.training.budget import Clock
from kft.training.recording import Recorder
from kft.training.stopping import Interrupted, StopRequest
from kft.training.trackers import TrackedRun, Trackers
from kft.workflow.baselines import Baselines
from kft.workflow.caution import Caution
from kft.workflow.data_description import describe_data, describe_model
from kft.workflow.export_stage import export_planned
from kft.workflow.manifest import describe_plan
from kft.workflow.plan import Plan
from kft.workflow.resuming import Resumption


@dataclass(frozen=True)
class Finished:
    """The results of a finished run.

    Attributes:
        run: The run directory.
        fitted: Result of each phase.
        evaluations: Evaluation on each judged split.
        export: The export; None if `export.enabled` is false.
        backbone: Folder of the saved backbone; None except after pretraining.
    """

    run: RunDirectory
    fitted: tuple[FittedPhase, ...]
    evaluations: Mapping[SplitName, Evaluation]
    export: Export | None
    backbone: Path | None

    @property
    def evaluation(self) -> Evaluation | None:
        """Evaluation on the holdout; None without a holdout."""
        return self.evaluations.get("holdout")


@dataclass
class Work:
    """The work on a run directory, while this process holds its lock.

    Attributes:
        plan: The plan to carry out.
        run: The run directory.
        path: The run's path as the user gave it.
        display: Shows the progress.
        keep_backbone: Save the trained backbone for later use by its path.
        judged_splits: Splits to evaluate on.
    """

    plan: Plan
    run: RunDirectory
    path: Path
    display: Display
    keep_backbone: bool
    judged_splits: Sequence[SplitName]

    def __post_init__(self) -> None:
        if self.plan.refits:
            # Scores on data the model was trained on mean nothing.
            self.judged_splits = [name for name in self.judged_splits if name != "validation"]
        self._pipeline = self.plan.pipeline
        self._baselines = Baselines(self.plan, self.run, self.display, self.judged_splits)
        self._caution = Caution(self.plan, self.run, self.display)
        self._stop = StopRequest()
        self._trackers = Trackers(self.display)
        self.checkpoints = Checkpoints(
            self.run.checkpoints, kept=self._pipeline.training.checkpoints_kept
        )

    def do(self, record: Callable[[], None], found: Resumption | None = None) -> Finished:
        """Run every stage, from the records to the export.

        Args:
            record: Writes the pipeline, the splits and the manifest.
            found: Place to resume from; None to begin.
        """
        exports = self._pipeline.export.enabled and self.plan.process.workers.is_chief
        # The process of the export's parity check imports TensorFlow while this one trains.
        with ServingProcess() if exports else nullcontext() as process:
            return self._do(record, found, process)

    def _do(
        self, record: Callable[[], None], found: Resumption | None, process: ServingProcess | None
    ) -> Finished:
        self.run.write_status("running")
        how_to_resume = f"resume with `kft train --resume {self.path}`"
        workers = self.plan.process.workers
        try:
            with self._stop.listening():
                record()
                if workers.is_chief:
                    settings = dict(flatten(self._pipeline.model_dump(mode="json")))
                    tracked = TrackedRun(self.run.path, self._pipeline.name, settings)
                    self._trackers.begin(self._pipeline.training.trackers, tracked)
                finished = self._run_stages(found)
        except BaseException as error:
            is_stopped = isinstance(error, KeyboardInterrupt | LostWorkerError)
            state = "interrupted" if is_stopped else "failed"
            self._trackers.end(None)
            # A full disk must not mask the original error.
            with suppress(OSError):
                self.run.write_status(state, reason=f"{type(error).__name__}: {error}")
            if isinstance(error, Interrupted):
                error.args = (f"{error}; {how_to_resume}",)
            if isinstance(error, ServiceError):
                error.args = (f"{error} Then {how_to_resume}.",)
            failure = None if isinstance(error, KftError) else find_storage_failure(error)
            if failure is not None:
                raise type(failure)(f"{failure} Then {how_to_resume}.") from error
            raise
        evaluation = finished.evaluation
        holdout = headline(evaluation.figures) if evaluation else None
        self._trackers.end(evaluation.figures if evaluation else {})
        self.run.write_status("finished", holdout=holdout)
        self._baselines.clear()
        self.checkpoints.clear()
        # The run is finished before its export, so that a failed export can be repeated.
        if process is not None:
            export = export_planned(self.plan, self.run, self.path, self.display, process)
            self.run.write_status("finished", holdout=holdout, export=str(export.path))
            finished = replace(finished, export=export)
        # Workers wait for the chief, because leaving early looks like a failure. The chief is the
        # last to be done, so it does not mind the loss of another worker.
        forgiven = suppress(LostWorkerError) if workers.is_chief else nullcontext()
        advice = (
            f"If {self.path} is finished, `kft export` makes a missing export; otherwise resume it."
        )
        with forgiven, workers.report_lost_workers(advice):
            workers.wait()
        return finished

    def write_records(self) -> None:
        """Write the pipeline, the splits and the manifest."""
        plan, run = self.plan, self.run
        write_text(run.pipeline, dump_pipeline(self._pipeline))
        write_splits_csv(plan.splits, run.splits)
        write_quarantine_csv(plan.splits.quarantined, run.quarantine)
        write_array(run.train_targets, plan.splits.train.targets)
        # Written last: a run with a manifest can be resumed.
        write_json(run.manifest, {**describe_plan(plan), "keep_backbone": self.keep_backbone})

    def _run_stages(self, found: Resumption | None) -> Finished:
        plan, pipeline, display = self.plan, self._pipeline, self.display
        for line in (*describe_data(plan.splits), *describe_model(plan)):
            display.stage(line)
        feed = Feed(
            plan.assembled,
            Source(plan.splits, plan.decoder, pipeline.data),
            plan.phases,
            features=pipeline.features,
            training=pipeline.training,
            display=display,
            share=find_share(plan.process.distribution, plan.process.workers),
            workers=plan.process.workers,
        )
        workers, clock = plan.process.workers, Clock(plan.begun)
        compiler = PhaseCompiler(plan.assembled, pipeline.training, feed, workers, clock=clock)
        compiler.on_trained = lambda: self._baselines.measure_trained(compiler)
        recorder = Recorder(
            plan.assembled,
            self.checkpoints,
            self._stop,
            every=pipeline.training.checkpoint_every,
            workers=plan.process.workers,
        )
        # Innermost, so that the loss of a worker is not taken for an unreadable file.
        lost = plan.process.workers.report_lost_workers(
            f"When all workers can start again, run `kft train --resume {self.path}` on every one."
        )
        with feed.name_unreadable(), name_nondeterministic(), lost:
            judged = self.judged_splits if plan.process.workers.is_chief else ()
            feed.decode(("train", "validation", *judged))
            before = copy_movable(plan.assembled.backbone.blocks, plan.phases)
            fitted = self._fit_phases(compiler, recorder, found)
            # A trial of a search, which compares nothing, needs no caution either.
            if self._baselines.split is not None:
                self._caution.learn(compiler.feed, fitted)
            if not plan.process.workers.is_chief:
                return Finished(self.run, fitted, {}, None, None)
            save_trained(self.run, plan.assembled, pipeline, plan.splits.calibrated)
            movement = measure_movement(plan.assembled.backbone.blocks, before)
            write_changes(self.run.changes, Changes(movement))
            evaluations = self._judge(compiler, fitted)
            self._caution.choose(fitted, evaluations)
        backbone = None
        if self.keep_backbone:
            backbone = save_backbone(plan.assembled.backbone, self.run.path / "backbone")
        return Finished(self.run, fitted, evaluations, None, backbone)

    def _fit_phases(
        self,
        compiler: PhaseCompiler,
        recorder: Recorder,
        found: Resumption | None,
    ) -> tuple[FittedPhase, ...]:
        plan = self.plan
        fitted: list[FittedPhase] = []
        within = None
        if found is not None:
            within = found.within
            if found.between is not None:
                fitted += recorder.put_back(found.between, plan.phases)
                compiler.clock.earlier_seconds = sum(each.seconds for each in fitted)
        for index, phase in enumerate(plan.phases):
            if index < len(fitted):
                continue
            title = f"Phase {index + 1} of {len(plan.phases)}, {phase.name}"
            with plan.process.distribution.scope():
                watched = self._trackers.watch(phase.name)
                folder = self.run.phase(index, phase.name)
                report = PhaseReport(folder, title, self.display, watched)
                if not index and phase.method == "fit" and within is None:
                    self._baselines.measure(compiler.feed, phase)
                before = fitted[-1] if fitted else None
                own = recorder.within(index, within)
                fitted.append(run_phase(compiler, phase, report, own, before=before))
                if not index and phase.method == "solve":
                    self._baselines.measure(compiler.feed, phase, fitted[0])
            within = None
            recorder.record_phase(fitted)
            if fitted[-1].waiting_share is not None:
                self.display.stage(f"  waited for data {fitted[-1].waiting_share:.0%} of the time")
            if fitted[-1].unmoved:
                self.display.stage(
                    f"  {len(fitted[-1].unmoved)} trainable variables had a gradient of zero in "
                    "every step; phase.json names them."
                )
        return tuple(fitted)

    def _judge(
        self, compiler: PhaseCompiler, fitted: Sequence[FittedPhase]
    ) -> dict[SplitName, Evaluation]:
        plan = self.plan
        # The last phase that was kept has made the head.
        temperature = next((f.temperature for f in reversed(fitted) if not f.is_undone), None)
        judged = [split for split in self.judged_splits if len(plan.splits.get(split))]
        predictor = Predictor(
            compiler.answers,
            num_examples=sum(len(plan.splits.get(split)) for split in judged),
            engine=plan.pipeline.features.engine,
        )
        evaluations = {}
        for split in judged:
            examples = plan.splits.get(split)
            with self.display.track(f"Evaluation on {split}", len(examples)) as advance:
                evaluations[split] = evaluate(
                    predictor,
                    plan.assembled.head,
                    compiler.feed.in_order(split),
                    examples,
                    plan.pipeline.data,
                    train_targets=plan.splits.train.targets,
                    folder=self.run.evaluation(split),
                    temperature=temperature,
                    progress=advance,
                    decoder=plan.decoder,
                )
            self._baselines.write(split, evaluations[split].outputs, fitted)
            self.display.stage(f"  {split}: {headline(evaluations[split].figures)}")
            self._caution.comment(split)
        return evaluations
