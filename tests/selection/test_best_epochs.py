"""The best epochs are kept and restored, and training stops early."""

from __future__ import annotations

import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kft.config import TrainingConfig
from kft.errors import TrainingError
from kft.selection import best_epochs as best
from kft.selection.best_epochs import KeepBest, make_keep_best
from kft.selection.snapshots import Weights, find_moving, find_weights


@pytest.fixture
def variable():
    return keras.Variable(np.zeros((2, 3), np.float32), name="kernel")


@pytest.fixture
def weights(variable):
    return Weights({"head/kernel#0": variable})


def walk(callback: KeepBest, variable, losses) -> list[int]:
    """Run epochs as `fit` would; the weights of epoch n are all n. Returns the epochs."""
    model = SimpleNamespace(stop_training=False)
    callback.set_model(model)
    seen = []
    for epoch, loss in enumerate(losses):
        variable.assign(np.full((2, 3), epoch + 1, np.float32))
        callback.on_epoch_end(epoch, {"loss": 0.0} if loss is None else {"val_loss": loss})
        seen.append(epoch + 1)
        if model.stop_training:
            break
    return seen


def test_the_best_epoch_is_restored(weights, variable):
    callback = KeepBest(weights, patience_epochs=None)
    assert walk(callback, variable, [0.9, 0.4, 0.6, 0.5]) == [1, 2, 3, 4]
    restored = callback.restore()
    assert (restored.epoch, restored.loss) == (2, 0.4)
    assert np.all(variable.numpy() == 2)
    assert callback.wait_epochs == 2


def test_a_phase_ends_when_patience_runs_out(weights, variable):
    callback = KeepBest(weights, patience_epochs=2)
    assert walk(callback, variable, [0.9, 0.4, 0.5, 0.4, 0.3]) == [1, 2, 3, 4]
    assert callback.restore().epoch == 2


def test_a_better_epoch_resets_the_patience(weights, variable):
    callback = KeepBest(weights, patience_epochs=2)
    assert walk(callback, variable, [0.9, 0.95, 0.8, 0.85, 0.7]) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("loss", [None, float("nan"), float("inf")])
def test_an_epoch_without_a_finite_loss_is_not_kept(weights, variable, loss):
    callback = KeepBest(weights, patience_epochs=3, num_kept=3)
    walk(callback, variable, [loss, 0.5, loss])
    assert [kept.epoch for kept in callback.kept] == [2]
    assert callback.wait_epochs == 1


def test_without_a_finite_loss_there_is_no_epoch_to_restore(weights, variable):
    callback = KeepBest(weights, patience_epochs=None)
    walk(callback, variable, [float("nan")])
    with pytest.raises(TrainingError, match=r"learning rate, or set training\.clip_norm"):
        callback.restore()


# The first example also starts TensorFlow.
@settings(deadline=None)
@given(
    st.lists(st.floats(0, 10, width=16), min_size=1, max_size=12),
    st.integers(1, 4),
    st.one_of(st.none(), st.integers(1, 5)),
)
def test_the_best_epochs_so_far_are_kept(losses, num_kept, patience):
    variable = keras.Variable(np.zeros((2, 3), np.float32))
    callback = KeepBest(Weights({"w": variable}), patience_epochs=patience, num_kept=num_kept)
    seen = walk(callback, variable, losses)
    ranked = sorted(seen, key=lambda epoch: (losses[epoch - 1], epoch))
    assert [kept.epoch for kept in callback.kept] == ranked[:num_kept]
    assert [int(w["w"][0, 0]) for _, w in callback.snapshots()] == ranked[:num_kept]
    assert callback.wait_epochs == len(seen) - ranked[0]
    if len(seen) < len(losses):
        assert callback.wait_epochs == patience


def test_large_weights_are_stored_in_the_folder_and_deleted_when_superseded(
    weights, variable, tmp_path, monkeypatch
):
    monkeypatch.setattr(best, "MAX_MEMORY_BYTES", 2 * weights.num_bytes - 1)
    callback = KeepBest(weights, patience_epochs=None, num_kept=2, folder=tmp_path / "kept")
    walk(callback, variable, [0.9, 0.4, 0.6, 0.7, 0.5])
    assert sorted(p.name for p in (tmp_path / "kept").iterdir()) == [
        "epoch-0002.npz",
        "epoch-0005.npz",
    ]
    assert [name for name, _ in callback.snapshots()] == ["epoch 2", "epoch 5"]
    callback.restore()
    assert np.all(variable.numpy() == 2)
    assert variable.numpy().dtype == np.float32
    callback.discard()
    assert not list((tmp_path / "kept").iterdir())


