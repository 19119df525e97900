"""The engine that is chosen pays for itself, agrees with Keras and keeps the accuracy."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from kft.config import FeaturesConfig
from kft.errors import ConfigError
from kft.features import Forward, Judge, choice, choose_engine, find_cut
from kft.features.engines import ENGINES
from kft.features.remembered import Measured, read_measured, write_measured
from kft.model import HEAD

SAMPLE = np.random.default_rng(0).uniform(0, 255, (32, 32, 32, 3)).astype(np.float32)
VALUES = SAMPLE.mean(axis=(1, 2))
# Seconds to make an engine, and milliseconds an example, as on MobileNetV2.
SPEEDS = {
    "keras": (1.0, 2.26),
    "folded": (0.8, 1.73),
    "litert": (1.5, 1.01),
    "openvino": (1.0, 1.17),
    "openvino_bfloat16": (1.0, 0.59),
}


@pytest.fixture
def laboratory(monkeypatch):
    """Engines and a clock of our own; `errors` are added to their outputs."""
    now = [0.0]
    found = SimpleNamespace(
        made=[], computed=[], speeds=dict(SPEEDS), errors={}, clock=now, raises={}
    )
    monkeypatch.setattr(choice.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(choice, "is_available", lambda name: name in found.speeds)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])

    def maker(name):
        def make(forward):
            found.made.append(name)
            now[0] += found.speeds[name][0]
            if name in found.raises:
                raise found.raises[name]

            def compute(inputs):
                found.computed.append((name, len(inputs)))
                now[0] += len(inputs) * found.speeds[name][1] / 1e3
                return np.asarray(inputs).mean(axis=(1, 2)) + found.errors.get(name, 0.0)

            return compute

        return make

    for name in ENGINES:
        monkeypatch.setitem(ENGINES, name, maker(name))
    return found


def choose(num_examples: int, engine: str = "auto", **options):
    return choose_engine(
        Forward(None), SAMPLE, config=FeaturesConfig(engine=engine), num_examples=num_examples,
        **options,
    )  # fmt: skip


def make_judge(*accuracies: float, num_examples: int = 512) -> Judge:
    left = list(accuracies)
    return Judge(lambda: [SAMPLE[:20], SAMPLE[20:]], num_examples, lambda vectors: left.pop(0))


def test_few_examples_are_computed_by_keras_without_any_measurement(laboratory):
    assert choose(64).name == "keras"
    assert laboratory.made == []


def test_where_conversion_would_not_pay_only_keras_is_made_and_hardly_measured(laboratory):
    chosen = choose(400)
    assert chosen.name == "keras"
    assert laboratory.made == ["keras"]
    # The sample itself, and eight examples to take the time.
    assert sum(count for _, count in laboratory.computed) <= 40
    assert np.array_equal(chosen.sample_outputs, VALUES)


def test_a_model_that_was_traced_before_is_not_taken_for_one_that_is_quickly_converted(laboratory):
    laboratory.speeds["keras"] = (0.0, 2.26)
    forward = Forward(None)
    chosen = choose_engine(forward, SAMPLE, config=FeaturesConfig(), num_examples=400)
    assert len(chosen.measured) > 1
    forward._first_seconds = 1.0
    chosen = choose_engine(forward, SAMPLE, config=FeaturesConfig(), num_examples=400)
    assert chosen.name == "keras"
    assert list(chosen.measured) == ["keras"]


def test_many_examples_are_computed_by_the_fastest_engine_that_agrees(laboratory):
    chosen = choose(50_000)
    assert chosen.name == "litert"
    assert set(chosen.measured) == {"keras", "litert"}, "OpenVINO could not have been faster"
    assert chosen.measured["litert"].milliseconds == pytest.approx(1.01)
    assert np.array_equal(chosen(SAMPLE), VALUES)
    assert laboratory.made.count("litert") == 1


def test_where_litert_is_slower_than_hoped_openvino_is_tried(laboratory):
    laboratory.speeds["litert"] = (1.5, 2.1)
    assert choose(50_000).name == "openvino"


def test_bfloat16_is_taken_where_a_judge_finds_that_nothing_is_lost(laboratory):
    laboratory.errors["openvino_bfloat16"] = 9.0
    chosen = choose(50_000, judge=make_judge(0.91, 0.906))
    assert chosen.name == "openvino_bfloat16"
    assert chosen.accuracy_loss == pytest.approx(0.004)


def test_bfloat16_is_not_taken_where_accuracy_is_lost_nor_without_a_judge(laboratory):
    chosen = choose(50_000, judge=make_judge(0.91, 0.90))
    assert chosen.name == "litert"
    assert chosen.accuracy_loss is None
    laboratory.made.clear()
    assert choose(50_000).name == "litert"
    assert "openvino_bfloat16" not in laboratory.made


def test_judging_bfloat16_is_part_of_its_price(laboratory):
    """At 5000 pictures it would gain less than it takes to find out whether it may be used."""
    asked = []
    judge = Judge(lambda: asked.append(1) or [SAMPLE], 512, lambda vectors: 1.0)
    assert choose(5000, judge=judge).name == "litert"
    assert "openvino_bfloat16" not in laboratory.made
    assert asked == []
    few = Judge(lambda: [SAMPLE], 10, lambda vectors: 1.0)
    assert choose(20_000, judge=few).name == "openvino_bfloat16"


def test_bfloat16_that_is_slower_than_hoped_is_not_judged(laboratory):
    laboratory.speeds["openvino_bfloat16"] = (1.0, 1.0)
    chosen = choose(20_000, judge=make_judge())
    assert chosen.name == "litert"
    assert chosen.measured["openvino_bfloat16"].milliseconds == pytest.approx(1.0)


def test_bfloat16_that_a_run_before_measured_is_judged_beside_a_new_keras(laboratory):
    choose(50_000, digest="model", judge=make_judge(0.9, 0.9))
    laboratory.made.clear()
    assert choose(50_000, digest="model", judge=make_judge(0.9, 0.9)).name == "openvino_bfloat16"
    assert sorted(laboratory.made) == ["keras", "openvino_bfloat16"]
    laboratory.made.clear()
    assert choose(5000, digest="model", judge=make_judge()).name == "litert"
    assert "openvino_bfloat16" not in laboratory.made


def test_the_judge_sees_one_batch_at_a_time_and_keeps_vectors_alone():
    read, scored = [], []

    def inputs():
        for batch in (SAMPLE[:20], SAMPLE[20:]):
            read.append(len(batch))
            yield batch

    def accuracy(vectors):
        scored.append(vectors)
        return 0.75 if len(scored) == 1 else 0.5

    def compute(batch):
        assert sum(read) == (20 if len(batch) == 20 else 32)
        return batch, batch * 2

    assert Judge(inputs, 32, accuracy).find_loss(compute) == 0.25
    assert read == [20, 12], "each is read once for both"
    exact, rounded = scored
    assert np.allclose(exact, VALUES)
    assert np.allclose(rounded, 2 * VALUES)


def test_numbers_that_are_finite_no_longer_lose_all():
    judge = Judge(lambda: [VALUES], 32, lambda vectors: 1.0)
    assert judge.find_loss(lambda batch: (batch, np.full_like(batch, np.nan))) == np.inf


def test_an_engine_that_is_not_installed_is_silently_no_candidate(laboratory):
    for name in ("openvino", "openvino_bfloat16"):
        del laboratory.speeds[name]
    laboratory.speeds["litert"] = (1.5, 2.2)
    assert choose(50_000, judge=make_judge()).name == "folded"


@pytest.mark.parametrize("error", [1.0, np.nan, np.inf])
def test_an_engine_with_other_numbers_is_not_used_and_says_by_how_much(laboratory, error):
    laboratory.errors["litert"] = error
    chosen = choose(50_000)
    assert chosen.name == "openvino"
    assert chosen.measured["litert"].reason
    with pytest.raises(ConfigError, match=r"features.engine: 'litert' cannot compute this model"):
        choose(50_000, "litert")


def test_the_difference_that_is_allowed_is_relative_to_the_largest_number(laboratory):
    largest = np.abs(VALUES).max()
    laboratory.errors["litert"] = 0.9e-4 * largest
    assert choose(50_000, "litert").name == "litert"
    laboratory.errors["litert"] = 1.1e-4 * largest
    with pytest.raises(ConfigError, match=r"differs from Keras by 0\.00011 .* allowed is 1e-04"):
        choose(50_000, "litert")
    laboratory.errors["folded"] = 0.9e-4 * largest
    with pytest.raises(ConfigError, match="allowed is 1e-05"):
        choose(50_000, "folded", tolerance=1e-5)


def test_what_a_converter_cannot_take_is_no_candidate_and_the_reason_is_kept(laboratory):
    laboratory.raises["litert"] = RuntimeError("no such op\nin this place")
    chosen = choose(50_000)
    assert chosen.name == "openvino"
    assert chosen.measured["litert"].reason == "RuntimeError: no such op"
    with pytest.raises(ConfigError, match="'litert' cannot compute this model: RuntimeError: no"):
        choose(10, "litert")


def test_bfloat16_by_name_is_refused_where_it_costs_accuracy(laboratory):
    assert choose(10, "openvino_bfloat16", judge=make_judge(0.9, 0.9)).accuracy_loss == 0
    with pytest.raises(ConfigError, match=r"costs a probe 2\.0 points .* allowed are 0\.5"):
        choose(10, "openvino_bfloat16", judge=make_judge(0.9, 0.88))


def test_bfloat16_by_name_is_refused_where_nobody_can_judge_it(laboratory):
    with pytest.raises(ConfigError, match=r"found 'openvino_bfloat16', whose numbers .* `auto`"):
        choose(50_000, "openvino_bfloat16")
    assert laboratory.made == []
    for engine in ("auto", "keras", "folded", "litert", "openvino"):
        assert choose(50_000, engine).accuracy_loss is None


def test_keras_by_name_measures_nothing(laboratory):
    assert choose(50_000, "keras").measured == {}
    assert laboratory.made == []


def test_a_gpu_is_left_to_keras(laboratory, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["GPU:0"])
    assert choose(50_000).name == "keras"


def test_a_second_run_measures_nothing_and_chooses_the_same(laboratory):
    first = choose(50_000, digest="model")
    laboratory.made.clear()
    second = choose(50_000, digest="model")
    assert second.name == first.name == "litert"
    assert laboratory.made == []
    assert second.measured == first.measured
    assert np.array_equal(second(SAMPLE), VALUES)


def test_a_second_run_over_few_examples_knows_that_converting_does_not_pay(laboratory):
    choose(50_000, digest="model")
    assert choose(100, digest="model").name == "keras"
    assert choose(50_000, digest="other model").name == "litert"
    assert laboratory.made.count("litert") == 2


@pytest.mark.parametrize(
    "error",
    [OSError("disk full"), MemoryError(), tf.errors.ResourceExhaustedError(None, None, "memory")],
    ids=lambda error: type(error).__name__,
)
def test_a_failure_that_may_pass_is_not_remembered(laboratory, error):
    laboratory.raises["litert"] = error
    chosen = choose(50_000, digest="model")
    assert chosen.name == "openvino"
    assert type(error).__name__ in chosen.measured["litert"].reason
    assert set(read_measured("model")) == {"keras", "openvino"}
    laboratory.raises.clear()
    assert choose(50_000, digest="model").name == "litert"


def test_other_threads_are_other_measurements(caches, monkeypatch):
    write_measured("model", {"keras": Measured(2.0)})
    assert read_measured("model") == {"keras": Measured(2.0)}
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "77")
    assert read_measured("model") == {}


def test_other_versions_or_a_damaged_memory_are_measured_anew(caches, monkeypatch):
    write_measured("model", {"keras": Measured(2.0, 1.0, 0.0)})
    assert read_measured("model") == {"keras": Measured(2.0, 1.0, 0.0)}
    (file,) = (caches / "engines").iterdir()
    file.write_text("[1]")
    assert read_measured("model") == {}
    file.write_text("{")
    assert read_measured("model") == {}
    write_measured("model", {"keras": Measured(2.0)})
    monkeypatch.setattr("importlib.metadata.version", lambda package: "0.0")
    assert read_measured("model") == {}


def test_real_engines_are_measured_and_agree(tiny_assembled):
    forward = Forward(find_cut(tiny_assembled, [HEAD]).prefix)
    for name in ("folded", "litert"):
        chosen = choose_engine(
            forward, SAMPLE, config=FeaturesConfig(engine=name), num_examples=1000
        )
        found = chosen.measured[name]
        assert found.milliseconds > 0
        assert found.setup_seconds > 0
        assert found.difference < 1e-5
        assert np.array_equal(chosen.sample_outputs, chosen(SAMPLE))
