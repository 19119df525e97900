"""Run by test_fitting.py in a process of its own: one phase on one device and on two."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

FOLDER, PLACE = sys.argv[1:]
# Before anything else touches the devices.
CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)


def main() -> None:
    import keras

    from kft.backbones import load_backbone
    from kft.config import BackboneConfig, DataConfig, TrainingConfig
    from kft.data import Splits, load_splits
    from kft.data.decoding import make_decoder
    from kft.heads.classification import ClassificationHead
    from kft.model import assemble
    from kft.strategies import Phase
    from kft.training import Display, InputMaker, check_batch_size, fit_phase, make_distribution

    data = DataConfig(path=FOLDER, validation=0.0, holdout=0.0)
    found = load_splits(data)
    splits = Splits(**{**vars(found), "train": found.train.take(range(16))})
    training = TrainingConfig(global_batch_size=8, optimizer="sgd", clip_norm=0.1)
    answer: dict[str, dict] = {"replicas": {}, "losses": {}, "iterations": {}}
    weights = {}
    for name in ("none", "mirrored"):
        distribution = make_distribution(name)
        check_batch_size(distribution, training.global_batch_size)
        keras.utils.set_random_seed(0)
        with distribution.scope():
            backbone = load_backbone(
                BackboneConfig(name="small_cnn", weights="random", options={"width": 4})
            )
            assembled = assemble(backbone, ClassificationHead(splits.class_names))
            inputs = InputMaker(
                assembled,
                splits,
                make_decoder("image", 32, 32, data),
                data=data,
                training=training,
                display=Display(),
            )
            fitted = fit_phase(
                assembled,
                Phase("full", assembled.blocks.names, 0.05, 4, 2),
                training,
                inputs.for_phase,
                folder=Path(PLACE) / name,
                display=Display(),
                title=name,
            )
        answer["replicas"][name] = distribution.num_replicas_in_sync
        answer["losses"][name] = [row["loss"] for row in fitted.history]
        answer["iterations"][name] = int(assembled.model.optimizer.iterations.numpy())
        weights[name] = [variable.numpy() for variable in assembled.model.weights]
    answer["largest_difference"] = max(
        float(np.abs(one - two).max())
        for one, two in zip(weights["none"], weights["mirrored"], strict=True)
    )
    print(json.dumps(answer))


main()
