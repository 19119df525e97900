"""Training on two devices gives the results of one device, and resumes exactly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("two_devices.py")
# Small learning rates, so that rounding errors do not grow; the last batch has one example.
SETTINGS = (
    "backbone.name=small_cnn",
    "backbone.weights=random",
    "backbone.input_size=16",
    "backbone.options.width=4",
    "training.global_batch_size=10",
    "training.optimizer=sgd",
    "training.checkpoint_every=1 steps",
    "features.engine=keras",
    "export.enabled=false",
)
# A probe of every block would leave no loss on these pictures, so nothing would train.
WITH_A_LOSS = ("strategy.probe_layers=last", "strategy.duration=3")
SLOWLY = ("strategy.learning_rate=0.001", "strategy.batch_norm=frozen")
KINDS = {
    "a probe on the store": (
        "strategy.name=linear_probe",
        "strategy.probe=trained",
        "strategy.probe_duration=3",
        "data.image.augmentation=light",
        "features.views=2",
        "training.mixup=0.2",
    ),
    "every term at once": (
        "strategy.name=full",
        "strategy.duration=3",
        *SLOWLY,
        "data.image.augmentation=light",
        "training.accumulation=5",
        "training.ema=0.8",
        "training.early_stopping=2",
        "training.soup=2",
        "training.mixup=0.3",
        "training.cutmix=0.3",
        "training.l2_sp=0.01",
        "training.label_smoothing=0.1",
        "training.class_weights=balanced",
        "training.clip_norm=0.1",
    ),
    "solved, then full": (
        "strategy.name=lp_ft",
        "strategy.duration=3",
        *SLOWLY,
        "training.wise_ft=true",
        "training.schedule=plateau",
        "training.sampling=balanced",
    ),
    "one block after the other": (
        "strategy.name=gradual",
        "strategy.duration=6",
        "strategy.layer_decay=0.7",
        *SLOWLY,
    ),
    "statistics of the whole batch": (
        "strategy.name=full",
        "strategy.duration=3",
        "strategy.learning_rate=0.001",
        "strategy.batch_norm=trainable",
        # A size that leaves an even last batch for the two devices.
        "data.holdout=0.25",
        "data.validation=0.25",
        "training.global_batch_size=8",
    ),
    "low rank": ("strategy.name=lora", *WITH_A_LOSS, "strategy.learning_rate=0.001"),
    "biases": ("strategy.name=bitfit", *WITH_A_LOSS, *SLOWLY),
    "the block that is best": ("strategy.name=surgical", "strategy.duration=3", *SLOWLY),
    "float16": (
        "strategy.name=full",
        "strategy.duration=3",
        *SLOWLY,
        "training.precision=mixed_float16",
    ),
    "bfloat16": (
        "strategy.name=full",
        "strategy.duration=3",
        *SLOWLY,
        "training.precision=mixed_bfloat16",
    ),
}
# Computation in 8 or 11 bits does not agree to five places.
TOLERANCES = {"float16": 1e-2, "bfloat16": 3e-2}


def run_on_two(place: Path, *kinds: str) -> dict:
    wanted = json.dumps({kind: [*SETTINGS, *KINDS[kind]] for kind in kinds})
    command = [sys.executable, str(SCRIPT), str(place), wanted]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.full
@pytest.mark.parametrize("kind", KINDS)
def test_two_devices_train_as_one_does_and_a_run_on_them_resumes_exactly(
    kind, tmp_path, make_picture_folder
):
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=24, size=16)
    found = run_on_two(tmp_path, kind)[kind]
    assert found["replicas"] == 2
    assert len(set(found["epochs"])) == 1
    assert found["difference"] < TOLERANCES.get(kind, 1e-5)
    assert found["same_history"]
    assert found["same_weights"]
