"""Functions of the Python API, which take data or a pipeline file and give a run or a report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from kft.api.answers import Exported
from kft.api.process import restored_process
from kft.api.reports import AuditReport, Check
from kft.api.run import Run
from kft.api.settings import Settings, Source, make_pipeline
from kft.config import Pipeline
from kft.display import make_display
from kft.errors import ConfigError, RunError
from kft.pretraining.settings import load_pretraining, needs_no_labels
from kft.runs import is_run
from kft.startup import start_tensorflow
from kft.workers import read_cluster

if TYPE_CHECKING:
    from kft.backbones.record import Backbone
    from kft.comparison import Comparison


def train(source: Source, *, run_id: str | None = None, **settings: Unpack[Settings]) -> Run:
    """Train, evaluate and export a model of labelled examples.

    >>> run = kft.train("photos", backbone="resnet50", strategy="lp_ft", training={"seed": 3})
    >>> run.metrics["accuracy"]
    >>> kft.train((texts, labels), backbone="keras_hub:bert_tiny_en_uncased")

    Args:
        source: A folder of class folders, a table, TFRecord files, `tfds:NAME`, or a pipeline
            file. Or a pair (examples, targets) in memory, or a mapping of `train`, `validation`
            and `holdout` to such pairs: examples are strings, arrays of pictures, PIL pictures,
            pairs (samples, rate) of recordings, or paths; targets are class names or numbers, an
            array (examples, labels), or a mapping of labels to values.
        run_id: Name of the run's directory; by default made from the time.
        **settings: Sections of the pipeline; see `Settings`.

    Raises:
        KftError: The errors of `kft train`; a ConfigError lists every refused setting.
        KeyboardInterrupt: The run was stopped; `kft.load(RUN).resume()` resumes it.
    """
    return _train(make_pipeline(source, settings), run_id, keep_backbone=False)


def pretrain(source: Source, *, run_id: str | None = None, **settings: Unpack[Settings]) -> Run:
    """Train your own backbone from random weights; `Run.backbone` is its folder.

    >>> own = kft.pretrain("pictures")
    >>> kft.train("photos", backbone=own.backbone)
    >>> kft.pretrain(texts, backbone="small_lstm")

    Args:
        source: See `train`. Texts need no labels: a .txt file, a folder of them, a table, or a
            list of strings.
        run_id: See `train`. A run on texts that was stopped goes on under the same name.
        **settings: See `train`; the defaults are those of `kft pretrain`.

    Raises:
        KftError: See `train`.
    """
    pipeline = make_pipeline(source, settings, load_pretraining)
    if not needs_no_labels(pipeline):
        return _train(pipeline, run_id, keep_backbone=True)
    with restored_process(pipeline):
        from kft.pretraining import running

        return Run(running.pretrain(pipeline, make_display(), run_id=run_id).run.path)


def _train(pipeline: Pipeline, run_id: str | None, *, keep_backbone: bool) -> Run:
    if read_cluster() is not None:
        raise ConfigError(
            "TF_CONFIG names a cluster. Train over several processes with `kft train` or "
            "`kft launch`, or unset TF_CONFIG to train in this process alone."
        )
    with restored_process(pipeline):
        from kft import workflow

        finished = workflow.train(
            pipeline, make_display(), run_id=run_id, keep_backbone=keep_backbone
        )
    return Run(finished.run.path)


def check(source: Source, **settings: Unpack[Settings]) -> Check:
    """Plan a run and forecast its cost, without training.

    >>> kft.check("photos", strategy="lp_ft").risks

    Args:
        source: See `train`.
        **settings: See `train`.

    Raises:
        KftError: Anything that would stop the run before its first step.
    """
    pipeline = make_pipeline(source, settings)
    with restored_process(pipeline):
        from kft.planning import find_risks
        from kft.workflow import describe_data, forecast_plan, make_plan

        plan = make_plan(pipeline, make_display(), is_thorough=True)
        return Check(
            plan.pipeline,
            tuple(describe_data(plan.splits)),
            tuple(forecast_plan(plan)),
            tuple(find_risks(plan.splits, plan.assembled.backbone, plan.phases)),
        )


def audit(source: Source, *, with_labels: bool = True, **settings: Unpack[Settings]) -> AuditReport:
    """Find problems in the data, without changing anything.

    >>> for finding in kft.audit("photos").findings:
    ...     print(finding.severity, finding.sentence)

    Args:
        source: See `train`.
        with_labels: Include the checks that need the backbone: doubtful labels, and outliers by
            features.
        **settings: See `train`.

    Raises:
        DataError: The data are missing, or their layout is not supported.
        BackboneError: The backbone is unknown, or its weights do not fit.
    """
    pipeline = make_pipeline(source, settings)
    with restored_process(pipeline):
        from kft.auditing import audit_data

        found = audit_data(pipeline, make_display(), with_labels=with_labels)
    return AuditReport(found, pipeline.data)


def compare(*runs: str | os.PathLike[str] | Run, split: str | None = None) -> Comparison:
    """Compare finished runs, as `kft compare` does; a notebook shows the page.

    >>> kft.compare("runs/photos/first", "runs/photos/second").differences[0].verdict

    Args:
        *runs: At least two runs or their paths; the others are compared with the first.
        split: 'holdout', 'validation', or other data that were judged, as 'other-NAME'; by default
            the holdout, or validation without one.

    Raises:
        RunError: A run is not finished or did not judge the split, or the runs have different
            tasks, classes or labels.
    """
    from kft.comparison import compare_runs

    paths = [run.path if isinstance(run, Run) else Path(run).expanduser() for run in runs]
    return compare_runs(paths, split=split)


def load(path: str | os.PathLike[str]) -> Run | Exported:
    """Load the run or export at a path.

    >>> kft.load("runs/photos/first").metrics
    >>> kft.load("saved_models/photos").predict("new.jpg")

    Args:
        path: Path of a run in any state, of an export, or of the folder of its versions.

    Raises:
        RunError: There is neither a run nor an export at `path`.
    """
    path = Path(path).expanduser()
    if is_run(path):
        return Run(path)
    with restored_process():
        from kft.serving import is_export

        if is_export(path):
            return Exported(path)
    raise RunError(
        f"{path}: neither a run (`kft runs` lists them) nor an export (a folder with "
        "saved_model.pb, or with numbered versions)."
    )


def load_backbone(
    name: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] = "pretrained",
    input_size: int | None = None,
    **options: bool | int | float | str,
) -> Backbone:
    """Load a pretrained backbone, without its top.

    >>> backbone = kft.load_backbone("mobilenet_v2", alpha=0.35)
    >>> [block.name for block in backbone.blocks]
    >>> features = backbone.model(pixels)

    `backbone.model` is a Keras model from float32 pixels (batch, height, width, 3), scaled
    according to `backbone.input_spec.scaling`, to a feature map (batch, h, w, channels) or vector
    (batch, channels).

    Args:
        name: Name listed by `kft backbones`, `hub:HANDLE`, `keras_hub:PRESET`, or the path of a
            saved backbone.
        weights: 'pretrained', 'random', or a weights file.
        input_size: Height and width in pixels; by default the size of pretraining.
        **options: Arguments of the architecture.

    Raises:
        BackboneError: The name is unknown, or options, size or weights do not fit the backbone.
    """
    section = {"name": name, "weights": weights, "input_size": input_size, "options": options}
    config = make_pipeline(None, {"backbone": section}).backbone
    start_tensorflow()
    from kft import backbones

    return backbones.load_backbone(config)
