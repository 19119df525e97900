"""A phase moves what it declares, for as long as it declares, the same way each time."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kft.config import HeadConfig, TrainingConfig
from kft.errors import TrainingError
from kft.heads.classification import ClassificationHead
from kft.model import HEAD
from kft.training import seed_everything
from kft.training.callbacks import RefuseDivergence
from kft.training.fitting import check_movement
from kft.training.inputs import PhaseInput

BLOCKS = ("stem", "stage1", "stage2", "stage3", "stage4", HEAD)


def moved(before, after) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def nudge(variable) -> None:
    variable.assign(variable.numpy() + 1)


# Fitting


def test_a_linear_probe_moves_only_the_head_and_learns(fit, assemble_tiny, make_phase, tmp_path):
    assembled = assemble_tiny(is_head_drawn=False)
    before = assembled.blocks.digests()
    phase = make_phase(steps=40, learning_rate=0.1)
    fitted = fit(assembled, phase)
    assert moved(before, assembled.blocks.digests()) == {HEAD}
    assert fitted.computed_from == "feature_vector"
    assert fitted.unmoved == ()
    assert fitted.history[0]["loss"] > 2 * fitted.history[-1]["loss"]
    assert fitted.history[-1]["accuracy"] == 1.0
    assert fitted.seconds > 0


def test_the_last_stage_alone_trains_from_a_stored_prefix_as_it_does_from_pixels(
    fit, assemble_tiny, make_phase, make_inputs, restored_globals
):
    weights = []
    for from_pixels in (False, True):
        seed_everything(0)
        assembled = assemble_tiny()
        inputs = make_inputs(assembled)
        if from_pixels:
            given = PhaseInput(
                assembled.model,
                inputs._batches("train", None, make_phase(steps=3)),
                None,
                "pixels",
            )
        before = assembled.blocks.digests()
        fitted = fit(
            assembled,
            make_phase("last", "stage4", HEAD, steps=3),
            make_input=(lambda phase, given=given: given) if from_pixels else None,
        )
        assert moved(before, assembled.blocks.digests()) == {"stage4", HEAD}
        assert fitted.computed_from == ("pixels" if from_pixels else "stage3")
        weights.append(
            [v.numpy() for name in ("stage4", HEAD) for v in assembled.blocks[name].variables]
        )
    for stored, whole in zip(*weights, strict=True):
        assert np.allclose(stored, whole, atol=1e-4)


def test_a_phase_ends_at_its_step_inside_an_epoch_and_writes_what_it_did(
    fit, tiny_assembled, make_phase, tmp_path, display
):
    phase = make_phase("full", *BLOCKS, steps=5, batch_norm="trainable", multipliers={"stem": 0.5})
    fitted = fit(tiny_assembled, phase)
    assert int(tiny_assembled.model.optimizer.iterations.numpy()) == 5
    with (tmp_path / "phase" / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert set(rows[0]) == {"epoch", "loss", "accuracy", "val_loss", "val_accuracy"}
    assert [{k: float(v) for k, v in row.items()} for row in rows] == fitted.history
    described = json.loads((tmp_path / "phase" / "phase.json").read_text())
    assert described["trainable"] == list(BLOCKS)
    assert described["steps"] == 5
    assert described["multipliers"] == {"stem": 0.5}
    assert described["computed_from"] == fitted.computed_from == "pixels"
    assert list((tmp_path / "phase" / "tensorboard").rglob("events*"))
    assert "Phase 1 of 1: done in" in display.console.file.getvalue()


def test_two_fits_with_one_seed_give_bit_equal_weights(
    fit, assemble_tiny, make_phase, restored_globals
):
    head = ClassificationHead(("cat", "dog", "owl"), HeadConfig(dropout=0.3, hidden=(8,)))
    last = ("stage4", HEAD)
    phase = make_phase("last", *last, steps=3, augmentation="light", batch_norm="trainable")
    runs = []
    for _ in range(2):
        seed_everything(1)
        assembled = assemble_tiny(seed=1, head=head)
        before = assembled.blocks.digests()
        fit(assembled, phase, TrainingConfig(seed=1, global_batch_size=8))
        assert moved(before, assembled.blocks.digests()) == set(last)
        # The state of the dropout's generators too.
        runs.append(assembled.model.variables)
    assert any("seed_generator" in variable.path for variable in runs[0])
    for one, other in zip(*runs, strict=True):
        assert np.array_equal(one.numpy(), other.numpy()), one.path


@pytest.mark.parametrize("bad_step", [1, 2])
def test_a_loss_that_is_no_number_ends_the_phase_and_names_phase_and_step(
    fit, tiny_assembled, make_phase, bad_step
):
    pixels = np.zeros((4, 8, 32, 32, 3), np.float32)
    pixels[bad_step - 1, 0, 0, 0, 0] = np.nan
    batches = tf.data.Dataset.from_tensor_slices((pixels, np.zeros((4, 8), np.int64)))
    given = PhaseInput(tiny_assembled.model, batches, None, "pixels")
    phase = make_phase("deep", HEAD, learning_rate=0.5)
    with pytest.raises(TrainingError, match=f"phase 'deep': the loss is nan after step {bad_step}"):
        fit(tiny_assembled, phase, make_input=lambda phase: given)


def test_the_step_of_a_divergence_is_counted_over_the_whole_phase():
    callback = RefuseDivergence("deep", 0.5)
    for _ in range(2):
        for batch in range(2):
            callback.on_train_batch_end(batch, {"loss": 1.0})
    with pytest.raises(TrainingError, match="after step 5"):
        callback.on_train_batch_end(0, {"loss": float("inf")})


# What moved


@pytest.fixture
def watched(tiny_assembled, make_phase):
    """The model with its last stage and head set to train, and its digests before."""
    phase = make_phase("last", "stage4", HEAD)
    tiny_assembled.blocks.set_trainable(phase.trainable, batch_norm=phase.batch_norm)
    return tiny_assembled.blocks, phase, tiny_assembled.blocks.digests()


def test_what_was_declared_may_move_and_what_stayed_is_named(watched):
    blocks, phase, before = watched
    logits, kernel = blocks[HEAD].variables[0], blocks["stage4"].variables[0]
    nudge(logits)
    nudge(kernel)
    stayed = check_movement(phase, before, blocks)
    assert [path.rsplit("#")[0] for path in stayed] == [
        "stage4_first_conv/kernel",
        "stage4_second_conv/kernel",
        "logits/bias",
    ]
    assert kernel.path == "stage4_shortcut_conv/kernel"


def test_a_moved_variable_of_a_frozen_block_is_refused(watched):
    blocks, phase, before = watched
    for name in ("stage4", HEAD):
        nudge(blocks[name].variables[0])
    nudge(blocks["stage2"].variables[0])
    with pytest.raises(TrainingError) as caught:
        check_movement(phase, before, blocks)
    assert "phase 'last': 1 variables moved that it keeps frozen" in str(caught.value)
    assert "of block 'stage2'" in str(caught.value)


@pytest.mark.parametrize("kind", ["gamma", "moving_mean"])
def test_a_moved_frozen_batch_norm_of_a_trainable_block_is_refused(watched, kind):
    blocks, phase, before = watched
    nudge(next(v for v in blocks["stage4"].variables if kind in v.path))
    with pytest.raises(TrainingError, match=f"1 variables moved that it keeps frozen.*{kind}"):
        check_movement(phase, before, blocks)


def test_a_trainable_block_that_stayed_is_refused(watched):
    blocks, phase, before = watched
    nudge(blocks[HEAD].variables[0])
    with pytest.raises(TrainingError, match="block 'stage4' is trainable but none of its 3 variab"):
        check_movement(phase, before, blocks)


def test_a_fit_that_cannot_reach_the_backbone_is_refused(fit, assemble_tiny, make_phase):
    """From logits of zero the first gradient of the backbone is zero; without decay it stays."""
    assembled = assemble_tiny(is_head_drawn=False)
    phase = make_phase("last", "stage4", HEAD, steps=1, weight_decay=0.0)
    with pytest.raises(TrainingError, match="block 'stage4' is trainable but none"):
        fit(assembled, phase)


# Several devices


MIRRORED = Path(__file__).with_name("mirrored_worker.py")


def test_two_mirrored_devices_train_as_one_does_where_batch_norm_rests(pictures, tmp_path):
    result = subprocess.run(
        [sys.executable, str(MIRRORED), pictures, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    answer = json.loads(result.stdout.splitlines()[-1])
    assert answer["replicas"] == {"none": 1, "mirrored": 2}
    one, two = answer["losses"]["none"], answer["losses"]["mirrored"]
    assert len(one) == 2
    assert one[0] - one[-1] > 1e-3
    assert two == pytest.approx(one, abs=1e-5)
    assert answer["iterations"] == {"none": 4, "mirrored": 4}
    assert answer["largest_difference"] < 1e-3
