"""Runs the stages of a plan once, in order."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kft.backbones import save_backbone
from kft.config import Pipeline, dump_pipeline, load_pipeline
from kft.data import SplitName, Splits, write_quarantine_csv, write_splits_csv
from kft.data.input.service import ServiceError
from kft.evaluation import Evaluation, Predictor, evaluate, headline
from kft.features import Forward
from kft.runs import (
    RunDirectory,
    check_run_is_new,
    create_run,
    make_manifest,
    open_interrupted,
)
from kft.runs.atomic import write_array, write_json, write_text
from kft.runs.checkpoints import Checkpoints
from kft.runs.layout import read_json
from kft.serving import Export, check_export_directory, export_model
from kft.training import (
    Display,
    FittedPhase,
    InputMaker,
    PhaseRunner,
    make_card,
    save_trained,
)
from kft.training.recording import Recorder
from kft.training.stopping import Interrupted, StopRequest
from kft.workflow.plan import Plan, describe_data, make_plan
from kft.workflow.resuming import Resumption, check_unchanged, find_resumption


@dataclass(frozen=True)
class Finished:
    """What a run leaves.

    Attributes:
        run: Its directory.
        fitted: Each phase.
        evaluations: Of each split that was judged.
        export: None where `export.enabled` is false.
        backbone: Folder of the saved backbone; None but for pretraining.
    """

    run: RunDirectory
    fitted: tuple[FittedPhase, ...]
    evaluations: Mapping[SplitName, Evaluation]
    export: Export | None
    backbone: Path | None

    @property
    def evaluation(self) -> Evaluation | None:
        """On the holdout; None where there is none."""
        return self.evaluations.get("holdout")


def train(
    pipeline: Pipeline,
    display: Display,
    *,
    run_id: str | None = None,
    keep_backbone: bool = False,
    judged_splits: Sequence[SplitName] = ("validation", "holdout"),
) -> Finished:
    """From labelled examples to a measured, exported model.

    Args:
        pipeline: What to do.
        display: What a person sees meanwhile.
        run_id: Name of the run's directory; by default made of the time.
        keep_backbone: Save the trained backbone as one of the user's own.
        judged_splits: A trial of a search leaves the holdout alone.

    Raises:
        KftError: Nothing is left behind if it comes before training; after
            that the run directory says why it failed.
        Interrupted: The system or the user stopped it; the run can be resumed.
    """
    if run_id is not None:
        check_run_is_new(pipeline.runs_directory, pipeline.name, run_id)
    if pipeline.export.enabled:
        check_export_directory(Path(pipeline.export.directory))
    plan = make_plan(pipeline, display)
    run = create_run(pipeline.runs_directory, pipeline.name, run_id)
    with run.hold():
        work = _Work(plan, run, display, keep_backbone, judged_splits)
        return work.do(work.write_records)


def resume(
    path: Path | str,
    display: Display,
    *,
    overrides: Sequence[str] = (),
    accept_changes: bool = False,
) -> Finished:
    """Go on with a run that was stopped, to the weights that it would have had.

    Args:
        path: Directory of the run.
        display: What a person sees meanwhile.
        overrides: Settings to change, which needs `accept_changes`.
        accept_changes: Go on although data, settings, weights or versions are
            others than when the run began; which, is recorded.

    Raises:
        RunError: There is nothing to resume, another process works on it, or something changed.
        KftError: As of `train`.
        Interrupted: As of `train`.
    """
    run = open_interrupted(path)
    with run.hold():
        pipeline = load_pipeline(str(run.pipeline), overrides)
        if pipeline.export.enabled:
            check_export_directory(Path(pipeline.export.directory))
        plan = make_plan(pipeline, display)
        manifest = describe_causes(plan)
        changes = check_unchanged(run, plan, manifest, accept=accept_changes)
        before = read_json(run.manifest)
        work = _Work(plan, run, display, before["keep_backbone"])
        found = find_resumption(
            work.checkpoints,
            lambda bad, why: display.stage(
                f"Checkpoint {bad.name} is damaged ({why}); it is set aside."
            ),
        )
        work.checkpoints.remove_after(found.number)
        place = found.describe(plan.phases)

        def record() -> None:
            resumed = [*before.get("resumed", ()), {"place": place, "accepted_changes": changes}]
            write_json(run.manifest, {**before, "resumed": resumed})
            if changes:
                write_text(run.pipeline, dump_pipeline(plan.pipeline))
                write_splits_csv(plan.splits, run.splits)
            display.stage(f"resuming {place}")

        return work.do(record, found)


@dataclass
class _Work:
    """All that changes a run directory, while this process holds it.

    Attributes:
        plan: What is done.
        run: The directory.
        display: What a person sees meanwhile.
        keep_backbone: Save the trained backbone as one of the user's own.
        judged_splits: Splits that are judged.
    """

    plan: Plan
    run: RunDirectory
    display: Display
    keep_backbone: bool
    judged_splits: Sequence[SplitName] = ("validation", "holdout")

    def __post_init__(self) -> None:
        self._pipeline = self.plan.pipeline
        self._stop = StopRequest()
        self.checkpoints = Checkpoints(
            self.run.checkpoints, kept=self._pipeline.training.checkpoints_kept
        )

    def do(self, record: Callable[[], None], found: Resumption | None = None) -> Finished:
        """Everything, from the records to the export.

        Args:
            record: Writes what the run depends on.
            found: Where it goes on; None to begin.
        """
        self.run.write_status("running")
        try:
            with self._stop.listening():
                record()
                finished = self._run_stages(found)
        except BaseException as error:
            state = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            # A full disk must not hide what it was the cause of.
            with contextlib.suppress(OSError):
                self.run.write_status(state, reason=f"{type(error).__name__}: {error}")
            if isinstance(error, Interrupted):
                error.args = (f"{error}; go on with `kft train --resume {self.run.path}`",)
            if isinstance(error, ServiceError):
                error.args = (f"{error} Then go on with `kft train --resume {self.run.path}`.",)
            raise
        evaluation = finished.evaluation
        holdout = headline(evaluation.figures) if evaluation else None
        self.run.write_status("finished", holdout=holdout)
        self.checkpoints.clear()
        if not self._pipeline.export.enabled:
            return finished
        # After the run is finished: what a failed export leaves can be exported again.
        return replace(finished, export=self._export())

    def write_records(self) -> None:
        """What the run depends on."""
        plan, run = self.plan, self.run
        write_text(run.pipeline, dump_pipeline(self._pipeline))
        write_splits_csv(plan.splits, run.splits)
        write_quarantine_csv(plan.splits.quarantined, run.quarantine)
        write_array(run.train_targets, plan.splits.train.targets)
        # The last one: where it is, the run can be resumed.
        write_json(run.manifest, {**describe_causes(plan), "keep_backbone": self.keep_backbone})

    def _run_stages(self, found: Resumption | None) -> Finished:
        plan, pipeline, display = self.plan, self._pipeline, self.display
        self._say_what_is_trained()
        inputs = InputMaker(
            plan.assembled,
            plan.splits,
            plan.decoder,
            phases=plan.phases,
            data=pipeline.data,
            features=pipeline.features,
            training=pipeline.training,
            display=display,
        )
        # Traced once, for all that asks the whole model: choices on validation, and the evaluation.
        answers = Forward(plan.assembled.model, plan.assembled.head.activate)
        recorder = Recorder(
            plan.assembled,
            self.checkpoints,
            self._stop,
            every=pipeline.training.checkpoint_every,
        )
        with inputs.name_unreadable():
            inputs.decode_everything(("train", "validation", *self.judged_splits))
            fitted = self._fit_phases(inputs, answers, recorder, found)
            save_trained(self.run, plan.assembled, pipeline)
            evaluations = self._judge(inputs, answers)
        backbone = None
        if self.keep_backbone:
            backbone = save_backbone(plan.assembled.backbone, self.run.path / "backbone")
        return Finished(self.run, fitted, evaluations, None, backbone)

    def _fit_phases(
        self,
        inputs: InputMaker,
        answers: Forward,
        recorder: Recorder,
        found: Resumption | None,
    ) -> tuple[FittedPhase, ...]:
        plan = self.plan
        runner = PhaseRunner(
            plan.assembled,
            answers,
            plan.pipeline.training,
            inputs,
            train_targets=plan.splits.train.targets,
            display=self.display,
        )
        fitted: list[FittedPhase] = []
        within = None
        if found is not None:
            within = found.within
            if found.between is not None:
                fitted += recorder.put_back(found.between, plan.phases)
        for index, phase in enumerate(plan.phases):
            if index < len(fitted):
                continue
            title = f"Phase {index + 1} of {len(plan.phases)}, {phase.name}"
            with plan.distribution.scope():
                fitted.append(
                    runner.run(
                        phase,
                        folder=self.run.phase(index, phase.name),
                        title=title,
                        recorder=recorder.within(index, within),
                    )
                )
            within = None
            recorder.record_phase(fitted)
            if fitted[-1].waiting_share is not None:
                self.display.stage(f"  waited for data {fitted[-1].waiting_share:.0%} of the time")
            if fitted[-1].unmoved:
                self.display.stage(
                    f"  {len(fitted[-1].unmoved)} trainable variables had a gradient of zero "
                    "throughout; phase.json names them."
                )
        return tuple(fitted)

    def _judge(self, inputs: InputMaker, answers: Forward) -> dict[SplitName, Evaluation]:
        plan = self.plan
        judged = [split for split in self.judged_splits if len(plan.splits.get(split))]
        predictor = Predictor(
            answers,
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
                    inputs.in_order(split),
                    files=examples.ids,
                    targets=examples.targets,
                    train_targets=plan.splits.train.targets,
                    folder=self.run.evaluation(split),
                    progress=advance,
                )
            self.display.stage(f"  {split}: {headline(evaluations[split].figures)}")
        return evaluations

    def _say_what_is_trained(self) -> None:
        for line in describe_data(self.plan.splits):
            self.display.stage(line)
        backbone = self.plan.assembled.backbone
        spec = backbone.input_spec
        weights = f"sha256 {backbone.sha256[:12]}" if backbone.sha256 else "random weights"
        self.display.stage(
            f"Backbone: {backbone.name} at {spec.height} x {spec.width}, "
            f"{backbone.model.count_params():,} parameters, {weights}"
        )
        training = self.plan.pipeline.training
        compiler = "with XLA" if training.jit_compile else "without XLA"
        self.display.stage(
            f"Machine: {training.precision}, {compiler}, {training.threads} threads, batches of "
            f"{training.batch_size}"
        )

    def _export(self) -> Export:
        with self.display.track("Export and its parity gate"):
            return export_model(
                self.plan.assembled.model,
                self.plan.assembled.head,
                self.plan.decoder,
                directory=Path(self._pipeline.export.directory),
                name=self._pipeline.name,
                files=choose_parity_files(self.plan.splits, self._pipeline.export.parity_examples),
                card=make_card(self.plan.assembled, self._pipeline) | {"run": str(self.run.path)},
            )


def describe_causes(plan: Plan) -> dict[str, Any]:
    """The manifest of a run of this plan: what its result depends on."""
    backbone = plan.assembled.backbone
    return make_manifest(
        seed=plan.pipeline.training.seed,
        fingerprint=plan.splits.fingerprint,
        weights_sha256=backbone.sha256,
        backbone_source=backbone.source,
        backbone_licence=backbone.licence,
    )


def choose_parity_files(splits: Splits, count: int) -> list[str]:
    """`count` files spread evenly over the holdout.

    Where a user kept no holdout they come from validation, and else from train.
    """
    examples = next(part for part in (splits.holdout, splits.validation, splits.train) if len(part))
    chosen = np.linspace(0, len(examples) - 1, min(count, len(examples))).astype(int)
    return [examples.paths[i] for i in chosen]
