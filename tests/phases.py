"""A small set of pictures, and phases run on it in one call."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from kft.config import DataConfig, FeaturesConfig, TrainingConfig
from kft.data import load_splits
from kft.display import Display
from kft.examples import Splits
from kft.features import Forward
from kft.feeding import InputMaker
from kft.modalities.image.decoding import ImageDecoder
from kft.strategies import Phase
from kft.training import PhaseRunner
from kft.training.fitting import compile_phase, fit_compiled

BLOCKS = ("stem", "stage1", "stage2", "stage3", "stage4", "head")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory, make_picture_folder) -> str:
    """27 pictures of three classes; 16 of them are for training, 2 batches of 8."""
    folder = tmp_path_factory.mktemp("data") / "photos"
    return str(make_picture_folder(folder, per_class=9, size=24))


@pytest.fixture(scope="session")
def data(pictures) -> DataConfig:
    return DataConfig(path=pictures, validation=0.2, holdout=0.1)


@pytest.fixture(scope="session")
def splits(data) -> Splits:
    found = load_splits(data)
    train = found.train.take(range(16))
    return Splits(**{**vars(found), "train": train})


@pytest.fixture
def display() -> Display:
    """Plain lines; `display.console.file.getvalue()` reads them."""
    return Display(Console(file=io.StringIO(), force_terminal=False, soft_wrap=True, width=200))


@pytest.fixture
def make_inputs(splits, data, display) -> Callable[..., InputMaker]:
    def make(assembled, **changes) -> InputMaker:
        settings = {
            "splits": splits,
            "decoder": ImageDecoder(32, 32),
            "phases": (),
            "data": data,
            "features": FeaturesConfig(),
            "training": TrainingConfig(global_batch_size=8),
            "display": display,
        } | changes
        return InputMaker(
            assembled,
            settings.pop("splits"),
            settings.pop("decoder"),
            **settings,
        )

    return make


@pytest.fixture
def make_phase() -> Callable[..., Phase]:
    def make(name: str = "probe", *trainable: str, **changes) -> Phase:
        given = {"learning_rate": 1e-2, "steps": 4, "steps_per_epoch": 2} | changes
        return Phase(name, trainable or ("head",), **given)

    return make


@pytest.fixture
def fit(make_inputs, splits, tmp_path, display) -> Callable[..., object]:
    """Fit a phase on the pictures; history.csv and phase.json go to tmp_path / 'phase'."""

    def fit_it(assembled, phase, config=None, make_input=None, **options):
        config = config or TrainingConfig(global_batch_size=8)
        if make_input is None:
            make_input = make_inputs(assembled, training=config, phases=(phase,)).for_phase
        compiled = compile_phase(
            assembled, phase, config, make_input, learnt_targets=splits.train.targets
        )
        return fit_compiled(
            compiled, folder=tmp_path / "phase", display=display, title="Phase 1 of 1", **options
        )

    return fit_it


@pytest.fixture
def run_phase(make_inputs, splits, tmp_path, display) -> Callable[..., object]:
    """Run a phase with all that is chosen on validation; its files go to tmp_path / its name."""

    def run_it(assembled, phase, config=None, **changes):
        config = config or TrainingConfig(global_batch_size=8)
        inputs = make_inputs(assembled, training=config, phases=(phase,), **changes)
        runner = PhaseRunner(
            assembled,
            Forward(assembled.model, assembled.head.activate),
            config,
            inputs,
            display=display,
        )
        return runner.run(phase, folder=tmp_path / phase.name, title="Phase 1 of 1")

    return run_it
