"""A phase's batch_norm setting applies to a hub module, which has one switch for all blocks."""

import pytest

from kft.config import load_pipeline
from kft.display import Display
from kft.errors import ConfigError
from kft.workflow import make_plan, train

MODULE = "hub/mobilenet_v2_035_224_feature_vector"


@pytest.fixture
def settings(shared, tmp_path, make_picture_folder):
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=6, size=24)
    own = (
        f"backbone.name=hub:{shared / MODULE}",
        "export.enabled=false",
        f"runs_directory={tmp_path}/runs",
        "training.global_batch_size=4",
    )
    return lambda *more: load_pipeline(str(tmp_path / "photos"), (*own, *more))


def statistics(assembled) -> list[bytes]:
    return [
        variable.numpy().tobytes()
        for block in assembled.blocks.blocks
        for variable in block.variables
        if "moving" in variable.path
    ]


@pytest.mark.parametrize(
    ("batch_norm", "moves"),
    [("frozen", False), pytest.param("trainable", True, marks=pytest.mark.full)],
)
def test_statistics_of_a_module_change_only_if_the_phase_trains_them(
    settings, monkeypatch, batch_norm, moves
):
    from kft.workflow import running

    plans = []

    def remember(*arguments, **options):
        plans.append(make_plan(*arguments, **options))
        plans.append(statistics(plans[0].assembled))
        return plans[0]

    monkeypatch.setattr(running, "make_plan", remember)
    train(
        settings(
            "strategy.name=full", "strategy.duration=1 steps",
            f"strategy.batch_norm={batch_norm}",
        ),
        Display(),
    )  # fmt: skip
    plan, before = plans
    assert len(before) == 104
    changed = sum(a != b for a, b in zip(before, statistics(plan.assembled), strict=True))
    assert changed == (104 if moves else 0)


def test_trainable_statistics_beside_frozen_blocks_of_a_module_are_refused(settings):
    phases = "strategy.phases=[{trainable: [tail, head], batch_norm: trainable}]"
    with pytest.raises(ConfigError, match="one switch"):
        make_plan(settings("strategy.name=phases", phases), Display())
