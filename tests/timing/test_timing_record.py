"""A benchmark is recorded for this model on this machine, and replaces `auto` only."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kft.config import load_pipeline
from kft.machine import num_cores
from kft.timing import (
    Measured,
    Timing,
    apply_measured,
    describe_choices,
    find_record,
    is_worth_measuring,
    load_measured,
)
from kft.timing.record import save_measured

ALL_AUTO = ("training.global_batch_size=auto",)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KFT_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)


def pipeline(*overrides):
    return load_pipeline(None, [*ALL_AUTO, *overrides])


def measured(**changes):
    timing = Timing("mixed_bfloat16", True, 32, 12.5, 10**9)
    values = {
        "precision": "mixed_bfloat16",
        "jit_compile": True,
        "batch_size": 64,
        "timings": (timing,),
        "seconds": 21.5,
        "backbone": "mobilenet_v2",
        "machine": "two cores",
        "measured_at": "2026-01-02T03:04:05",
    }
    return Measured(**values | changes)


def test_a_record_reads_back():
    assert load_measured(pipeline()) is None
    save_measured(pipeline(), measured())
    assert load_measured(pipeline()) == measured()


def test_reading_a_record_does_not_import_tensorflow():
    code = (
        "import sys\n"
        "from kft.config import load_pipeline\n"
        "from kft.timing import apply_measured, load_measured\n"
        "pipeline = load_pipeline(None, [])\n"
        "apply_measured(pipeline, load_measured(pipeline))\n"
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "override",
    [
        "backbone.name=resnet50",
        "backbone.input_size=160",
        "backbone.options.alpha=0.5",
        "training.precision=float32",
        "training.threads=1",
        "training.deterministic=false",
        "training.accumulation=2",
    ],
)
def test_another_model_or_a_pinned_setting_has_its_own_record(override):
    assert find_record(pipeline(override)) != find_record(pipeline())


@pytest.mark.parametrize(
    "override",
    [
        "backbone.weights=random",
        "backbone.input_size=224",
        "backbone.options.alpha=1.0",
        "head.dropout=0.5",
        "training.global_batch_size=8",
        "data.path=photos",
    ],
)
def test_settings_that_do_not_affect_speed_share_a_record(override):
    assert find_record(pipeline(override)) == find_record(pipeline())


def write_own(folder: Path) -> Path:
    """Write the files of a SavedModel, of a backbone that kft saved and of a preset."""
    for name in ("saved_model.pb", "backbone.keras", "variables/variables.index"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("some content")
    return folder


@pytest.mark.parametrize("prefix", ["", "hub:", "keras_hub:"])
def test_a_backbone_on_disk_has_one_record_from_any_working_directory(
    tmp_path, monkeypatch, prefix
):
    first, second = (write_own(tmp_path / name / "m") for name in ("a", "b"))
    found = []
    for folder in (first, second):
        monkeypatch.chdir(folder.parent)
        found += [
            find_record(pipeline(f"backbone.name={prefix}{name}")) for name in ("./m", str(folder))
        ]
    assert found[0] == found[1] != found[2] == found[3]


@pytest.mark.parametrize("prefix", ["", "hub:", "keras_hub:"])
@pytest.mark.parametrize("name", ["backbone.keras", "variables/variables.index"])
def test_a_rewritten_backbone_has_its_own_record(tmp_path, prefix, name):
    file = write_own(tmp_path / "m") / name
    override = f"backbone.name={prefix}{tmp_path / 'm'}"
    first = find_record(pipeline(override))
    assert find_record(pipeline(override)) == first
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000))
    second = find_record(pipeline(override))
    file.write_text("other content")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert len({first, second, find_record(pipeline(override))}) == 3


def test_files_are_identified_but_a_folder_with_a_registered_name_is_ignored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "own.keras"
    file.write_text("some content")
    first = find_record(pipeline("backbone.name=own.keras"))
    assert find_record(pipeline(f"backbone.name={file}")) == first
    file.write_text("other content")
    assert find_record(pipeline("backbone.name=own.keras")) != first
    registered = find_record(pipeline("backbone.name=resnet50"))
    (tmp_path / "resnet50").mkdir()
    assert find_record(pipeline("backbone.name=resnet50")) == registered


def test_the_record_is_found_when_the_batch_size_becomes_auto_later():
    """Several sizes are measured whatever is set, so that the record serves a later `auto`."""
    save_measured(load_pipeline(None, []), measured())
    assert load_measured(pipeline()) == measured()


def test_another_machine_or_version_has_its_own_record(monkeypatch):
    here = find_record(pipeline())
    with monkeypatch.context() as patch:
        patch.setattr("kft.timing.record.describe_machine", lambda: {"cores": 999})
        assert find_record(pipeline()) != here
    versions = {"kft": "9", "tensorflow": "9", "keras": "9"}
    monkeypatch.setattr("kft.timing.record.package_versions", lambda: versions)
    assert find_record(pipeline()) != here


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"timings": 3}', '{"timings": [{"x": 1}]}'])
def test_a_damaged_record_is_ignored(text):
    path = save_measured(pipeline(), measured())
    path.write_text(text)
    assert load_measured(pipeline()) is None


def test_measured_values_replace_auto():
    training = apply_measured(pipeline(), measured()).training
    assert training.precision == "mixed_bfloat16"
    assert training.jit_compile is True
    assert training.threads == num_cores()
    assert training.global_batch_size == 64


def test_measured_xla_is_not_used_with_accumulation():
    given = pipeline("training.accumulation=2")
    assert apply_measured(given, measured()).training.jit_compile is False
    (choice,) = (c for c in describe_choices(given, measured()) if c.setting.endswith("_compile"))
    assert (choice.value, choice.origin) == ("false", "off with training.accumulation")


def test_versions_are_looked_up_once(monkeypatch):
    asked = []
    versions = {"kft": "9", "tensorflow": "9", "keras": "9"}
    monkeypatch.setattr("kft.timing.record.package_versions", lambda: asked.append(1) or versions)
    find_record(pipeline())
    assert len(asked) == 1


def test_without_a_record_auto_becomes_the_defaults():
    training = apply_measured(pipeline(), None).training
    assert training.precision == "float32"
    assert training.jit_compile is False
    assert training.threads == num_cores()
    assert training.global_batch_size == 32


def test_settings_of_the_user_are_kept():
    given = pipeline(
        "backbone.name=resnet50",
        "training.precision=mixed_float16",
        "training.jit_compile=false",
        "training.threads=3",
        "training.global_batch_size=7",
    )
    assert apply_measured(given, measured()) == given


def test_the_batch_size_is_a_multiple_of_its_parts():
    given = pipeline("training.accumulation=3")
    assert apply_measured(given, measured()).training.global_batch_size == 63
    given = pipeline("training.accumulation=100")
    assert apply_measured(given, measured()).training.global_batch_size == 100


def test_each_setting_states_its_origin():
    given = load_pipeline(None, ["training.threads=3"])
    choices = {choice.setting: choice for choice in describe_choices(given, measured())}
    assert choices["training.precision"].value == "mixed_bfloat16"
    assert choices["training.precision"].origin == "measured on 2026-01-02"
    assert choices["training.threads"].origin == "given"
    assert choices["training.global_batch_size"].value == "32"
    assert choices["training.global_batch_size"].origin == "default"
    unmeasured = describe_choices(given, None)
    assert [choice.is_unmeasured for choice in unmeasured] == [True, True, False, False]


def test_only_long_runs_are_worth_measuring():
    assert not is_worth_measuring(19 * 60)
    assert is_worth_measuring(21 * 60)
