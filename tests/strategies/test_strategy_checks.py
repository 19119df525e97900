"""Contradictions, refused before any data is read."""

import pytest

from kft.config import load_pipeline
from kft.errors import ConfigError
from kft.model import HEAD
from kft.strategies import STRATEGIES, Setting
from kft.strategies.checks import check_strategy
from kft.strategies.setting import is_solvable
from kft.strategies.traits import BlockTraits
from kft.tasks import list_tasks

TRAITS = (
    BlockTraits("stem", unadaptable=(("stem_depthwise", "DepthwiseConv2D"),)),
    BlockTraits("stage1", adaptable=("stage1_conv",)),
    BlockTraits("stage2", adaptable=("stage2_conv",)),
)
ONE_BLOCK = (BlockTraits("stage1", ends_in_cut=False),)


def problems(*overrides, traits=TRAITS, is_pretrained=True, is_fold=False) -> str:
    """Message of the refusal, empty if nothing is refused."""
    try:
        pipeline = load_pipeline(None, overrides)
        setting = Setting(
            config=pipeline.strategy,
            backbone="small_cnn",
            block_names=(*(block.name for block in traits), HEAD),
            augmentation=pipeline.data.image.augmentation,
            is_pretrained=is_pretrained,
            has_linear_head=is_solvable(pipeline.head, pipeline.training, list_tasks()),
            traits=traits,
        )
        check_strategy(
            setting, training=pipeline.training, features=pipeline.features, is_fold=is_fold
        )
    except ConfigError as error:
        return str(error)
    return ""


def refusal(*overrides, **setting) -> str:
    message = problems(*overrides, **setting)
    assert message, "nothing is refused"
    return message


def phases(*listed):
    return ("strategy.name=phases", f"strategy.phases=[{', '.join(listed)}]")


@pytest.mark.parametrize("is_pretrained", [True, False])
@pytest.mark.parametrize("name", sorted(set(STRATEGIES) - {"phases"}))
def test_defaults_have_no_contradictions(name, is_pretrained):
    assert problems(f"strategy.name={name}", is_pretrained=is_pretrained) == ""


@pytest.mark.parametrize(
    "overrides",
    [
        phases("{}", "{trainable: [all], lora: {rank: 2}}", "{trainable: [all], part: bias_norm}"),
        phases("{method: solve}", "{trainable: [all], layer_decay: 0.9, duration: 50 percent}"),
        ("training.focal_gamma=2", "training.label_smoothing=0.1", "training.ema=0.99"),
        ("training.cutmix=1", "strategy.name=lp_ft"),
        ("training.warmup=0",),
        ("strategy.name=linear_probe", "training.class_weights=balanced"),
        ("strategy.name=linear_probe", "training.focal_gamma=2"),
        ("strategy.name=top_k", "features.views=0", "features.augmented_prefix=compute"),
        ("strategy.name=top_k", "features.views=0", "data.image.augmentation=none"),
        ("strategy.name=top_k", "features.views=0", "features.enabled=false"),
        ("strategy.name=linear_probe", "strategy.probe=trained", "training.mixup=0.2"),
        ("strategy.name=top_k", "strategy.top_blocks=2", "strategy.layer_decay=0.5"),
        ("strategy.name=top_k", "strategy.layer_decay=1"),
        ("strategy.name=lora", "training.l2_sp=0.1"),
        (*phases("{method: solve}", "{trainable: [all]}"), "training.l2_sp=0.1"),
        (*phases("{duration: 1}", "{duration: 50 %}"), "strategy.duration=9 steps"),
        ("strategy.name=full", "training.soup=2"),
        ("strategy.name=full", "strategy.duration=6 steps", "training.warmup=5 steps"),
        ("strategy.name=full", "strategy.duration=6 steps", "training.warmup=90 percent"),
        # The steps of an epoch, or of a probe in epochs, are unknown before the data is read.
        ("strategy.name=full", "strategy.duration=1 epochs", "training.warmup=5000000 steps"),
        ("strategy.name=full", "strategy.duration=5 steps", "training.warmup=1 epochs"),
        ("strategy.name=linear_probe", "strategy.probe=trained", "training.warmup=500 steps"),
        # So short that each view would be used once: the phase starts from pixels.
        ("strategy.name=top_k", "strategy.duration=4", "training.cutmix=1"),
        ("strategy.name=gradual", "strategy.duration=4 epochs", "training.cutmix=1"),
        (*phases("{trainable: [stage2, head], duration: 3}"), "training.cutmix=1"),
        (
            *phases("{trainable: [stage2, head], duration: 50 percent}"),
            "strategy.duration=8",
            "training.cutmix=1",
        ),
        ("strategy.name=full", "training.accumulation=4"),
        ("strategy.batch_norm=frozen", "training.accumulation=4"),
    ],
    ids=lambda overrides: overrides[-1][:60],
)
def test_compatible_settings_pass(overrides):
    assert problems(*overrides) == ""


