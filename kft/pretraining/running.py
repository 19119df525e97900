"""A run of pretraining: its records, its epochs, its checkpoints, and the saved backbone."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kft.backbones import load_backbone, save_backbone
from kft.backbones.record import Backbone
from kft.config import Pipeline, dump_pipeline
from kft.data import write_quarantine_csv
from kft.data.batches.pipeline import make_dataset, num_steps_per_epoch
from kft.display import Display
from kft.errors import ConfigError, RunError
from kft.modalities import Modality, choose_modality
from kft.pretraining.corpus import Corpus, load_corpus
from kft.pretraining.learner import Judged, Learner, choose_task
from kft.runs import RunDirectory, create_run, find_started
from kft.runs.atomic import write_json, write_text
from kft.runs.checkpoints import Checkpoints
from kft.runs.layout import read_json
from kft.runs.manifest import describe_process
from kft.strategies.durations import resolve_duration
from kft.training.payloads import put_values, take_values
from kft.training.stopping import Interrupted, StopRequest
from kft.workflow.process import start_process

_EPOCHS = "10 epochs"
_LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Pretrained:
    """Result of pretraining.

    Attributes:
        run: The run directory.
        backbone: Folder of the saved backbone, for `backbone.name`.
        task: What it has learned to name.
        judged: Judgement on the texts of validation.
    """

    run: RunDirectory
    backbone: Path
    task: str
    judged: Judged


def pretrain(pipeline: Pipeline, display: Display, *, run_id: str | None = None) -> Pretrained:
    """Train a text backbone on texts without labels, and save it.

    A model whose tokens see only those before learns to name the next token, any other hidden
    tokens. A run that was stopped goes on when it is called again with the same `run_id`, and ends
    with the weights of an uninterrupted run.

    Args:
        pipeline: The pipeline: its sections data, backbone, training and strategy (duration and
            rate).
        display: Shows the progress.
        run_id: Name of the run's directory; by default made from the time.

    Raises:
        ConfigError: The backbone reads no texts, or a setting has no effect here.
        DataError: The texts cannot be used.
        RunError: The run exists and is finished, or began with other settings or texts.
        Interrupted: The system or the user stopped the run.
    """
    _refuse_settings(pipeline)
    modality = choose_modality(pipeline.data)
    pipeline, _ = start_process(pipeline, display, cluster=None, joins=False)
    backbone = load_backbone(pipeline.backbone)
    if backbone.input_spec.modality != modality.name or len(backbone.model.output.shape) != 3:
        raise ConfigError(
            f"backbone.name: {pipeline.backbone.name!r} has no vector for each token of a text, so "
            "it cannot be pretrained on texts without labels. Choose small_transformer, "
            "small_lstm, small_characters or keras_hub:PRESET."
        )
    with display.track(f"Checking every {modality.noun}") as advance:
        corpus = load_corpus(pipeline.data, modality, advance)
    work = _Work(pipeline, backbone, modality, corpus, display)
    run = _open(pipeline, corpus, run_id)
    with run.hold():
        run.write_status("running")
        try:
            with work.stop.listening():
                pretrained = work.do(run)
        except BaseException as error:
            state = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            run.write_status(state, reason=f"{type(error).__name__}: {error}")
            raise
        run.write_status("finished", holdout=None)
    return pretrained


def _refuse_settings(pipeline: Pipeline) -> None:
    """Refuse what pretraining would ignore."""
    if pipeline.strategy.name != "full":
        raise ConfigError(
            f"strategy.name: {pipeline.strategy.name!r}, but pretraining on texts trains all "
            "blocks. Remove it, or set `full`."
        )
    if pipeline.training.distribution not in ("auto", "none"):
        raise ConfigError(
            f"training.distribution: {pipeline.training.distribution!r}, but pretraining on texts "
            "uses one device. Remove it."
        )


def _open(pipeline: Pipeline, corpus: Corpus, run_id: str | None) -> RunDirectory:
    """Create the run, or open the one of this name if it was stopped.

    Raises:
        RunError: It is finished, or began with other settings or texts.
    """
    where = (pipeline.runs_directory, pipeline.name)
    run = None if run_id is None else find_started(*where, run_id)
    text = dump_pipeline(pipeline)
    if run is not None:
        if run.read_status()["state"] == "finished":
            raise RunError(f"{run.path}: this run is finished. Choose another --run-id.")
        same = run.pipeline.read_text(encoding="utf-8") == text
        if not same or read_json(run.manifest)["data_fingerprint"] != corpus.fingerprint:
            raise RunError(
                f"{run.path}: this run began with other {'texts' if same else 'settings'}. Choose "
                "another --run-id, or call with those of its pipeline.yaml."
            )
        return run
    run = create_run(*where, run_id)
    write_text(run.pipeline, text)
    write_quarantine_csv(corpus.quarantined, run.quarantine)
    manifest = {"data_fingerprint": corpus.fingerprint, "seed": pipeline.training.seed}
    write_json(run.manifest, {**describe_process(), **manifest})
    return run


class _Work:
    """The work of a run while this process holds its lock."""

    def __init__(
        self,
        pipeline: Pipeline,
        backbone: Backbone,
        modality: Modality,
        corpus: Corpus,
        display: Display,
    ) -> None:
        self.stop = StopRequest()
        self._pipeline, self._corpus, self._display = pipeline, corpus, display
        # Saved with an open length: other texts decide theirs.
        self._backbone = backbone
        self._settings = modality.settings_of(pipeline.data)
        self._spec = modality.fit_spec(backbone.input_spec, self._settings, corpus.train)
        self._decoder = modality.make_decoder(self._spec, self._settings)
        self._task, self._ask = choose_task(replace(backbone, input_spec=self._spec))
        self._per_epoch = num_steps_per_epoch(len(corpus.train), pipeline.training.batch_size)
        strategy = pipeline.strategy
        self._steps = resolve_duration(
            strategy.duration or _EPOCHS,
            num_examples=len(corpus.train),
            steps_per_epoch=self._per_epoch,
            where="strategy.duration",
        )
        self._learner = Learner(
            backbone, learning_rate=strategy.learning_rate or _LEARNING_RATE, steps=self._steps
        )

    def do(self, run: RunDirectory) -> Pretrained:
        """Train from the last checkpoint on, judge, and save the backbone."""
        corpus, display = self._corpus, self._display
        display.stage(
            f"Texts: {len(corpus.train):,} to learn from, {len(corpus.validation):,} to judge by; "
            f"{len(corpus.quarantined):,} cannot be used, {corpus.num_repeated:,} repeat another"
        )
        display.stage(f"Backbone: {self._backbone.name} at {self._spec}; it learns {self._task}")
        checkpoints = Checkpoints(run.checkpoints)
        history = self._train(checkpoints)
        judged = Judged(**history[-1]["judged"])
        display.stage(f"  validation: {_describe(judged)}")
        write_text(run.phase(0, "pretraining") / "history.csv", _tabulate(history))
        figures = {"task": self._task, "perplexity": judged.perplexity, **judged._asdict()}
        write_json(run.evaluation("validation") / "metrics.json", figures)
        source = f"kft {self._backbone.name}, pretrained on {len(corpus.train):,} texts"
        folder = save_backbone(replace(self._backbone, source=source), run.path / "backbone")
        checkpoints.clear()
        return Pretrained(run, folder, self._task, judged)

    def _train(self, checkpoints: Checkpoints) -> list[dict[str, Any]]:
        """Take all steps; returns what was measured after each epoch."""
        step, history = 0, []
        for checkpoint in checkpoints.read(lambda path, why: self._display.stage(f"{path}: {why}")):
            put_values(self._learner.variables, "learner", checkpoint.arrays)
            step, history = checkpoint.state["step"], list(checkpoint.state["history"])
            self._display.stage(f"resuming at step {step:,} of {self._steps:,}")
            break

        def save() -> None:
            arrays = take_values(self._learner.variables, "learner")
            checkpoints.write({"step": step, "history": history}, arrays)

        losses: list[float] = list(history.pop()["losses"]) if _is_open(history) else []
        with self._display.track("Pretraining", self._steps) as advance, self.stop.deferred():
            for inputs, _ in self._batches(step):
                losses.append(self._learner.train(inputs))
                step += 1
                advance(step, self._steps)
                if step % self._per_epoch == 0 or step == self._steps:
                    judged = self._learner.judge(self._judged())
                    history.append({"loss": float(np.mean(losses)), "judged": judged._asdict()})
                    losses = []
                    save()
                if self.stop.number is not None:
                    if losses:
                        history.append({"losses": losses})
                        save()
                    raise Interrupted(self.stop.number)
        return history

    def _batches(self, first: int) -> tf.data.Dataset:
        training = self._pipeline.training
        made = make_dataset(
            self._corpus.train,
            self._decoder,
            batch_size=training.batch_size,
            shuffle_seed=training.seed,
            epochs=-(-self._steps // self._per_epoch),
            start_step=first,
            augmentation=self._ask,
            seed=training.seed,
            by_length=True,
        )
        return made.take(self._steps - first)

    def _judged(self) -> tf.data.Dataset:
        training = self._pipeline.training
        return make_dataset(
            self._corpus.validation,
            self._decoder,
            batch_size=training.batch_size,
            augmentation=self._ask,
            seed=training.seed,
            by_length=True,
        )


def _is_open(history: list[dict[str, Any]]) -> bool:
    """Tell whether the run was stopped within an epoch."""
    return bool(history) and "losses" in history[-1]


def _describe(judged: Judged) -> str:
    return (
        f"names {judged.accuracy:.3f} of {judged.asked:,} tokens (the most frequent one: "
        f"{judged.commonest:.3f}), perplexity {judged.perplexity:,.1f}"
    )


def _tabulate(history: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("epoch", "loss", "val_loss", "val_accuracy"))
    for epoch, row in enumerate(history):
        judged = row["judged"]
        rows.writerow((epoch, row["loss"], judged["loss"], judged["accuracy"]))
    return text.getvalue()
