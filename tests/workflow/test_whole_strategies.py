"""Whole runs of every strategy from a pretrained backbone."""

from __future__ import annotations

import io
import zipfile
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from kft.backbones import load_backbone, save_backbone
from kft.config import BackboneConfig, load_pipeline
from kft.display import Display
from kft.errors import ConfigError
from kft.training import load_trained
from kft.workflow import make_plan, train

pytestmark = pytest.mark.usefixtures("parity_in_this_process")

# Hues of equal lightness.
HUES = {"red": (220, 60, 110), "blue": (60, 220, 110)}


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_picture_folder):
    """Create pictures of three colours, and backbones that see colours or are blind to them."""
    place = tmp_path_factory.mktemp("strategies")
    make_picture_folder(place / "photos", per_class=15, size=24)
    keras.utils.set_random_seed(0)
    backbone = load_backbone(
        BackboneConfig(name="small_cnn", weights="random", options={"width": 4})
    )
    save_backbone(backbone, place / "sees")
    kernel = backbone.blocks[0].variables[0]
    kernel.assign(np.repeat(kernel.numpy().mean(axis=2, keepdims=True), 3, axis=2))
    save_backbone(backbone, place / "blind")
    return place


def run(
    place: Path,
    tmp_path: Path,
    *overrides: str,
    photos: Path | None = None,
    backbone: str = "sees",
    display: Display | None = None,
):
    own = (
        f"backbone.name={place / backbone}",
        "training.global_batch_size=16",
        "export.enabled=false",
        f"runs_directory={tmp_path}/runs",
        f"export.directory={tmp_path}/saved_models",
    )
    pipeline = load_pipeline(str(photos or place / "photos"), (*own, *overrides))
    return train(pipeline, display or Display())