@pytest.mark.parametrize(
    ("overrides", "path", "reason"),
    [
        (("strategy.name=top_k", "strategy.top_blocks=4"), "strategy.top_blocks", "has 3 blocks"),
        (("strategy.name=surgical", "strategy.block=head"), "strategy.block", "no block 'head'"),
        (("strategy.name=lora", "strategy.lora.layers=stem"), "strategy.lora.layers", "Depthwise"),
        (("strategy.probe=solved", "head.hidden=[8]"), "strategy.probe", "head.hidden"),
        (("strategy.probe=solved", "head.dropout=0.1"), "strategy.probe", "head.dropout"),
        (("strategy.probe=solved", "training.focal_gamma=2"), "strategy.probe", "focal_gamma"),
        (phases("{method: solve, trainable: [stage2, head]}"), "strategy.phases[0]", "stage2 cann"),
        ((*phases("{method: solve}"), "head.hidden=[8]"), "strategy.phases[0]", "a single layer"),
        (phases("{method: solve, augmentation: light}"), "strategy.phases[0]", "has no epochs"),
        (
            phases("{trainable: [all], lora: {}, batch_norm: trainable}"),
            "strategy.phases[0].batch_norm",
            "with low-rank",
        ),
        (phases("{trainable: [head], multipliers: {stem: 2}}"), "strategy.phases[0]", "frozen in"),
        (("strategy.name=top_k", "features.views=0"), "strategy.name: phase 'top_k'", "views=4"),
        (("strategy.name=top_k", "training.cutmix=1"), "training.cutmix", "stored features"),
        (
            ("strategy.name=linear_probe", "training.weight_decay=0.5"),
            "training.weight_decay",
            "nothing is trained by steps",
        ),
        (
            phases("{method: solve, learning_rate: 0.1}", "{trainable: [all]}"),
            "strategy.phases[0].learning_rate",
            "takes no steps",
        ),
        (("training.warmup=soon",), "training.warmup", "10 percent"),
        (("training.warmup=200 percent",), "training.warmup", "at most 100 percent"),
        (("strategy.duration=5 percent",), "strategy.duration", "a percentage is not allowed"),
        (("training.wise_ft=true", "strategy.name=full"), "training.wise_ft", "one phase"),
        (
            ("training.warmup=100 percent",),
            "training.warmup",
            "takes all steps of phase 'fine_tune'",
        ),
        (
            ("strategy.name=lp_ft", "strategy.duration=5 steps", "training.warmup=5 steps"),
            "training.warmup",
            "phase 'full' has 5:",
        ),
        (
            # Each phase has 20 steps.
            ("strategy.name=gradual", "strategy.duration=60 steps", "training.warmup=20 steps"),
            "training.warmup",
            "phase 'from_stage2' has 20:",
        ),
        (
            ("strategy.name=full", "strategy.duration=1 steps", "training.warmup=60 percent"),
            "training.warmup",
            "takes all steps of phase 'full'",
        ),
        (
            (*phases("{duration: 9 steps}", "{duration: 3 steps}"), "training.warmup=3 steps"),
            "training.warmup",
            "phase 'phase' has 3:",
        ),
        (
            (
                *phases("{duration: 50 percent}"),
                "strategy.duration=8 steps",
                "training.warmup=4 steps",
            ),
            "training.warmup",
            "phase 'phase' has 4:",
        ),
        (
            (
                "strategy.name=linear_probe",
                "strategy.probe=trained",
                "strategy.probe_duration=5 steps",
                "training.warmup=9 steps",
            ),
            "training.warmup",
            "phase 'linear_probe' has 5:",
        ),
        (
            ("strategy.name=top_k", "strategy.duration=5", "training.cutmix=1"),
            "training.cutmix",
            "stored features",
        ),
        (
            ("strategy.name=top_k", "strategy.duration=5 steps", "training.cutmix=1"),
            "training.cutmix",
            "stored features",
        ),
        (
            (*phases("{trainable: [stage2, head], augmentation: none}"), "training.cutmix=1"),
            "training.cutmix",
            "stored features",
        ),
        (
            ("strategy.batch_norm=trainable", "training.accumulation=4"),
            "training.accumulation",
            "`strategy.batch_norm=frozen`",
        ),
        (
            ("strategy.name=gradual", "strategy.batch_norm=trainable", "training.accumulation=4"),
            "training.accumulation",
            "4 parts would each compute their own",
        ),
        (
            (
                *phases("{method: solve}", "{trainable: [all], batch_norm: trainable}"),
                "training.accumulation=2",
            ),
            "training.accumulation",
            "`strategy.phases[1].batch_norm: frozen`",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else value[-1][:60],
)
def test_contradictions_are_refused_with_the_path_and_the_reason(overrides, path, reason):
    message = refusal(*overrides)
    assert message.startswith(path)
    assert reason in message
    assert "problems" not in message


def test_the_data_decides_how_many_epochs_a_phase_of_gradual_has():
    """Three of four epochs start from pixels, but they may become two of six."""
    settings = ("strategy.name=gradual", "strategy.duration=12", "training.cutmix=1")
    assert "phase 'from_stage1' of 'gradual' trains on stored features" in refusal(*settings)
    assert problems(*settings, "features.views=6") == ""


def test_gradual_unfreezing_of_one_block_is_refused():
    assert refusal("strategy.name=gradual", traits=ONE_BLOCK).startswith(
        "strategy.name: 'gradual' unfreezes block by block, but backbone 'small_cnn' is one block"
    )


def test_augmentation_needs_views_only_where_a_frozen_part_can_be_stored():
    uncut = tuple(BlockTraits(f"block{i}", ends_in_cut=False) for i in range(2))
    assert problems("strategy.name=top_k", "features.views=0", traits=uncut) == ""
    assert problems("strategy.name=full", "features.views=0") == ""
    message = refusal("features.views=0", *phases("{trainable: [head], augmentation: light}"))
    remedies = ("features.views=4", "features.augmented_prefix=compute", "augmentation: none")
    assert all(remedy in message for remedy in remedies)


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("linear_probe", "strategy.learning_rate=1e-3"),
        ("linear_probe", "strategy.duration=3"),
        ("linear_probe", "strategy.layer_decay=0.5"),
        ("linear_probe", "strategy.batch_norm=frozen"),
        ("lora", "strategy.batch_norm=frozen"),
        ("full", "strategy.probe=trained"),
        ("full", "strategy.top_blocks=2"),
        ("full", "strategy.block=stem"),
        ("full", "strategy.lora.rank=2"),
        ("lp_ft", "strategy.freeze=[stem]"),
        ("lp_ft", "strategy.probe_learning_rate=0.1"),
        ("lp_ft", "strategy.probe_duration=3"),
        ("linear_probe", "training.mixup=0.2"),
        ("linear_probe", "training.early_stopping=3"),
        ("linear_probe", "training.l2_sp=0.1"),
        ("bitfit", "training.l2_sp=0.1"),
        ("top_k", "strategy.layer_decay=0.5"),
    ],
)
def test_a_setting_without_effect_is_refused(name, setting):
    message = refusal(f"strategy.name={name}", setting)
    assert message.startswith(setting.partition("=")[0].removesuffix(".rank") + ": ")


