"""`kft measure` prints what was tried, what was chosen, and how to have it otherwise."""

import io
import json

import pytest
from click.testing import CliRunner
from rich.console import Console

from kft.cli.main import main
from kft.measuring import Measured, Trial

TRIALS = (
    Trial("float32, 2 threads", "float32", 2, False, 32, 213.1, 1.0, 1_190_000_000, 1.6),
    Trial("bfloat16", "mixed_bfloat16", 2, False, 32, 125.2, 0.59, 1_000_000_000, 0.9),
    Trial("1 thread", "float32", 1, False, 32, note="not measured: out of time"),
    Trial("batch 32", "float32", 2, False, 32, 213.1, 1.0, 1_190_000_000, 1.6),
    Trial("batch 64", "float32", 2, False, 64, 260.0, 1.22, 1_520_000_000, 1.5),
    Trial("XLA", "float32", 2, True, 32, note="forward pass at 0.14 of the speed"),
)


@pytest.fixture
def asked(monkeypatch):
    """What measuring was asked for; its answer is made up."""
    calls = []

    def fake(pipeline, say, *, budget_seconds):
        calls.append((pipeline, budget_seconds))
        say("Measuring")
        trials = TRIALS if budget_seconds > 10 else TRIALS[2:3]
        return Measured(
            "float32", False, 64, 2, trials, 21.4, "mobilenet_v2, 160 x 160", "two cores",
            "2026-01-02T03:04:05",
        )  # fmt: skip

    monkeypatch.setattr("kft.measuring.measure", fake)
    return calls


def run(*arguments):
    result = CliRunner().invoke(main, ["measure", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def line_with(text, printed):
    return next(line for line in printed.splitlines() if text in line)


def test_every_trial_has_a_line_and_the_chosen_are_marked(asked):
    printed = run()
    assert line_with("213.1", printed).split()[-1] == "chosen"
    assert line_with("260.0", printed).split()[-1] == "chosen"
    assert "chosen" not in line_with("125.2", printed)
    assert "0.59" in line_with("bfloat16", printed)
    assert "out of time" in line_with("1 thread", printed)
    assert "0.14" in line_with("XLA", printed)


def test_a_setting_in_force_that_is_not_auto_is_told(asked):
    assert "a run takes 32" in line_with("training.global_batch_size", run())
    printed = run("training.global_batch_size=auto")
    assert "a run takes" not in line_with("training.global_batch_size", printed)


def test_it_fits_a_terminal_of_eighty_columns(asked, monkeypatch):
    terminal = Console(
        width=80, force_terminal=True, color_system=None, file=io.StringIO(), markup=False
    )
    monkeypatch.setattr("kft.cli.measure_output.make_console", lambda: terminal)
    run()
    printed = terminal.file.getvalue()
    table = printed[printed.index("tried") : printed.index("training.precision")]
    assert max(map(len, table.splitlines())) <= 80
    assert "213.1" in table


def test_settings_alone_or_a_source_with_settings(asked, tmp_path):
    run("backbone.name=resnet50", "backbone.input_size=160")
    run(str(tmp_path), "backbone.name=resnet50")
    first, second = (pipeline for pipeline, _ in asked)
    assert (first.backbone.name, first.backbone.input_size, first.data.path) == (
        "resnet50",
        160,
        None,
    )
    assert (second.backbone.name, second.data.path) == ("resnet50", str(tmp_path))


def test_the_record_as_json(asked):
    values = json.loads(run("--json", "--seconds", "60"))
    assert asked[0][1] == 60
    assert values["batch_size"] == 64
    assert [trial["candidate"] for trial in values["trials"]][:2] == [
        "float32, 2 threads",
        "bfloat16",
    ]


def test_nothing_measured_is_told_with_what_to_do(asked):
    printed = run("--seconds", "5")
    assert "nothing is remembered" in printed
    assert "--seconds 60" in printed
    assert "chosen" not in printed


def test_a_time_too_short_is_refused(asked):
    assert CliRunner().invoke(main, ["measure", "--seconds", "1"]).exit_code == 2