def test_small_weights_are_not_written_to_disk(weights, variable, tmp_path):
    callback = KeepBest(weights, patience_epochs=None, folder=tmp_path / "kept")
    walk(callback, variable, [0.9])
    assert not (tmp_path / "kept").exists()


def test_the_weights_that_validation_used_are_kept(weights, variable):
    averages = {"head/kernel#0": np.full((2, 3), 7, np.float32)}
    callback = KeepBest(weights, patience_epochs=None, take=lambda: averages)
    walk(callback, variable, [0.9])
    callback.restore()
    assert np.all(variable.numpy() == 7)


def test_the_state_is_json(weights, variable):
    callback = KeepBest(weights, patience_epochs=4, num_kept=2)
    walk(callback, variable, [0.9, 0.4, 0.6])
    assert json.loads(json.dumps(callback.describe())) == {
        "kept": [
            {"epoch": 2, "validation_loss": 0.4},
            {"epoch": 3, "validation_loss": 0.6},
        ],
        "wait_epochs": 1,
        "patience_epochs": 4,
    }


# Settings


def test_a_callback_is_made_only_if_configured(weights):
    assert make_keep_best(weights, TrainingConfig()) is None
    made = make_keep_best(weights, TrainingConfig(soup=3))
    assert made is not None
    assert made.describe()["patience_epochs"] is None
    early = make_keep_best(weights, TrainingConfig(early_stopping=2))
    assert early is not None
    assert early.describe()["patience_epochs"] == 2


# In a fit


def test_a_fit_that_gets_worse_stops_early_with_its_best_weights(tiny_assembled, make_phase):
    phase = make_phase("last", "stage4", "head")
    tiny_assembled.blocks.set_trainable(phase.scope.trainable, batch_norm="frozen")
    model = tiny_assembled.model
    model.compile(keras.optimizers.SGD(0.01), tiny_assembled.head.make_loss(), jit_compile=False)
    rng = np.random.default_rng(0)
    inputs = {"pixels": rng.uniform(0, 255, (16, 32, 32, 3)).astype(np.float32)}
    targets = rng.integers(0, 3, 16)
    weights = find_moving(tiny_assembled.blocks, phase)
    callback = KeepBest(weights, patience_epochs=2)

    class Worsen(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:
                model.optimizer.learning_rate = -1.0

    losses = model.fit(
        inputs,
        targets,
        batch_size=8,
        epochs=20,
        validation_data=(inputs, targets),
        callbacks=[Worsen(), callback],
        verbose=0,
        shuffle=False,
    ).history["val_loss"]
    assert len(losses) < 20
    assert len(losses) == int(np.argmin(losses)) + 1 + 2
    assert losses[-1] > min(losses)
    callback.restore()
    restored = model.evaluate(inputs, targets, batch_size=8, verbose=0)
    assert restored == pytest.approx(min(losses), rel=1e-4)


def test_exactly_the_weights_that_a_phase_changes_are_kept(tiny_assembled, make_phase):
    blocks = tiny_assembled.blocks
    for batch_norm in ("frozen", "trainable"):
        phase = make_phase("last", "stage4", "head", batch_norm=batch_norm)
        blocks.set_trainable(phase.scope.trainable, batch_norm=batch_norm)
        names = find_moving(blocks, phase).names
        assert {name.partition("/")[0] for name in names} == {"stage4", "head"}
        assert any("moving_mean" in name for name in names) == (batch_norm == "trainable")
        assert set(names) <= set(find_weights(blocks, phase.scope.trainable).names)


def test_a_snapshot_does_not_change_with_its_variable(weights, variable):
    taken = weights.take()
    variable.assign_add(np.ones((2, 3), np.float32))
    assert not np.any(taken["head/kernel#0"])
