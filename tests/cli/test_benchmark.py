"""`kft benchmark` prints the timings, the chosen settings, and how to override them."""

import io
import json

import pytest
from click.testing import CliRunner
from rich.console import Console

from kft.cli.main import main
from kft.timing import Measured, Timing

TIMINGS = (
    Timing("float32", False, 32, 213.1, 1_190_000_000),
    Timing("float32", False, 64, 260.0, 1_520_000_000),
    Timing("float32", False, 256, note="would not fit into memory"),
    Timing("mixed_bfloat16", False, 64, 125.2, 1_000_000_000),
    Timing("float32", True, 64, note="InvalidArgumentError: no kernel."),
)


@pytest.fixture
def asked(monkeypatch):
    """Replace the benchmark by one with invented results, and record its arguments."""
    calls = []

    def fake(pipeline, say, *, budget_seconds):
        calls.append((pipeline, budget_seconds))
        say("Measuring")
        timings = TIMINGS if budget_seconds > 10 else TIMINGS[2:3]
        return Measured(
            "float32", False, 64, timings, 21.4, "mobilenet_v2, 160 x 160", "two cores",
            "2026-01-02T03:04:05",
        )  # fmt: skip

    monkeypatch.setattr("kft.timing.benchmark", fake)
    return calls


def run(*arguments):
    result = CliRunner().invoke(main, ["benchmark", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def line_with(text, printed):
    return next(line for line in printed.splitlines() if text in line)


def test_every_timing_has_a_line_and_the_chosen_is_marked(asked):
    printed = run()
    assert [line.split()[3] for line in printed.splitlines() if "chosen" in line] == ["260.0"]
    assert line_with("125.2", printed).split()[:6] == [
        *("mixed_bfloat16", "no", "64", "125.2", "0.59", "1.0")
    ]
    assert "would not fit" in line_with("256", printed)
    assert "no kernel" in line_with("yes", printed)


def test_a_setting_of_the_run_that_is_not_auto_is_shown(asked):
    assert "a run uses 32" in line_with("training.global_batch_size", run())
    printed = run("training.global_batch_size=auto")
    assert "a run uses" not in line_with("training.global_batch_size", printed)


def test_the_output_fits_a_terminal_of_eighty_columns(asked, monkeypatch):
    terminal = Console(
        width=80, force_terminal=True, color_system=None, file=io.StringIO(), markup=False
    )
    monkeypatch.setattr("kft.cli.benchmark_output.make_console", lambda: terminal)
    run()
    printed = terminal.file.getvalue()
    table = printed[printed.index("precision") : printed.index("training.precision")]
    assert max(map(len, table.splitlines())) <= 80
    assert "213.1" in table


def test_arguments_are_settings_only_or_a_source_with_settings(asked, tmp_path):
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
    assert [timing["batch_size"] for timing in values["timings"]] == [32, 64, 256, 64, 64]


def test_an_empty_benchmark_is_reported_with_a_remedy(asked):
    printed = run("--seconds", "5")
    assert "nothing is stored" in printed
    assert "--seconds 60" in printed
    assert "chosen" not in printed


def test_a_time_limit_that_is_too_short_is_refused(asked):
    assert CliRunner().invoke(main, ["benchmark", "--seconds", "1"]).exit_code == 2