@pytest.mark.parametrize("name", ["auto", "full", "lp_ft"])
def test_layer_decay_needs_two_blocks(name):
    message = refusal(f"strategy.name={name}", "strategy.layer_decay=0.5", traits=ONE_BLOCK)
    assert message.startswith("strategy.layer_decay: found 0.5, but only one block of the back")


@pytest.mark.parametrize(
    "overrides",
    [
        ("strategy.name=linear_probe", "strategy.probe=trained"),
        phases("{}"),
        phases("{}", "{trainable: [all], part: bias_norm}"),
    ],
)
def test_l2_sp_needs_trainable_kernels(overrides):
    assert refusal(*overrides, "training.l2_sp=0.1").startswith("training.l2_sp: keeps kernels")


@pytest.mark.parametrize(
    "setting", ["probe=solved", "probe=trained", "probe_duration=3", "probe_learning_rate=1"]
)
def test_random_weights_are_not_probed_by_auto(setting):
    message = refusal(f"strategy.{setting}", is_pretrained=False)
    path = f"strategy.{setting.partition('=')[0]}"
    assert message.startswith(f"{path}: has no effect under `name: auto`. Random weights are")
    assert "problems" not in message
    # The message says that there is no probe, not that the head cannot be solved.
    message = refusal("strategy.probe=solved", "head.hidden=[8]", is_pretrained=False)
    assert message.startswith("strategy.probe: has no effect under `name: auto`. Random weights")
    assert problems("strategy.name=lp_ft", "strategy.probe=trained", is_pretrained=False) == ""


