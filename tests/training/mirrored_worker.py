"""Worker of test_fitting.py, run in a separate process: phases on one device and on two."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kft.examples import Files

(PLACE,) = sys.argv[1:]
# Devices can only be configured before their first use.
CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)

# The last batch of an epoch has one example, so the second device gets none.
TARGETS = np.arange(17) % 3
# Each class has a colour, with noise.
PIXELS = (
    np.random.default_rng(0).normal(0, 30, (17, 32, 32, 3))
    + 200 * np.eye(3)[TARGETS][:, None, None]
)
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "parts": {"accumulation": 2, "ema": 0.5, "l2_sp": 1.0},
    "dropout": {"accumulation": 2},
}


def make_input(model: Any, share: Any) -> Any:
    from kft.data.batches.example_cache import ExampleCache
    from kft.data.batches.pipeline import make_dataset
    from kft.examples import Examples
    from kft.feeding.phase_input import PhaseInput, Validation

    names = tuple(map(str, range(len(TARGETS))))
    given = {
        "examples": Examples(names, Files(names), TARGETS),
        "decoder": None,
        "batch_size": 8,
        "cache": ExampleCache({"pixels": PIXELS[None].astype(np.float32)}),
    }

    def train(start: int) -> tf.data.Dataset:
        return make_dataset(**given, shuffle_seed=1, epochs=2, start_step=start, share=share)

    validation = Validation(make_dataset(**given), make_dataset(**given, share=share), 3)
    return PhaseInput(model, train, validation, "inputs")


def fit(case: str, name: str) -> tuple[dict[str, Any], list[np.ndarray]]:
    import keras

    from kft.backbones import load_backbone
    from kft.config import BackboneConfig, HeadConfig, TrainingConfig
    from kft.display import Display
    from kft.model import assemble
    from kft.optimization import check_batch_size, make_distribution
    from kft.optimization.replicas import find_share
    from kft.strategies import Phase
    from kft.strategies.phases import Fit, Scope
    from kft.tasks.classification.head import ClassificationHead
    from kft.training import PhaseReport
    from kft.training.compiled_phase import compile_phase
    from kft.training.fitting import conclude, fit_compiled
    from kft.workers import Workers

    training = TrainingConfig(
        global_batch_size=8, optimizer="sgd", clip_norm=0.1, warmup=0, **CASES[case]
    )
    distribution = make_distribution(name)
    check_batch_size(distribution.num_replicas_in_sync, 8)
    keras.utils.set_random_seed(0)
    with distribution.scope():
        backbone = load_backbone(
            BackboneConfig(name="small_cnn", weights="random", options={"width": 4})
        )
        config = HeadConfig(dropout=0.5 if case == "dropout" else 0.0)
        assembled = assemble(backbone, ClassificationHead(("a", "b", "c"), config))
        given = make_input(assembled.model, find_share(distribution, Workers()))
        compiled = compile_phase(
            assembled,
            Phase("full", Scope(assembled.blocks.names), Fit(0.05, 6, 3)),
            training,
            lambda phase: given,
            learned_targets=TARGETS,
        )
        report = PhaseReport(Path(PLACE) / case / name, f"{case} {name}", Display())
        fitted = conclude(compiled, fit_compiled(compiled, report), report)
    found = {
        "replicas": distribution.num_replicas_in_sync,
        "losses": [row["loss"] for row in fitted.history],
        "validation_losses": [row["val_loss"] for row in fitted.history],
        "steps": fitted.steps_done,
        "traces": fitted.traces,
    }
    return found, [variable.numpy() for variable in assembled.model.weights]


def main() -> None:
    answer: dict[str, dict[str, Any]] = {}
    for case in CASES:
        weights = {}
        answer[case] = {}
        for name in ("none", "mirrored"):
            answer[case][name], weights[name] = fit(case, name)
        answer[case]["largest_difference"] = max(
            float(np.abs(one - two).max())
            for one, two in zip(weights["none"], weights["mirrored"], strict=True)
        )
    print(json.dumps(answer))


main()
