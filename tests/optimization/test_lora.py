"""Low-rank factors: added, trained and merged."""

import itertools

import keras
import numpy as np
import pytest

from kft.backbones import load_backbone
from kft.backbones.record import Block
from kft.config import BackboneConfig, LoraConfig
from kft.model import HEAD, BlockTable, assemble, find_factors
from kft.optimization.lora import adapted_kernels, add_lora, merge_lora
from kft.tasks.classification.head import ClassificationHead

CONFIG = LoraConfig(rank=2)
INPUTS = {"pixels": np.random.default_rng(0).uniform(0, 255, (6, 32, 32, 3)).astype(np.float32)}
TARGETS = np.arange(6) % 3


def answers(assembled) -> np.ndarray:
    return np.asarray(assembled.model(INPUTS, training=False))


def weights_of(model) -> list[tuple[int, str]]:
    return [(id(variable), variable.path) for variable in model.weights]


def train(assembled, **options) -> None:
    """Train for two steps with the current flags."""
    assembled.model.compile(
        keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    assembled.model.fit(INPUTS, TARGETS, batch_size=3, epochs=1, verbose=0, shuffle=False)


def train_factors(assembled, config=CONFIG, *, seed=0):
    """Add factors, set the flags and train; returns the layers to merge."""
    layers = add_lora(assembled.backbone.blocks, config, seed=seed)
    assembled.blocks.set_trainable(assembled.blocks.names, batch_norm="frozen", lora=config)
    train(assembled)
    return layers


def test_outputs_are_unchanged_until_the_factors_train(tiny_assembled):
    before = answers(tiny_assembled)
    layers = add_lora(tiny_assembled.backbone.blocks, CONFIG, seed=0)
    assert [type(layer).__name__ for layer in layers] == ["Conv2D"] * 12
    assert np.array_equal(answers(tiny_assembled), before)


def test_only_factors_and_the_head_train(tiny_assembled):
    blocks, model = tiny_assembled.blocks, tiny_assembled.model
    add_lora(tiny_assembled.backbone.blocks, CONFIG, seed=0)
    blocks.set_trainable(["stage3", HEAD], batch_norm="frozen", lora=CONFIG)
    factors = find_factors(blocks["stage3"])
    expected = {id(variable) for variable in (*factors, *blocks[HEAD].variables)}
    assert {id(variable) for variable in model.trainable_variables} == expected
    assert len(factors) == 6


def test_merged_kernels_give_the_outputs_of_the_factors(tiny_assembled):
    first = answers(tiny_assembled)
    layers = train_factors(tiny_assembled)
    adapted = answers(tiny_assembled)
    merge_lora(layers)
    assert np.abs(adapted - first).max() > 0.01
    assert np.allclose(answers(tiny_assembled), adapted, atol=1e-5)


def test_the_merge_changes_only_kernels(tiny_assembled):
    blocks, model = tiny_assembled.blocks, tiny_assembled.model
    blocks.set_trainable(blocks.names, batch_norm="frozen")
    weights, before = weights_of(model), blocks.digests()
    configs = [layer.get_config() for layer in tiny_assembled.backbone.model.layers]
    layers = train_factors(tiny_assembled, LoraConfig(rank=2, layers="stage"))
    kernels = {id(kernel) for kernel in adapted_kernels(layers)}
    assert len(model.weights) == len(weights) + 2 * len(layers)
    merge_lora(layers)
    assert weights_of(model) == weights
    assert [layer.get_config() for layer in tiny_assembled.backbone.model.layers] == configs
    after = blocks.digests()
    for block in blocks.blocks[:-1]:
        changed = [
            id(variable)
            for variable, key in zip(block.variables, after[block.name], strict=True)
            if before[block.name][key] != after[block.name][key]
        ]
        assert set(changed) == kernels & {id(variable) for variable in block.variables}
    assert not [name for layer in layers for name in vars(layer) if name.startswith("lora_kernel")]


def test_a_saved_model_knows_nothing_of_it(tiny_assembled, tmp_path):
    plain = [variable.path for variable in tiny_assembled.model.weights]
    merge_lora(train_factors(tiny_assembled))
    tiny_assembled.model.optimizer = None
    tiny_assembled.model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert [variable.path for variable in loaded.weights] == plain
    assert np.allclose(np.asarray(loaded(INPUTS)), answers(tiny_assembled), atol=1e-6)


@pytest.mark.full
def test_later_phases_train_kernels_or_new_factors(tiny_assembled):
    blocks = tiny_assembled.blocks
    merge_lora(train_factors(tiny_assembled))
    blocks.set_trainable(blocks.names, batch_norm="frozen")
    kernels = {id(v) for v in adapted_kernels(add_and_merge(tiny_assembled))}
    assert kernels <= {id(variable) for variable in tiny_assembled.model.trainable_variables}
    before = blocks.digests()
    train(tiny_assembled)
    assert all(before[name] != digests for name, digests in blocks.digests().items())
    adapted = train_factors(tiny_assembled, LoraConfig(rank=3, alpha=1.0))
    answered = answers(tiny_assembled)
    merge_lora(adapted)
    assert np.allclose(answers(tiny_assembled), answered, atol=1e-5)


def add_and_merge(assembled):
    layers = add_lora(assembled.backbone.blocks, CONFIG, seed=0)
    merge_lora(layers)
    return layers


def test_untrained_factors_change_no_bit(tiny_assembled):
    before = tiny_assembled.blocks.digests()
    add_and_merge(tiny_assembled)
    assert tiny_assembled.blocks.digests() == before


def test_the_first_factors_follow_the_seed_and_differ_by_layer(assemble_tiny):
    def first_factors(seed: int, shift: bool = False) -> list[np.ndarray]:
        assembled = assemble_tiny()
        if shift:
            # Layers built before and the global seed must not matter.
            keras.layers.Conv2D(2, 3)
            keras.utils.set_random_seed(99)
        layers = add_lora(assembled.backbone.blocks, CONFIG, seed=seed)
        assert not any(layer.lora_kernel_b.numpy().any() for layer in layers)
        return [layer.lora_kernel_a.numpy() for layer in layers]

    one, again, other = first_factors(1), first_factors(1, shift=True), first_factors(2)
    assert all(map(np.array_equal, one, again))
    assert not any(map(np.array_equal, one, other))
    pairs = [(a, b) for a, b in itertools.combinations(one, 2) if a.shape == b.shape]
    assert pairs
    assert not any(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("layer", "shape", "kernel"),
    [
        (keras.layers.Dense(3), (None, 4), "_kernel"),
        (keras.layers.EinsumDense("abc,cde->abde", (None, 2, 3)), (None, 5, 4), "_kernel"),
        (keras.layers.Embedding(7, 3), (None, 5), "_embeddings"),
        (keras.layers.Conv1D(3, 2), (None, 5, 4), "_kernel"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.layers.Layer) else "",
)
def test_every_kind_of_adaptable_layer_is_merged(layer, shape, kernel):
    layer.build(shape)
    start = getattr(layer, kernel).numpy()
    (adapted,) = add_lora((Block("a", (layer,)),), LoraConfig(rank=2, alpha=6.0), seed=0)
    a, b = (v for v in layer.weights if v.name.startswith("lora_"))
    b.assign(np.random.default_rng(0).normal(size=b.shape))
    expected = start + 3.0 * a.numpy() @ b.numpy()
    merge_lora((adapted,))
    assert np.allclose(getattr(layer, kernel).numpy(), expected, atol=1e-5)


def test_a_frozen_layer_stays_frozen_after_the_merge():
    layer = keras.layers.Dense(3)
    layer.build((None, 4))
    table = BlockTable((Block("a", (layer,)),))
    table.set_trainable([], batch_norm="frozen")
    merge_lora(add_lora(table.blocks, CONFIG, seed=0))
    assert [variable.trainable for variable in layer.weights] == [False, False]


@pytest.mark.full
def test_lora_adapts_the_pointwise_convolutions_of_a_mobile_net(restored_globals):
    keras.utils.set_random_seed(0)
    config = BackboneConfig(
        name="mobilenet_v2", weights="random", input_size=32, options={"alpha": 0.35}
    )
    assembled = assemble(load_backbone(config), ClassificationHead(("a", "b", "c")))
    head = assembled.model.get_layer("logits").kernel
    head.assign(np.random.default_rng(0).normal(0, 0.3, head.shape))
    weights, before = weights_of(assembled.model), assembled.blocks.digests()
    layers = train_factors(assembled)
    adapted = answers(assembled)
    merge_lora(layers)
    assert np.allclose(answers(assembled), adapted, atol=1e-5)
    assert weights_of(assembled.model) == weights
    after = assembled.blocks.digests()
    changed = {
        key
        for name in assembled.blocks.names[:-1]
        for key in after[name]
        if before[name][key] != after[name][key]
    }
    assert len(changed) == len(layers) == 35
    assert not [key for key in changed if "depthwise" in key or "BN" in key]