def test_accumulation_is_refused_with_batch_statistics_of_random_weights():
    message = refusal("strategy.name=full", "training.accumulation=2", is_pretrained=False)
    assert message.startswith("training.accumulation: phase 'full' trains batch statistics")
    frozen = ("strategy.name=full", "strategy.batch_norm=frozen")
    assert problems(*frozen, "training.accumulation=2", is_pretrained=False) == ""
    probe = ("strategy.name=linear_probe", "strategy.probe=trained")
    assert problems(*probe, "training.accumulation=2", is_pretrained=False) == ""


def test_a_strategy_duration_that_no_phase_refers_to_is_refused():
    message = refusal(*phases("{duration: 3}", "{method: solve}"), "strategy.duration=9")
    assert message.startswith("strategy.duration: has no effect under `name: phases`.")
    assert "No duration in `strategy.phases` is a percentage of it." in message


def test_the_layers_of_a_probe_need_a_solved_phase():
    last = "strategy.probe_layers=last"
    assert problems(*phases("{method: solve}"), last) == ""
    message = refusal(*phases("{duration: 3}"), last)
    assert message.startswith("strategy.probe_layers: has no effect under `name: phases`.")
    message = refusal("strategy.name=linear_probe", "strategy.probe=trained", last)
    assert message.endswith("A solved probe reads several.")


def test_a_strategy_rate_is_refused_with_explicit_phases():
    message = refusal(*phases("{}"), "strategy.learning_rate=0.1")
    assert message.endswith(
        "has no effect under `name: phases`. Set it in each of `strategy.phases`."
    )


def test_all_contradictions_are_reported_at_once():
    message = refusal(
        "strategy.name=top_k",
        "strategy.probe=solved",
        "head.hidden=[8]",
        "strategy.top_blocks=9",
        "strategy.block=stem",
        "training.accumulation=3",
        "training.class_weights=balanced",
        "training.sampling=balanced",
        "training.warmup=x",
    )
    assert message.startswith("pipeline: 6 problems\n")
    for path in (
        "strategy.probe",
        "strategy.top_blocks",
        "strategy.block",
        "training.accumulation",
        "training.class_weights",
        "training.warmup",
    ):
        assert f"  - {path}: " in message


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        (
            "training.early_stopping=3",
            "`training.early_stopping` chooses weights on",
        ),
        ("training.schedule=plateau", "follows the validation loss"),
        ("strategy.name=full", "strategy.refit: has no effect under `name: full`. Strategies that"),
    ],
)
def test_a_refit_on_examples_that_choices_need_is_refused(override, reason):
    assert reason in refusal("strategy.refit=true", override)


def test_a_refit_on_the_judging_fold_is_refused():
    message = refusal("strategy.refit=true", is_fold=True)
    assert message.startswith("strategy.refit: with `data.split.folds`, validation is the fold")
    assert problems("strategy.refit=auto", is_fold=True) == ""


def test_a_refit_of_random_weights_is_refused():
    assert "nothing is chosen on validation" in refusal("strategy.refit=true", is_pretrained=False)
