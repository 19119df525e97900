"""A cut through a model of sequences keeps both halves whole, also for shorter sequences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kft.backbones import load_backbone
from kft.config import BackboneConfig
from kft.features import Cut, find_cut
from kft.features.fingerprint import digest_model
from kft.feeding.phase_input import PhaseInput
from kft.model import Assembled, assemble
from kft.tasks.classification.head import ClassificationHead


@pytest.fixture(scope="module", params=["small_transformer", "small_lstm"])
def assembled(request) -> Assembled:
    options = {"width": 8, "layers": 2, "buckets": 20}
    backbone = load_backbone(BackboneConfig(name=request.param, weights="random", options=options))
    spec = replace(backbone.input_spec, max_tokens=16)
    made = assemble(replace(backbone, input_spec=spec), ClassificationHead(("a", "b", "c")))
    kernel = made.model.get_layer("logits").kernel
    kernel.assign(np.random.default_rng(0).normal(size=kernel.shape))
    return made


def make_texts(width: int) -> dict[str, np.ndarray]:
    ids = np.random.default_rng(1).integers(2, 22, (3, 8)).astype(np.int32)
    mask = (np.arange(8) < [[8], [3], [5]]).astype(np.int32)
    missing = [(0, 0), (0, width - 8)]
    return {"token_ids": np.pad(ids, missing), "padding_mask": np.pad(mask, missing)}


def cut_at_the_first_layer(assembled: Assembled) -> Cut:
    names = assembled.blocks.names
    cut = find_cut(assembled, names[names.index("layer2") :])
    assert cut is not None
    return cut


def test_the_prefix_stays_what_it_was_when_the_suffix_is_built(assembled):
    cut = cut_at_the_first_layer(assembled)
    before, whole = digest_model(cut.prefix), assembled.model(make_texts(16)).numpy()
    # Stored activations have no mask of Keras attached.
    stored = {name: each.numpy() for name, each in cut.prefix(make_texts(16)).items()}
    halves = cut.suffix(stored).numpy()
    assert digest_model(cut.prefix) == before
    assert "padding_mask" in cut.crossing
    np.testing.assert_allclose(halves, whole, atol=1e-5)


@pytest.mark.parametrize("is_cut", [True, False])
def test_a_phase_by_length_takes_shorter_batches_and_answers_the_same(assembled, is_cut):
    import keras

    cut = cut_at_the_first_layer(assembled)
    model = cut.suffix if is_cut else assembled.model
    given = PhaseInput(model, lambda step: None, None, "inputs", by_length=True)
    opened = keras.Model(*given.graph)
    texts = make_texts(16)
    inputs = (
        {name: np.asarray(each) for name, each in cut.prefix(texts).items()} if is_cut else texts
    )
    shorter = {name: each[:, :8] for name, each in inputs.items()}
    np.testing.assert_allclose(opened(shorter), assembled.model(texts), atol=1e-5)
