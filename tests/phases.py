"""A small set of pictures, and phases run on it in one call."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from kft import training
from kft.config import DataConfig, FeaturesConfig, TrainingConfig
from kft.data import load_splits
from kft.display import Display
from kft.examples import Splits
from kft.feeding import Feed, Source
from kft.modalities.image.decoding import ImageDecoder
from kft.strategies import Phase
from kft.strategies.phases import Fit, Scope
from kft.training import PhaseCompiler, PhaseReport
from kft.training.compiled_phase import compile_phase
from kft.training.fitting import conclude, fit_compiled

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
def make_feed(splits, data, display) -> Callable[..., Feed]:
    def make(assembled, **changes) -> Feed:
        settings = {
            "splits": splits,
            "decoder": ImageDecoder(32, 32),
            "phases": (),
            "data": data,
            "features": FeaturesConfig(),
            "training": TrainingConfig(global_batch_size=8),
            "display": display,
        } | changes
        source = Source(*(settings.pop(name) for name in ("splits", "decoder", "data")))
        return Feed(assembled, source, settings.pop("phases"), **settings)

    return make


def phase_of(
    name: str,
    trainable: tuple[str, ...],
    learning_rate: float,
    steps: int,
    steps_per_epoch: int,
    **changes,
) -> Phase:
    """Make a fitted phase; further fields are set in whichever record has them."""
    fit = Fit(learning_rate, steps, steps_per_epoch)
    return changed(Phase(name, Scope(trainable), fit), **changes)


def changed(phase: Phase, **changes) -> Phase:
    """Change fields of a phase in whichever record has them."""
    for name, value in changes.items():
        if name in vars(phase):
            phase = replace(phase, **{name: value})
        else:
            record = next(r for r in ("scope", "recipe", "choice") if name in vars(vars(phase)[r]))
            phase = replace(phase, **{record: replace(vars(phase)[record], **{name: value})})
    return phase


@pytest.fixture
def make_phase() -> Callable[..., Phase]:
    def make(name: str = "probe", *trainable: str, **changes) -> Phase:
        given = {"learning_rate": 1e-2, "steps": 4, "steps_per_epoch": 2} | changes
        return phase_of(name, trainable or ("head",), **given)

    return make


@pytest.fixture
def fit(make_feed, splits, tmp_path, display) -> Callable[..., object]:
    """Function that fits a phase; history.csv and phase.json go to tmp_path / 'phase'."""

    def fit_it(assembled, phase, config=None, make_input=None):
        config = config or TrainingConfig(global_batch_size=8)
        if make_input is None:
            make_input = make_feed(assembled, training=config, phases=(phase,)).for_phase
        compiled = compile_phase(
            assembled, phase, config, make_input, learned_targets=splits.train.targets
        )
        report = PhaseReport(tmp_path / "phase", "Phase 1 of 1", display)
        return conclude(compiled, fit_compiled(compiled, report), report)

    return fit_it


@pytest.fixture
def make_compiler(make_feed) -> Callable[..., PhaseCompiler]:
    def make(assembled, phases, config=None, **changes) -> PhaseCompiler:
        config = config or TrainingConfig(global_batch_size=8)
        feed = make_feed(assembled, training=config, phases=phases, **changes)
        return PhaseCompiler(assembled, config, feed)

    return make


@pytest.fixture
def run_phase(make_compiler, tmp_path, display) -> Callable[..., object]:
    """Function that runs a phase with selection; its files go to tmp_path / its name."""

    def run_it(assembled, phase, config=None, **changes):
        compiler = make_compiler(assembled, (phase,), config, **changes)
        report = PhaseReport(tmp_path / phase.name, "Phase 1 of 1", display)
        return training.run_phase(compiler, phase, report)

    return run_it
