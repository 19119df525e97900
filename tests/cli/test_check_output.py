"""`kft check` shows each phase and its treatment of every block."""

import io
import re
from dataclasses import replace

import pytest
from click.testing import CliRunner
from phases import changed, phase_of
from rich.console import Console

from kft.cli.main import main
from kft.cli.plan_output import describe_phase, show_block_table
from kft.config import LoraConfig, load_pipeline
from kft.planning import BlockRow
from kft.strategies import Phase
from kft.strategies.phases import Folds, Scope, Solve
from kft.timing import Measured
from kft.timing.record import save_measured

SMALL = ("backbone.name=small_cnn", "backbone.weights=random", "backbone.options.width=4")
PROBE = Phase("linear_probe", Scope(("head",)), Solve())
FULL = phase_of("full", ("stem", "stage1", "head"), 1e-3, 50, 10)
ROWS = (
    BlockRow("stem", 1000, 0, None, "frozen", "cache"),
    BlockRow("stage1", 2000, 0, None, "frozen", "cache"),
    BlockRow("stage2", 4000, 3000, 1e-4, "frozen", "computed"),
    BlockRow("head", 500, 500, 1e-3, "none", "computed"),
)


def sentences(phase, *arguments, **options):
    return " ".join(describe_phase(phase, *arguments, **options))


def table(phase, rows):
    console = Console(width=80, force_terminal=True, color_system=None, file=io.StringIO())
    show_block_table(console, phase, rows)
    return console.file.getvalue().splitlines()


def line_of(name, lines):
    return re.split(
        r"\s{2,}", next(line for line in lines if line.strip().startswith(name)).strip()
    )


def test_neighbours_with_equal_treatment_share_a_line():
    lines = table(FULL, ROWS)
    assert line_of("stem", lines) == ["stem … stage1 (2)", "3,000", "frozen", "frozen", "cache"]
    assert line_of("stage2", lines) == ["stage2", "4,000", "3,000", "0.0001", "frozen", "computed"]
    assert line_of("head", lines) == ["head", "500", "500", "0.001", "computed"]


def test_blocks_with_different_rates_have_separate_lines():
    rows = [
        BlockRow(f"block{index}", 10, 10, 1e-3 * 0.75**index, "none", "computed")
        for index in range(5)
    ]
    assert sum("block" in line for line in table(FULL, rows)[1:]) == 6


def test_a_solved_head_has_no_rate():
    rows = (replace(ROWS[0], block="stem"), BlockRow("head", 500, 500, None, "none", "computed"))
    assert "solved" in line_of("head", table(PROBE, rows))
    assert "without steps" in sentences(PROBE)


def test_rates_tried_on_validation_are_named_in_order():
    candidates = tuple(changed(FULL, learning_rate=rate) for rate in (1e-3, 3e-4, 1e-4))
    phase = changed(FULL, candidates=candidates, pilot_steps=20, is_sequential=True)
    said = sentences(phase, PROBE)
    assert "Learning rates tried on validation for 20 steps each: 0.001, 0.0003, 0.0001" in said
    assert "the first for which a blend is better than the start is chosen" in said
    assert "the best continues" in sentences(changed(phase, is_sequential=False))


def test_blocks_tried_on_validation_are_named_without_shared_blocks():
    candidates = tuple(changed(FULL, trainable=(name, "head")) for name in ("stem", "stage1"))
    said = sentences(changed(FULL, candidates=candidates, pilot_steps=20))
    assert "Blocks tried on validation for 20 steps each: stem, stage1;" in said


def test_a_phase_that_is_blended_with_its_start_names_the_start():
    phase = changed(FULL, blends=True)
    assert "Blends its weights with those of the probe" in sentences(phase, PROBE)
    assert "Blends its weights with its initial weights" in sentences(phase)
    assert "a share of 0 keeps the start" in sentences(phase)


def test_decisions_on_folds_are_described():
    folds = Folds(rates=(1e-3, 3e-4), steps=25, judged_after=75, count=4)
    said = sentences(changed(FULL, folds=folds, learns_from=("train", "validation")), PROBE)
    assert "25 steps" in said
    assert "0.001, 0.0003" in said
    assert "after 75 steps" in said
    assert "Learns from train and validation." in said


def test_lora_bitfit_and_mixup_are_described():
    said = sentences(changed(FULL, lora=LoraConfig(rank=4, alpha=8)), num_adapted=12)
    assert "rank 4 and alpha 8 on 12 layers" in said
    assert "BitFit" in sentences(changed(FULL, part="bias_norm"))
    assert "mixup, alpha 0.2" in sentences(changed(FULL, mixup=0.2))


def test_a_plain_phase_has_no_sentences():
    assert describe_phase(FULL, PROBE) == []


@pytest.fixture
def photos(tmp_path, make_picture_folder, monkeypatch):
    monkeypatch.setenv("KFT_CACHE_DIR", str(tmp_path / "cache"))
    # Set first, so that the command's changes are undone.
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")
    return str(make_picture_folder(tmp_path / "photos", per_class=12))


def check(*arguments):
    result = CliRunner().invoke(main, ["check", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_check_shows_every_phase_with_its_blocks(photos, restored_globals):
    printed = check(photos, *SMALL, "strategy.name=lp_ft", "data.image.augmentation=none")
    assert "Phase 1 of 2: linear_probe" in printed
    assert "Phase 2 of 2: full" in printed
    blocks = printed[printed.index("Phase 2 of 2") :].splitlines()
    assert "computed" in next(line for line in blocks if line.strip().startswith("stem"))
    assert "not measured; see `kft benchmark`" in printed


def test_check_refuses_a_solved_probe_whose_vectors_exceed_the_cache(photos, restored_globals):
    tight = ("strategy.name=linear_probe", "features.limit_gigabytes=1e-7")
    result = CliRunner().invoke(main, ["check", photos, *SMALL, *tight])
    assert result.exit_code == 2
    assert "features.limit_gigabytes: found 1e-07" in result.stderr
    assert "strategy.probe=trained" in result.stderr


def test_check_shows_that_features_exceed_the_cache(photos, restored_globals):
    settings = (*SMALL, "strategy.name=linear_probe", "strategy.probe=trained")
    settings = (*settings, "data.image.augmentation=none", "features.limit_gigabytes=1e-7")
    blocks = check(photos, *settings).partition("Phase 1 of 1")[2]
    assert "cache" not in blocks
    assert "computed" in blocks


def test_check_shows_and_uses_the_measured_settings(photos, restored_globals):
    settings = [*SMALL, "training.global_batch_size=auto", "training.threads=1"]
    measured = Measured("float32", False, 16, (), 20.0, "small_cnn", "here", "2026-01-02T03:04:05")
    save_measured(load_pipeline(photos, settings), measured)
    printed = check(photos, *settings)
    assert "global_batch_size: 16" in printed
    assert re.search(r"training\.global_batch_size +16 +measured on 2026-01-02", printed)
    assert re.search(r"training\.threads +1 +given", printed)