def make_hues(root: Path, names: tuple[str, str] = ("red", "blue")) -> Path:
    """Write 40 plain pictures of two classes; classes other than red and blue share one hue."""
    for name in names:
        (root / name).mkdir(parents=True)
        hue = np.array(HUES.get(name, (140, 140, 110)))
        for number in range(40):
            noise = np.random.default_rng([number, *name.encode()]).normal(0, 20, (24, 24, 1))
            picture = np.clip(hue + noise, 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(root / name / f"{number:03d}.png")
    return root


TWO_EPOCHS = "strategy.duration=2"
full = partial(pytest.param, marks=pytest.mark.full)
EXPLICIT = (
    "strategy.phases=[{name: solved, method: solve}, "
    "{name: all, trainable: [all], duration: 2 epochs}]"
)


@pytest.mark.parametrize(
    ("name", "overrides", "phases"),
    [
        full("linear_probe", (), ["linear_probe"]),
        # Strategies in the full tier have a pipeline file, which is tested too.
        full("top_k", ("strategy.top_blocks=2", TWO_EPOCHS), ["linear_probe", "top_k"]),
        full("lp_ft", ("strategy.probe=trained", TWO_EPOCHS), ["linear_probe", "full"]),
        full("gradual", (TWO_EPOCHS,), ["linear_probe", "from_stage2", "from_stem"]),
        full("surgical", (TWO_EPOCHS,), ["linear_probe", "surgical"]),
        full("bitfit", (TWO_EPOCHS,), ["linear_probe", "bitfit"]),
        full("phases", (EXPLICIT,), ["solved", "all"]),
    ],
)
def test_a_strategy_runs_its_phases_and_learns(place, tmp_path, name, overrides, phases):
    finished = run(place, tmp_path, f"strategy.name={name}", *overrides)
    assert [fitted.phase.name for fitted in finished.fitted] == phases
    for fitted in finished.fitted:
        is_fitted = fitted.phase.method == "fit"
        assert fitted.steps_done == (fitted.phase.fit.steps if is_fitted else 0)
        assert fitted.traces == is_fitted
        assert not fitted.is_undone
    # Too few steps to unlearn the probe's solution.
    assert finished.evaluation.figures["accuracy"] > 0.6


def test_auto_fine_tunes_on_all_examples_if_a_blend_beats_the_probe(place, tmp_path):
    photos = make_hues(tmp_path / "hues")
    finished = run(place, tmp_path, "strategy.freeze=[]", photos=photos, backbone="blind")
    probe, fine_tuned = finished.fitted
    assert probe.facts["solution"]["score"] < 0.7
    assert {each.phase.learns_from for each in finished.fitted} == {("train", "validation")}
    assert (fine_tuned.is_undone, fine_tuned.traces) == (False, 1)
    assert fine_tuned.facts["blend"]["share"] > 0
    assert fine_tuned.steps_done == fine_tuned.phase.fit.steps
    assert finished.evaluation.figures["accuracy"] > 0.9
    calibration = finished.evaluation.figures["calibration"]
    assert "expected_calibration_error_before_temperature" in calibration
    # Validation is not judged once it was trained on.
    assert list(finished.evaluations) == ["holdout"]


def test_phases_on_one_store_share_the_traced_training_step(place, tmp_path):
    same = "trainable: [stage4, head], augmentation: none"
    listed = f"[{{method: solve}}, {{{same}, duration: 2}}, {{{same}, duration: 1}}]"
    finished = run(place, tmp_path, "strategy.name=phases", f"strategy.phases={listed}")
    assert [fitted.computed_from for fitted in finished.fitted[1:]] == ["stage3", "stage3"]
    assert [fitted.traces for fitted in finished.fitted] == [0, 1, 0]


def test_auto_keeps_the_probe_if_fine_tuning_gains_nothing(place, tmp_path):
    photos = make_hues(tmp_path / "hues", names=("left", "right"))
    finished = run(place, tmp_path, photos=photos)
    probe, fine_tuned = finished.fitted
    assert fine_tuned.is_undone
    assert probe.facts["solution"]["num_cross_validated"] == 48 + 16
    # On the few validation examples a blend may be better by chance, but not after such steps.
    too_large = ("strategy.refit=false", "strategy.learning_rate=1")
    kept = run(place, tmp_path, *too_large, photos=photos)
    assert kept.fitted[1].is_undone
    assert list(kept.evaluations) == ["validation", "holdout"]
    probe_alone = run(place, tmp_path, "strategy.name=linear_probe", photos=photos)
    weights = [load_trained(each.run).model.get_weights() for each in (kept, probe_alone)]
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


@pytest.mark.parametrize(
    ("override", "reason"),
    [("data.holdout=0", "without a holdout"), ("data.validation=0", "no validation examples")],
)
def test_a_refit_that_the_splits_rule_out_is_refused(place, tmp_path, override, reason):
    with pytest.raises(ConfigError, match=rf"strategy\.refit: .*{reason}"):
        run(place, tmp_path, "strategy.refit=true", override)


def test_a_warmup_longer_than_a_phase_is_refused_before_training(place, tmp_path):
    settings = ("strategy.name=lp_ft", "strategy.duration=5 steps", "training.warmup=5 steps")
    with pytest.raises(ConfigError, match=r"training\.warmup: '5 steps'.* phase 'full' has 5"):
        run(place, tmp_path, *settings)
    assert not (tmp_path / "runs").exists()


def test_a_second_run_reuses_stored_features(place, tmp_path):
    said = io.StringIO()
    display = Display(Console(file=said, soft_wrap=True, width=200))
    probe = ("strategy.name=linear_probe", "data.image.augmentation=none")
    first = run(place, tmp_path, *probe, display=display)
    assert "stored by an earlier run" not in said.getvalue()
    # Features of pictures without augmentation do not depend on the seed.
    second = run(place, tmp_path, *probe, "training.seed=1", display=display)
    # Those of the training examples, and of the holdout for the baselines.
    assert said.getvalue().count("(stored by an earlier run)") == 2
    assert second.evaluation.figures["accuracy"] == first.evaluation.figures["accuracy"]


@pytest.mark.full
def test_saved_and_served_models_have_no_low_rank_factors(place, tmp_path):
    # A probe of all blocks leaves so small a loss here that float32 rounds the stem's factors away.
    probe = ("strategy.probe_layers=last", "strategy.duration=2")
    lora = ("strategy.name=lora", *probe, "export.enabled=true")
    finished = run(place, tmp_path, *lora)
    assert finished.fitted[1].phase.scope.lora is not None
    with zipfile.ZipFile(finished.run.model) as archive:
        assert b'"lora_' not in archive.read("config.json").replace(b'"lora_rank": null', b"")
    assert b"lora" not in (finished.export.path / "saved_model.pb").read_bytes()
    before = load_backbone(BackboneConfig(name=str(place / "sees"))).model.weights
    trained = load_trained(finished.run).model.weights
    after = [w for w in trained if not w.path.startswith("logits/")]
    assert [w.path for w in after] == [w.path for w in before]
    moved = [
        b.path
        for a, b in zip(after, before, strict=True)
        if not np.array_equal(a.numpy(), b.numpy())
    ]
    assert moved
    assert all(path.endswith("kernel") for path in moved)


def test_a_truncated_picture_is_left_out_of_plan_and_run(place, tmp_path):
    photos = make_hues(tmp_path / "hues")
    cut = photos / "red" / "000.png"
    cut.write_bytes(cut.read_bytes()[:-200])
    own = (f"backbone.name={place / 'sees'}", f"runs_directory={tmp_path}/runs")
    plan = make_plan(load_pipeline(str(photos), own), Display(), is_thorough=True)
    (bad,) = plan.splits.quarantined
    assert (bad.name, "cut off" in bad.reason) == ("red/000.png", True)
    finished = run(place, tmp_path, "strategy.name=linear_probe", photos=photos)
    assert "red/000.png" in finished.run.quarantine.read_text(encoding="utf-8")
