"""Backbones learn from texts without labels, and a stopped run ends as one that was not."""

from __future__ import annotations

import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from kft.backbones import load_backbone
from kft.config import BackboneConfig
from kft.display import Display
from kft.errors import ConfigError, RunError
from kft.modalities.text.input_spec import TextSpec
from kft.modalities.text.language import ASKED, AskNext, HideTokens
from kft.pretraining import running
from kft.pretraining.learner import Learner, choose_task, is_causal
from kft.pretraining.settings import load_pretraining
from kft.training.stopping import Interrupted

SMALL = {"width": 8, "layers": 1, "buckets": 50}


def load(name: str, **options):
    given = {} if name == "small_characters" else SMALL
    options = {**given, **options}
    return load_backbone(BackboneConfig(name=name, weights="random", options=options))


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("small_lstm", "the next token"),
        ("small_transformer", "hidden tokens"),
        ("small_characters", "hidden tokens"),
    ],
)
def test_the_direction_of_a_backbone_decides_what_it_learns(name, task):
    keras.utils.set_random_seed(0)
    assert choose_task(load(name))[0] == task


def test_one_token_in_seven_is_asked_by_the_seed_of_its_text():
    spec = TextSpec("hashed_words", ("[PAD]", "[UNK]"), buckets=90)
    ids = tf.random.stateless_uniform((40, 50), (0, 0), 2, 92, tf.int32)
    mask = tf.concat([tf.ones((40, 40), tf.int32), tf.zeros((40, 10), tf.int32)], axis=1)
    seeds = tf.stack([tf.range(40), tf.zeros(40, tf.int32)], axis=1)
    hide = HideTokens(spec)
    given = {"token_ids": ids, "padding_mask": mask}
    found = {name: value.numpy() for name, value in hide(given, seeds).items()}
    is_asked = found[ASKED] >= 0
    assert 0.12 < is_asked[:, :40].mean() < 0.18 and not is_asked[:, 40:].any()
    np.testing.assert_array_equal(found[ASKED][is_asked], ids.numpy()[is_asked])
    np.testing.assert_array_equal(found["token_ids"][~is_asked], ids.numpy()[~is_asked])
    assert 0.7 < (found["token_ids"][is_asked] == 1).mean() < 0.9
    part = {name: value[5:6] for name, value in given.items()}
    np.testing.assert_array_equal(hide(part, seeds[5:6])[ASKED][0], found[ASKED][5])


def test_the_next_token_is_asked_up_to_the_last():
    ids, mask = tf.constant([[5, 6, 7, 0]]), tf.constant([[1, 1, 1, 0]])
    asked = AskNext()({"token_ids": ids, "padding_mask": mask}, tf.zeros((1, 2), tf.int32))
    assert asked[ASKED].numpy().tolist() == [[6, 7, -1, -1]]


def test_a_learner_learns_what_it_is_shown():
    keras.utils.set_random_seed(0)
    backbone = load("small_lstm")
    assert is_causal(backbone)
    learner = Learner(backbone, learning_rate=0.05, steps=40)
    ids = tf.tile(tf.constant([[2, 3, 4, 5, 2, 3, 4, 5]]), (4, 1))
    inputs = AskNext()({"token_ids": ids, "padding_mask": tf.ones_like(ids)}, None)
    before = learner.judge([(inputs, None)])
    losses = [learner.train(inputs) for _ in range(40)]
    after = learner.judge([(inputs, None)])
    assert losses[-1] < 0.5 * losses[0] and after.accuracy > before.accuracy
    assert after.commonest == pytest.approx(2 / 7) and after.asked == 28
    assert after.perplexity == pytest.approx(np.exp(after.loss))


@pytest.fixture
def corpus(tmp_path):
    drawn = np.random.default_rng(0)
    words = [f"word{number}" for number in range(20)]
    lines = [
        " ".join(words[(start + step) % 20] for step in range(size))
        for start, size in zip(drawn.integers(0, 20, 120), drawn.integers(4, 12, 120), strict=True)
    ]
    (tmp_path / "texts.txt").write_text("\n".join(f"{line} {i}" for i, line in enumerate(lines)))
    return tmp_path / "texts.txt"


def run(corpus, run_id: str, *more: str):
    overrides = [
        *(f"backbone.options.{name}={value}" for name, value in SMALL.items()),
        "backbone.name=small_lstm",
        "strategy.duration=2 epochs",
        "training.global_batch_size=16",
        f"runs_directory={corpus.parent}/runs",
        *more,
    ]
    display = Display(Console(file=io.StringIO(), width=200))
    return running.pretrain(load_pretraining(str(corpus), overrides), display, run_id=run_id)


@pytest.mark.full
@pytest.mark.usefixtures("restored_globals")
def test_a_stopped_run_ends_with_the_same_backbone(corpus, monkeypatch):
    whole = run(corpus, "whole")
    train, steps = running.Learner.train, []

    def stop_in_the_second_epoch(learner, inputs):
        steps.append(None)
        if len(steps) == 10:
            work[0].stop.number = 15
        return train(learner, inputs)

    work = []
    begin = running._Work.__init__
    monkeypatch.setattr(
        running._Work, "__init__", lambda self, *a: (begin(self, *a), work.append(self))[0]
    )
    with monkeypatch.context() as patch:
        patch.setattr(running.Learner, "train", stop_in_the_second_epoch)
        with pytest.raises(Interrupted):
            run(corpus, "stopped")
    with pytest.raises(RunError, match="began with other settings"):
        run(corpus, "stopped", "training.seed=4")
    resumed = run(corpus, "stopped")
    assert resumed.judged == whole.judged
    first, second = (
        load_backbone(BackboneConfig(name=str(each.backbone))) for each in (whole, resumed)
    )
    for one, other in zip(first.model.weights, second.model.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert first.input_spec.max_tokens is None and first.sha256 is not None
    assert (whole.run.path / "phases/00-pretraining/history.csv").read_text() == (
        resumed.run.path / "phases/00-pretraining/history.csv"
    ).read_text()
    with pytest.raises(RunError, match="is finished"):
        run(corpus, "whole")


def test_settings_that_pretraining_would_ignore_are_refused(corpus):
    with pytest.raises(ConfigError, match=r"strategy.name: 'lp_ft', but pretraining on texts"):
        run(corpus, "x", "strategy.name=lp_ft")
    with pytest.raises(ConfigError, match=r"training.distribution: 'mirrored'"):
        run(corpus, "x", "training.distribution=mirrored")
