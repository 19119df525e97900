"""The record of a benchmark on disk, and the settings that it supplies for `auto`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kft.backbones import BACKBONES
from kft.backbones.defaults import choose_backbone
from kft.backbones.families import ARCHITECTURES
from kft.config import Pipeline, TrainingConfig, override_pipeline
from kft.machine import default_threads, describe_machine
from kft.runs import package_versions
from kft.runs.atomic import write_json
from kft.runs.caches import cache_root

DEFAULT_PRECISION = "float32"
DEFAULT_BATCH_SIZE = TrainingConfig.model_fields["global_batch_size"].default
# The smallest batch whose speed reaches this share of the fastest is chosen.
AS_FAST = 0.95
_ROOM = "measured"
_FORMAT = 2
# Packages whose version affects the speed of a step.
_VERSIONS = ("kft", "tensorflow", "keras")
# Settings that are not varied where a user fixes them, and so are part of the record's key. The
# batch size is always varied, so that the record also serves a later `auto`.
_PINNED = ("precision", "jit_compile", "threads", "deterministic", "accumulation")
# Prefixes of a folder in the name of a backbone; a folder that kft saved has none.
_PREFIXES = ("hub:", "keras_hub:")


@dataclass(frozen=True)
class Timing:
    """One setting that was timed, or that could not be.

    Attributes:
        precision: Keras dtype policy.
        jit_compile: Whether XLA compiled the step.
        batch_size: Examples in a step.
        examples_per_second: Speed of full training steps; None if the setting was not timed.
        peak_bytes: Peak memory of the process so far; None if unknown.
        note: Reason why the setting was not timed; empty if it was.
    """

    precision: str
    jit_compile: bool
    batch_size: int
    examples_per_second: float | None = None
    peak_bytes: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Measured:
    """Result of a benchmark: the fastest settings for a model on a machine, and all timings.

    Attributes:
        precision: Keras dtype policy.
        jit_compile: Whether XLA compiles the step.
        batch_size: Examples in a step.
        timings: Timings of all settings that were tried, in order.
        seconds: Duration of the benchmark.
        backbone: Description of the backbone.
        machine: Description of the machine.
        measured_at: Local time of the benchmark, in ISO 8601.
    """

    precision: str
    jit_compile: bool
    batch_size: int
    timings: tuple[Timing, ...]
    seconds: float
    backbone: str
    machine: str
    measured_at: str

    @property
    def is_empty(self) -> bool:
        """Whether time ran out before the first step, so that the settings are the defaults."""
        return all(timing.examples_per_second is None for timing in self.timings)


@dataclass(frozen=True)
class ResolvedSetting:
    """A setting that a benchmark can supply, with its value in a run.

    Attributes:
        setting: Path of the setting in the pipeline.
        value: Value in force.
        origin: Description of the value's origin.
        is_unmeasured: Whether the setting is `auto` without a benchmark.
    """

    setting: str
    value: str
    origin: str
    is_unmeasured: bool = False


def find_record(pipeline: Pipeline) -> Path:
    """Path of the record of this model on this machine, which may not exist."""
    versions = package_versions()
    key = json.dumps(
        {
            "format": _FORMAT,
            "machine": describe_machine(),
            "versions": {name: versions[name] for name in _VERSIONS},
            "backbone": _identify_backbone(pipeline),
            "pinned": {name: getattr(pipeline.training, name) for name in _PINNED},
        },
        sort_keys=True,
    )
    digest = hashlib.blake2b(key.encode(), digest_size=8).hexdigest()
    return cache_root() / _ROOM / f"{digest}.json"


def _identify_backbone(pipeline: Pipeline) -> dict[str, Any]:
    """Identify a backbone by everything that affects its speed, so not by its weights."""
    config = choose_backbone(pipeline).backbone
    size, options = config.input_size, dict(config.options)
    if config.name in ARCHITECTURES:
        architecture = ARCHITECTURES[config.name]
        size = size or architecture.default_size
        options = {name: rule.default for name, rule in architecture.options.items()} | options
    name, files = _locate(config.name)
    return {"name": name, "input_size": size, "options": options, "files": files}


def _locate(name: str) -> tuple[str, list[tuple[str, int, int]]]:
    """Make a backbone's name independent of the working directory, and list its files on disk.

    Sizes and modification times stand for the contents, which may be gigabytes.
    """
    prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), "")
    path = Path(name.removeprefix(prefix)).expanduser()
    if name in BACKBONES or not path.exists():
        return name, []
    path = path.resolve()
    # A SavedModel's weights lie one folder deeper. No recursion: the folder may be a huge mistake.
    found = [path] if path.is_file() else [*path.glob("*"), *path.glob("variables/*")]
    files = sorted(file for file in found if file.is_file())
    stamps = [(file, file.stat()) for file in files]
    return f"{prefix}{path}", [
        (file.relative_to(path).as_posix(), stamp.st_size, stamp.st_mtime_ns)
        for file, stamp in stamps
    ]


def describe_model(pipeline: Pipeline) -> str:
    """Describe the backbone: 'mobilenet_v2, alpha 0.35, 160 x 160'."""
    identity = _identify_backbone(pipeline)
    size = identity["input_size"]
    options = [f"{name} {value}" for name, value in pipeline.backbone.options.items()]
    return ", ".join([identity["name"], *options, *([f"{size} x {size}"] if size else [])])


def save_measured(pipeline: Pipeline, measured: Measured) -> Path:
    """Write the record of a benchmark; return its path."""
    path = find_record(pipeline)
    write_json(path, asdict(measured))
    return path


def load_measured(pipeline: Pipeline) -> Measured | None:
    """Load the record of this model on this machine; None if missing or damaged.

    TensorFlow is not started. A new benchmark replaces a damaged record.
    """
    try:
        values = json.loads(find_record(pipeline).read_text(encoding="utf-8"))
        timings = tuple(Timing(**timing) for timing in values.pop("timings"))
        return Measured(timings=timings, **values)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def apply_measured(pipeline: Pipeline, measured: Measured | None, *, replicas: int = 1) -> Pipeline:
    """Replace every `auto` among the measured settings by a value.

    Settings that the user fixed are kept, and measured values that they exclude are not used.
    Without a benchmark the values are float32, no XLA, one thread per core and 32 examples, so
    that a run's record always holds the values of the run.

    Args:
        pipeline: Pipeline as the user wrote it; the backbone is chosen too if it names none.
        measured: Result of `load_measured`.
        replicas: Number of replicas of the model; XLA was measured for one.
    """
    pipeline = choose_backbone(pipeline)
    uses_xla = (
        measured is not None
        and measured.jit_compile
        and replicas == 1
        and not _excludes_xla(pipeline)
    )
    values = {
        "precision": measured.precision if measured else DEFAULT_PRECISION,
        "jit_compile": uses_xla,
        "threads": default_threads(),
        "global_batch_size": _batch_size(pipeline, measured),
    }
    overrides = [
        f"training.{name}={json.dumps(value)}"
        for name, value in values.items()
        if getattr(pipeline.training, name) == "auto"
    ]
    return override_pipeline(pipeline, overrides) if overrides else pipeline


def _excludes_xla(pipeline: Pipeline) -> bool:
    """Tell whether a step has no fixed size for which XLA could compile it."""
    return pipeline.training.accumulation > 1


def _batch_size(pipeline: Pipeline, measured: Measured | None) -> int:
    """Batch size, as a multiple of the parts in which gradients are accumulated."""
    parts = pipeline.training.accumulation
    size = measured.batch_size if measured else DEFAULT_BATCH_SIZE
    return max(parts, size // parts * parts)


def describe_choices(pipeline: Pipeline, measured: Measured | None) -> tuple[ResolvedSetting, ...]:
    """Describe each setting that a benchmark can supply: its value in force and its origin.

    Args:
        pipeline: Pipeline as the user wrote it, before `apply_measured`.
        measured: Result of `load_measured`.
    """
    applied = apply_measured(pipeline, measured)
    choices = []
    for name in ("precision", "jit_compile", "threads", "global_batch_size"):
        given = getattr(pipeline.training, name)
        field = type(pipeline.training).model_fields[name]
        if given != "auto":
            origin = "default" if given == field.default else "given"
        elif name == "threads":
            origin = "one per core"
        elif name == "jit_compile" and _excludes_xla(pipeline):
            origin = "off with training.accumulation"
        elif measured:
            origin = f"measured on {measured.measured_at[:10]}"
        else:
            origin = "not measured; see `kft benchmark`"
        value = json.dumps(getattr(applied.training, name)).strip('"')
        is_unmeasured = given == "auto" and name != "threads" and measured is None
        choices.append(ResolvedSetting(f"training.{name}", value, origin, is_unmeasured))
    return tuple(choices)
