"""Runs the stages of a plan once, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kft.backbones import save_backbone
from kft.config import Pipeline, dump_pipeline
from kft.data import SplitName, Splits, write_quarantine_csv, write_splits_csv
from kft.evaluation import Evaluation, Predictor, evaluate, headline
from kft.features import Forward
from kft.runs import RunDirectory, check_run_is_new, create_run, make_manifest
from kft.runs.atomic import write_array, write_json, write_text
from kft.serving import Export, check_export_directory, export_model
from kft.training import (
    Display,
    FittedPhase,
    InputMaker,
    PhaseRunner,
    make_card,
    save_trained,
)
from kft.workflow.plan import Plan, describe_data, make_plan


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
    """
    if run_id is not None:
        check_run_is_new(pipeline.runs_directory, pipeline.name, run_id)
    if pipeline.export.enabled:
        check_export_directory(Path(pipeline.export.directory))
    plan = make_plan(pipeline, display)
    run = create_run(pipeline.runs_directory, pipeline.name, run_id)
    with run.hold():
        run.write_status("running")
        try:
            finished = _run_stages(plan, run, display, keep_backbone, judged_splits)
        except BaseException as error:
            state = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            run.write_status(state, reason=f"{type(error).__name__}: {error}")
            raise
        evaluation = finished.evaluation
        run.write_status("finished", holdout=headline(evaluation.figures) if evaluation else None)
        if not pipeline.export.enabled:
            return finished
        # After the run is finished: what a failed export leaves can be exported again.
        return replace(finished, export=_export(plan, run, display))


def _run_stages(
    plan: Plan,
    run: RunDirectory,
    display: Display,
    keep_backbone: bool,
    judged_splits: Sequence[SplitName],
) -> Finished:
    pipeline = plan.pipeline
    _write_records(plan, run)
    _say_what_is_trained(plan, display)
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
    with inputs.name_unreadable():
        inputs.decode_everything(("train", "validation", *judged_splits))
        fitted = _fit_phases(plan, run, inputs, answers, display)
        save_trained(run, plan.assembled, pipeline)
        evaluations = _judge(plan, run, inputs, answers, splits=judged_splits, display=display)
    backbone = None
    if keep_backbone:
        backbone = save_backbone(plan.assembled.backbone, run.path / "backbone")
    return Finished(run, fitted, evaluations, None, backbone)


def _export(plan: Plan, run: RunDirectory, display: Display) -> Export:
    with display.track("Export and its parity gate"):
        return export_model(
            plan.assembled.model,
            plan.assembled.head,
            plan.decoder,
            directory=Path(plan.pipeline.export.directory),
            name=plan.pipeline.name,
            files=choose_parity_files(plan.splits, plan.pipeline.export.parity_examples),
            card=make_card(plan.assembled, plan.pipeline) | {"run": str(run.path)},
        )


def _write_records(plan: Plan, run: RunDirectory) -> None:
    backbone = plan.assembled.backbone
    write_text(run.pipeline, dump_pipeline(plan.pipeline))
    write_splits_csv(plan.splits, run.splits)
    write_quarantine_csv(plan.splits.quarantined, run.quarantine)
    write_array(run.train_targets, plan.splits.train.targets)
    write_json(
        run.manifest,
        make_manifest(
            seed=plan.pipeline.training.seed,
            fingerprint=plan.splits.fingerprint,
            weights_sha256=backbone.sha256,
            backbone_source=backbone.source,
            backbone_licence=backbone.licence,
        ),
    )


def _say_what_is_trained(plan: Plan, display: Display) -> None:
    for line in describe_data(plan.splits):
        display.stage(line)
    backbone = plan.assembled.backbone
    spec = backbone.input_spec
    weights = f"sha256 {backbone.sha256[:12]}" if backbone.sha256 else "random weights"
    display.stage(
        f"Backbone: {backbone.name} at {spec.height} x {spec.width}, "
        f"{backbone.model.count_params():,} parameters, {weights}"
    )
    training = plan.pipeline.training
    compiler = "with XLA" if training.jit_compile else "without XLA"
    display.stage(
        f"Machine: {training.precision}, {compiler}, {training.threads} threads, batches of "
        f"{training.batch_size}"
    )


def _fit_phases(
    plan: Plan, run: RunDirectory, inputs: InputMaker, answers: Forward, display: Display
) -> tuple[FittedPhase, ...]:
    runner = PhaseRunner(
        plan.assembled,
        answers,
        plan.pipeline.training,
        inputs,
        train_targets=plan.splits.train.targets,
        display=display,
    )
    fitted = []
    for index, phase in enumerate(plan.phases):
        title = f"Phase {index + 1} of {len(plan.phases)}, {phase.name}"
        with plan.distribution.scope():
            fitted.append(runner.run(phase, folder=run.phase(index, phase.name), title=title))
        if fitted[-1].waiting_share is not None:
            display.stage(f"  waited for data {fitted[-1].waiting_share:.0%} of the time")
        if fitted[-1].unmoved:
            display.stage(
                f"  {len(fitted[-1].unmoved)} trainable variables had a gradient of zero "
                "throughout; phase.json names them."
            )
    return tuple(fitted)


def _judge(
    plan: Plan,
    run: RunDirectory,
    inputs: InputMaker,
    answers: Forward,
    *,
    splits: Sequence[SplitName],
    display: Display,
) -> dict[SplitName, Evaluation]:
    judged = [split for split in splits if len(plan.splits.get(split))]
    predictor = Predictor(
        answers,
        num_examples=sum(len(plan.splits.get(split)) for split in judged),
        engine=plan.pipeline.features.engine,
    )
    evaluations = {}
    for split in judged:
        examples = plan.splits.get(split)
        with display.track(f"Evaluation on {split}", len(examples)) as advance:
            evaluations[split] = evaluate(
                predictor,
                plan.assembled.head,
                inputs.in_order(split),
                files=examples.ids,
                targets=examples.targets,
                train_targets=plan.splits.train.targets,
                folder=run.evaluation(split),
                progress=advance,
            )
        display.stage(f"  {split}: {headline(evaluations[split].figures)}")
    return evaluations


def choose_parity_files(splits: Splits, count: int) -> list[str]:
    """`count` files spread evenly over the holdout.

    Where a user kept no holdout they come from validation, and else from train.
    """
    examples = next(part for part in (splits.holdout, splits.validation, splits.train) if len(part))
    chosen = np.linspace(0, len(examples) - 1, min(count, len(examples))).astype(int)
    return [examples.paths[i] for i in chosen]
