"""A phase changes the blocks that it declares, for its number of steps, reproducibly."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kft.config import FeaturesConfig, HeadConfig, LoraConfig, TrainingConfig
from kft.errors import TrainingError
from kft.features import find_cut
from kft.feeding.phase_input import PhaseInput, Validation
from kft.model import HEAD
from kft.optimization import seed_everything
from kft.tasks.classification.head import ClassificationHead
from kft.training import PhaseReport
from kft.training.callbacks import RefuseDivergence
from kft.training.compiled_phase import compile_phase
from kft.training.fitting import conclude, fit_compiled
from kft.training.movement import check_movement

BLOCKS = ("stem", "stage1", "stage2", "stage3", "stage4", HEAD)


def moved(before, after) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def nudge(variable) -> None:
    variable.assign(variable.numpy() + 1)


# Fitting


def test_a_linear_probe_changes_only_the_head_and_learns(fit, assemble_tiny, make_phase, tmp_path):
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


def test_the_last_stage_trains_alike_from_stored_features_and_from_pixels(
    fit, assemble_tiny, make_phase, make_feed, restored_globals
):
    weights = []
    for from_pixels in (False, True):
        seed_everything(0)
        assembled = assemble_tiny()
        phase = make_phase("last", "stage4", HEAD, steps=3)
        feed = make_feed(
            assembled, phases=(phase,), features=FeaturesConfig(enabled=not from_pixels)
        )
        before = assembled.blocks.digests()
        fitted = fit(assembled, phase, make_input=feed.for_phase)
        assert moved(before, assembled.blocks.digests()) == {"stage4", HEAD}
        assert fitted.computed_from == ("inputs" if from_pixels else "stage3")
        weights.append(
            [v.numpy() for name in ("stage4", HEAD) for v in assembled.blocks[name].variables]
        )
    for stored, whole in zip(*weights, strict=True):
        assert np.allclose(stored, whole, atol=1e-4)


def test_a_phase_ends_at_its_last_step_within_an_epoch_and_writes_its_record(
    fit, tiny_assembled, make_phase, tmp_path, display
):
    phase = make_phase("full", *BLOCKS, steps=5, batch_norm="trainable", multipliers={"stem": 0.5})
    fitted = fit(tiny_assembled, phase)
    assert fitted.steps_done == 5
    assert fitted.traces == 1
    assert 0 < fitted.first_step_seconds < fitted.seconds
    with (tmp_path / "phase" / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert set(rows[0]) == {"epoch", "loss", "accuracy", "val_loss", "val_accuracy"}
    assert [{k: float(v) for k, v in row.items()} for row in rows] == fitted.history
    described = json.loads((tmp_path / "phase" / "phase.json").read_text())
    assert described["trainable"] == list(BLOCKS)
    assert described["steps"] == 5
    assert described["multipliers"] == {"stem": 0.5}
    assert described["computed_from"] == fitted.computed_from == "inputs"
    assert list((tmp_path / "phase" / "tensorboard").rglob("events*"))
    assert "Phase 1 of 1: done in" in display.console.file.getvalue()


def test_two_fits_with_the_same_seed_give_bit_equal_weights(
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
        # `variables` include the states of the dropout's generators.
        runs.append(assembled.model.variables)
    assert any("seed_generator" in variable.path for variable in runs[0])
    for one, other in zip(*runs, strict=True):
        assert np.array_equal(one.numpy(), other.numpy()), one.path


@pytest.mark.parametrize("bad_step", [1, 2])
def test_a_loss_that_is_not_finite_ends_the_phase_with_phase_and_step(
    fit, tiny_assembled, make_phase, bad_step
):
    cut = find_cut(tiny_assembled, (HEAD,))
    # Feature vectors, because on some processors a convolution with ReLU turns NaN into zero.
    vectors = np.zeros((4, 8, *cut.shapes["feature_vector"]), np.float32)
    vectors[bad_step - 1, 0, 0] = np.nan
    batches = tf.data.Dataset.from_tensor_slices(
        ({"feature_vector": vectors}, np.zeros((4, 8), np.int64))
    )
    given = PhaseInput(cut.suffix, batches.skip, None, cut.name)
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


# Parts and factors


def test_bitfit_changes_only_biases_and_norms_with_frozen_statistics(
    fit, tiny_assembled, make_phase
):
    before = tiny_assembled.blocks.digests()
    fit(tiny_assembled, make_phase("bitfit", "stage4", HEAD, part="bias_norm", steps=2))
    after = tiny_assembled.blocks.digests()
    changed = {
        path.rsplit("#")[0].rsplit("/")[1]
        for path, digest in before["stage4"].items()
        if after["stage4"][path] != digest
    }
    assert changed == {"gamma", "beta"}
    assert moved(before, after) == {"stage4", HEAD}


def test_factors_are_merged_into_their_kernels_and_removed(
    fit, assemble_tiny, make_phase, tmp_path
):
    assembled = assemble_tiny()
    before, names = assembled.blocks.digests(), [v.path for v in assembled.model.weights]
    phase = make_phase("lora", "stage4", HEAD, lora=LoraConfig(rank=2), steps=4)
    fitted = fit(assembled, phase)
    after = assembled.blocks.digests()
    changed = {p for p, digest in before["stage4"].items() if after["stage4"][p] != digest}
    assert {path.rsplit("#")[0].rsplit("/")[1] for path in changed} == {"kernel"}
    assert moved(before, after) == {"stage4", HEAD}
    assert [v.path for v in assembled.model.weights] == names
    assert fitted.unmoved == ()
    described = json.loads((tmp_path / "phase" / "phase.json").read_text())
    assert described["lora"]["rank"] == 2
    # A later phase can train the kernels themselves.
    fit(assembled, make_phase("last", "stage4", HEAD, steps=2))


# Compiled once, run often


@pytest.fixture
def compile_it(splits):
    """Function that compiles a phase on random pixels and targets."""
    random = np.random.default_rng(0)
    pixels = random.uniform(0, 255, (20, 32, 32, 3)).astype(np.float32)
    targets = random.integers(0, 3, 20)
    data = tf.data.Dataset.from_tensor_slices(({"pixels": pixels}, targets)).batch(8)

    def make(assembled, phase, has_validation=True, **settings):
        config = TrainingConfig(global_batch_size=8, **{"ema": 0.9, "l2_sp": 0.1} | settings)
        validation = Validation(data.take(1), data.take(1), 1) if has_validation else None
        return compile_phase(
            assembled,
            phase,
            config,
            lambda phase: PhaseInput(
                assembled.model, data.repeat(phase.fit.epochs).skip, validation, "examples"
            ),
            learned_targets=targets,
        )

    return make


HEAD_WITH_DROPOUT = ClassificationHead(("cat", "dog", "owl"), HeadConfig(dropout=0.3))
LAST = {"steps": 6, "steps_per_epoch": 3}


@pytest.mark.parametrize("optimizer", ["adamw", pytest.param("muon", marks=pytest.mark.full)])
def test_a_reset_phase_equals_a_new_one_bit_for_bit_without_a_new_trace(
    compile_it, assemble_tiny, make_phase, restored_globals, optimizer
):
    seed_everything(0)
    phase = make_phase("last", "stage4", HEAD, batch_norm="trainable", **LAST)
    used = compile_it(assemble_tiny(head=HEAD_WITH_DROPOUT), phase, optimizer=optimizer)
    used.run(steps=2)
    used.reset(learning_rate=0.3, steps=4)
    used.run(steps=4)
    used.reset()
    used.run()
    fresh = compile_it(assemble_tiny(head=HEAD_WITH_DROPOUT), phase, optimizer=optimizer)
    fresh.run()
    assert (used.model.train_traces, used.model.test_traces) == (1, 1)
    pairs = [*zip(used.assembled.model.variables, fresh.assembled.model.variables, strict=True)]
    pairs += zip(used.model.optimizer.variables, fresh.model.optimizer.variables, strict=True)
    assert any("seed_generator" in one.path for one, _ in pairs)
    for one, other in pairs:
        assert np.array_equal(one.numpy(), other.numpy()), one.path


def test_a_shorter_run_keeps_its_warmup_up_to_half_of_its_steps(
    compile_it, tiny_assembled, make_phase
):
    phase = make_phase("last", "stage4", HEAD, steps=40, steps_per_epoch=3)
    compiled = compile_it(tiny_assembled, phase, warmup="10 steps")
    schedule = compiled.model.optimizer.schedule
    assert schedule.warmup_steps == 10
    compiled.reset(learning_rate=0.5, steps=30)
    assert (schedule.peak, schedule.warmup_steps) == (0.5, 10)
    compiled.reset(learning_rate=0.5, steps=8)
    assert schedule.warmup_steps == 4
    compiled.reset()
    compiled.reset()
    assert (schedule.peak, schedule.warmup_steps) == (pytest.approx(1e-2), 10)


def test_a_discarded_phase_restores_the_model(compile_it, tiny_assembled, make_phase):
    names = [v.path for v in tiny_assembled.model.weights]
    before = tiny_assembled.blocks.digests()
    phase = make_phase("lora", "stage4", HEAD, lora=LoraConfig(rank=2), **LAST)
    compiled = compile_it(tiny_assembled, phase)
    compiled.run(steps=3)
    compiled.discard()
    assert [v.path for v in tiny_assembled.model.weights] == names
    assert tiny_assembled.blocks.digests() == before


def test_taken_weights_are_those_that_validation_used(compile_it, tiny_assembled, make_phase):
    compiled = compile_it(tiny_assembled, make_phase("last", "stage4", HEAD, **LAST))
    taken = {}

    class Take(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            taken.update(compiled.take())
            taken["loss"] = logs["val_loss"]

    compiled.run(callbacks=[Take()])
    loss = taken.pop("loss")
    compiled.weights.put(taken)
    assert compiled.model.evaluate(compiled.given.validation.own, verbose=0)[0] == pytest.approx(
        loss
    )


def test_a_compiled_phase_is_fitted_with_callbacks_and_then_concluded(
    compile_it, tiny_assembled, make_phase, tmp_path, display
):
    compiled = compile_it(tiny_assembled, make_phase("last", "stage4", HEAD, **LAST))
    order = []

    class StopEarly(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            order.append("epoch")
            self.model.stop_training = True

    report = PhaseReport(tmp_path, "last", display)
    fitted = fit_compiled(compiled, report, callbacks=[StopEarly()])
    assert order == ["epoch"]
    assert not (tmp_path / "phase.json").exists(), "the weights to keep are not selected yet"
    fitted = conclude(compiled, fitted, report, facts={"found": 1})
    assert (fitted.steps_done, fitted.traces, len(fitted.history)) == (3, 1, 1)
    described = json.loads((tmp_path / "phase.json").read_text())
    assert (described["steps_done"], described["found"], described["is_undone"]) == (3, 1, False)
    assert 0 < fitted.waiting_share < 1
    assert described["waiting_share"] == pytest.approx(fitted.waiting_share, abs=1e-4)


def test_a_phase_that_is_not_kept_is_undone(
    compile_it, tiny_assembled, make_phase, tmp_path, display
):
    before = tiny_assembled.blocks.digests()
    phase = make_phase("lora", "stage4", HEAD, lora=LoraConfig(rank=2), **LAST)
    compiled, report = compile_it(tiny_assembled, phase), PhaseReport(tmp_path, "last", display)
    fitted = conclude(compiled, fit_compiled(compiled, report), report, is_kept=False)
    assert fitted.is_undone
    assert fitted.steps_done == 6
    assert tiny_assembled.blocks.digests() == before


def test_a_plateau_lowers_the_rate_of_a_phase(compile_it, tiny_assembled, make_phase):
    # At such a low rate the loss changes by less than the minimum gain.
    phase = make_phase("last", HEAD, steps=9, steps_per_epoch=3, learning_rate=1e-9)
    compiled = compile_it(tiny_assembled, phase, schedule="plateau", warmup=0, ema=None)
    compiled.run()
    assert float(compiled.model.optimizer.learning_rate) == pytest.approx(1e-10)


def test_without_validation_a_plateau_does_not_lower_the_rate(
    compile_it, tiny_assembled, make_phase
):
    phase = make_phase("last", HEAD, steps=9, steps_per_epoch=3, learning_rate=1e-3)
    compiled = compile_it(tiny_assembled, phase, schedule="plateau", warmup=0)
    compiled.run(is_validated=False)
    assert float(compiled.model.optimizer.learning_rate) == pytest.approx(1e-3)


@pytest.mark.full
def test_a_phase_in_float16_has_one_trace_can_be_reset_and_decays_to_its_start(
    compile_it, assemble_tiny, make_phase, restored_globals
):
    keras.config.set_dtype_policy("mixed_float16")
    assembled = assemble_tiny()
    phase = make_phase("last", "stage4", HEAD, **LAST)
    compiled = compile_it(assembled, phase, l2_sp=0.5)
    goals = {id(copy) for copy in compiled.model.optimizer.inner_optimizer._goals}
    compiled.reset(learning_rate=1e-3, steps=4)
    compiled.run(steps=2)
    assert compiled.model.train_traces == 1
    optimizer = compiled.model.optimizer.inner_optimizer
    assert {id(copy) for copy in optimizer._goals} == goals
    held = [copy for copy in optimizer._goals if copy is not None]
    assert held
    assert all(np.abs(copy.numpy()).sum() > 0 for copy in held)


# Movement


@pytest.fixture
def watched(tiny_assembled, make_phase):
    """Blocks with the last stage and the head trainable, the phase, and the digests before."""
    phase = make_phase("last", "stage4", HEAD)
    tiny_assembled.blocks.set_trainable(phase.scope.trainable, batch_norm=phase.scope.batch_norm)
    return tiny_assembled.blocks, phase, tiny_assembled.blocks.digests()


def test_trainable_variables_may_change_and_unchanged_ones_are_named(watched):
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


def test_a_changed_variable_of_a_frozen_block_is_refused(watched):
    blocks, phase, before = watched
    for name in ("stage4", HEAD):
        nudge(blocks[name].variables[0])
    nudge(blocks["stage2"].variables[0])
    with pytest.raises(TrainingError) as caught:
        check_movement(phase, before, blocks)
    assert "phase 'last': variable 'stage2" in str(caught.value)
    assert "of block 'stage2'" in str(caught.value)


@pytest.mark.parametrize("kind", ["gamma", "moving_mean"])
def test_a_changed_frozen_batch_norm_of_a_trainable_block_is_refused(watched, kind):
    blocks, phase, before = watched
    nudge(next(v for v in blocks["stage4"].variables if kind in v.path))
    with pytest.raises(TrainingError, match=f"variable '.*{kind}.*although the phase keeps"):
        check_movement(phase, before, blocks)


def test_an_unchanged_trainable_block_is_refused(watched):
    blocks, phase, before = watched
    nudge(blocks[HEAD].variables[0])
    with pytest.raises(TrainingError, match="block 'stage4' is trainable but none of its 3 variab"):
        check_movement(phase, before, blocks)


def test_a_fit_that_cannot_reach_the_backbone_is_refused(fit, assemble_tiny, make_phase):
    """With logits of zero the first gradient of the backbone is zero, and there is no decay."""
    assembled = assemble_tiny(is_head_drawn=False)
    phase = make_phase("last", "stage4", HEAD, steps=1, weight_decay=0.0)
    with pytest.raises(TrainingError, match="block 'stage4' is trainable but none"):
        fit(assembled, phase)


# Several devices


MIRRORED = Path(__file__).with_name("mirrored_worker.py")


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory) -> dict:
    """Results of one device and of two, by case."""
    result = subprocess.run(
        [sys.executable, str(MIRRORED), str(tmp_path_factory.mktemp("mirrored"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.full
@pytest.mark.parametrize("case", ["plain", "parts"])
def test_two_mirrored_devices_train_like_one_with_frozen_batch_norm(mirrored, case):
    """The case 'parts' adds accumulation, L2-SP and averages."""
    one, two = mirrored[case]["none"], mirrored[case]["mirrored"]
    assert (one["replicas"], two["replicas"]) == (1, 2)
    assert (one["steps"], two["steps"]) == (6, 6)
    assert one["losses"][0] - one["losses"][-1] > 1e-3
    assert two["losses"] == pytest.approx(one["losses"], abs=1e-5)
    assert two["validation_losses"] == pytest.approx(one["validation_losses"], abs=1e-5)
    assert mirrored[case]["largest_difference"] < 1e-3


@pytest.mark.full
def test_accumulation_on_two_devices_starts_like_the_plain_step(mirrored):
    """L2-SP has no effect in the first step, so the first epochs begin alike."""
    plain, parts = mirrored["plain"]["none"], mirrored["parts"]["mirrored"]
    assert parts["losses"][0] == pytest.approx(plain["losses"][0], abs=1e-2)
    assert parts["validation_losses"] != plain["validation_losses"]


@pytest.mark.full
def test_dropout_works_with_accumulation_on_two_devices(mirrored):
    assert np.isfinite(mirrored["dropout"]["mirrored"]["losses"]).all()
    assert mirrored["dropout"]["mirrored"]["steps"] == 6


@pytest.mark.full
def test_a_step_is_traced_once_per_device(mirrored):
    for case in mirrored.values():
        assert (case["none"]["traces"], case["mirrored"]["traces"]) == (1, 2)
