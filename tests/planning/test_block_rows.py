"""Rows describe the effect of a phase on each block."""

import pytest
from phases import phase_of

from kft.config import FeaturesConfig, LoraConfig
from kft.feeding.frozen_prefix import find_stored_cut
from kft.model import HEAD
from kft.planning import describe_blocks
from kft.strategies import Phase
from kft.strategies.phases import Scope, Solve

BLOCKS = ("stem", "stage1", "stage2", "stage3", "stage4", HEAD)
LAST = phase_of("last", ("stage4", HEAD), 1e-3, 50, 10, multipliers={"stage4": 0.5})


def rows(assembled, phase, **features):
    cut = find_stored_cut(
        assembled, phase, FeaturesConfig(**features), num_train=80, num_validation=20
    )
    found = describe_blocks(assembled, phase, cut)
    assert [row.block for row in found] == list(BLOCKS)
    return {row.block: row for row in found}


def test_rows_show_the_rate_of_each_block_and_none_if_it_is_frozen(tiny_assembled):
    found = rows(tiny_assembled, LAST)
    assert [row.learning_rate for row in found.values()] == [None] * 4 + [0.0005, 0.001]


def test_a_solved_head_has_trainable_parameters_but_no_rate(tiny_assembled):
    found = rows(tiny_assembled, Phase("linear_probe", Scope((HEAD,)), Solve()))
    assert {row.learning_rate for row in found.values()} == {None}
    assert [row.trainable_parameters for row in found.values()] == [0] * 5 + [32 * 3 + 3]
    assert [row.computed_from for row in found.values()] == ["cache"] * 5 + ["computed"]


@pytest.mark.parametrize(
    ("augmentation", "features", "stored"),
    [
        ("none", {}, 4),
        ("light", {"views": 4}, 4),
        ("light", {"views": 0}, 0),
        ("none", {"views": 0}, 4),
        ("none", {"enabled": False}, 0),
    ],
)
def test_blocks_before_the_cut_come_from_the_cache(tiny_assembled, augmentation, features, stored):
    phase = phase_of("last", ("stage4", HEAD), 1e-3, 50, 10, augmentation=augmentation)
    found = rows(tiny_assembled, phase, **features)
    expected = ["cache"] * stored + ["computed"] * (6 - stored)
    assert [row.computed_from for row in found.values()] == expected


@pytest.mark.parametrize(
    ("changes", "num_stored"),
    [
        ({}, 80 + 20),
        ({"augmentation": "light"}, 4 * 80 + 20),
        ({"learns_from": ("train", "validation"), "augmentation": "light"}, 4 * (80 + 20)),
        ({"recipe": Solve()}, 80),
    ],
)
def test_space_is_required_for_everything_a_phase_stores(tiny_assembled, changes, num_stored):
    phase = phase_of("probe", (HEAD,), 1e-3, 50, 10, **changes)
    needed = num_stored * 32 * 4
    for num_bytes, stored in ((needed + 1, 5), (needed - 1, 0)):
        found = rows(tiny_assembled, phase, limit_gigabytes=num_bytes / 1e9)
        assert [row.computed_from for row in found.values()].count("cache") == stored


def test_nothing_comes_from_the_cache_if_the_first_block_trains(tiny_assembled):
    found = rows(tiny_assembled, phase_of("full", BLOCKS, 1e-3, 50, 10))
    assert {row.computed_from for row in found.values()} == {"computed"}


@pytest.mark.parametrize("batch_norm", ["frozen", "trainable"])
def test_batch_norm_is_shown_for_blocks_that_have_it(tiny_assembled, batch_norm):
    phase = phase_of("last", ("stage4", HEAD), 1e-3, 50, 10, batch_norm=batch_norm)
    found = rows(tiny_assembled, phase)
    assert [row.batch_norm for row in found.values()] == ["frozen"] * 4 + [batch_norm, "none"]


def test_rows_count_all_and_trainable_parameters(tiny_assembled):
    found = rows(tiny_assembled, LAST)
    stage4 = tiny_assembled.blocks["stage4"]
    norms = sum(v.shape[0] for v in stage4.variables if "_bn/" in v.path)
    assert found["stage4"].parameters == stage4.num_parameters
    assert found["stage4"].trainable_parameters == stage4.num_parameters - norms
    assert found["stage3"].trainable_parameters == 0


def test_low_rank_factors_are_counted_before_they_exist(tiny_assembled):
    phase = phase_of("lora", BLOCKS, 1e-3, 50, 10, lora=LoraConfig(rank=2))
    weights = len(tiny_assembled.model.weights)
    found = rows(tiny_assembled, phase)
    # 3 x 3 x 3 -> rank -> 4.
    assert found["stem"].trainable_parameters == 27 * 2 + 2 * 4
    assert found[HEAD].trainable_parameters == 99
    assert len(tiny_assembled.model.weights) == weights


def test_only_biases_and_normalisation_are_counted_if_only_they_train(tiny_assembled):
    phase = phase_of("bitfit", BLOCKS, 1e-3, 50, 10, part="bias_norm")
    found = rows(tiny_assembled, phase)
    for name in BLOCKS[:-1]:
        scales = [v for v in tiny_assembled.blocks[name].variables if v.name in ("gamma", "beta")]
        assert found[name].trainable_parameters == sum(v.shape[0] for v in scales) > 0
    assert found[HEAD].trainable_parameters == 99
