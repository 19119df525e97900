"""A default stays unless something else is clearly faster, whatever there was time for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kft.measuring.bench import Deadline, OutOfTimeError, Timing, Variant, WorkError
from kft.measuring.choosing import (
    LEAST_GAIN,
    MEMORY_SHARE,
    Chooser,
    choose_batch_size,
    predict_memory,
)
from kft.measuring.record import DEFAULT_BATCH_SIZE, Trial

FLOAT32 = Variant("float32", 2)
BFLOAT16 = Variant("mixed_bfloat16", 2)
ONE_THREAD = Variant("float32", 1)
OTHERS = [BFLOAT16, ONE_THREAD]


class FakeBench:
    """Processes whose steps take as long as a test says, on a clock of their own."""

    def __init__(self, speeds, *, preparation=3.0, base_bytes=10**9, bytes_per_example=10**7):
        self.now = 0.0
        self.speeds = speeds
        self.preparation = preparation
        self.base_bytes = base_bytes
        self.bytes_per_example = bytes_per_example
        # Speed of XLA in units of that without, and the seconds it compiles.
        self.xla, self.compiling = 0.1, 3.0
        self.step_overhead = 0.0
        self.broken = {}
        self.started, self.ended, self.orders = [], [], []

    def start(self, variants):
        self.started.extend(variants)

    def await_ready(self, variant, limit_seconds):
        self._spend(self.preparation, limit_seconds, variant)
        return self.base_bytes

    def run(self, variant, order, limit_seconds):
        if variant in self.ended:
            raise WorkError("its process has ended")
        if variant in self.broken:
            raise WorkError(self.broken[variant])
        self.orders.append((variant, order))
        seconds = order.batch_size / self.speeds[variant] + self.step_overhead
        if order.work == "forward":
            seconds /= 3
        if order.jit_compile:
            seconds /= self.xla
            self._spend(self.compiling, limit_seconds, variant)
            limit_seconds -= self.compiling
        self._spend(2 * seconds, limit_seconds, variant)
        return Timing(seconds, self.base_bytes + order.batch_size * self.bytes_per_example)

    def end(self, variants):
        self.ended.extend(variants)

    def _spend(self, seconds, limit_seconds, variant):
        if seconds > limit_seconds:
            self.now += max(0.0, limit_seconds)
            self.ended.append(variant)
            raise OutOfTimeError
        self.now += seconds


def choose(bench, *, budget=30.0, cores=2, memory=10**11, others=OTHERS, jit_compile=None):
    deadline = Deadline(budget, lambda: bench.now)
    chooser = Chooser(
        bench, FLOAT32, deadline, cores=cores, memory_bytes=memory, jit_compile=jit_compile
    )
    return chooser.choose(others)


def row(chosen, candidate):
    return next(trial for trial in chosen.trials if trial.candidate == candidate)


def test_equal_speeds_leave_every_default():
    chosen = choose(FakeBench({FLOAT32: 100.0, BFLOAT16: 100.0, ONE_THREAD: 100.0}))
    assert chosen.variant == FLOAT32
    assert not chosen.jit_compile
    assert chosen.batch_size == DEFAULT_BATCH_SIZE


@pytest.mark.parametrize("gain", [1.05, 1.2])
def test_a_variant_is_taken_only_for_a_gain_of_ten_percent(gain):
    bench = FakeBench({FLOAT32: 100.0, BFLOAT16: 100.0 * gain, ONE_THREAD: 50.0})
    chosen = choose(bench)
    assert chosen.variant == (BFLOAT16 if gain > LEAST_GAIN else FLOAT32)
    assert row(chosen, "bfloat16").ratio == pytest.approx(gain)
    assert row(chosen, "1 thread").ratio == pytest.approx(0.5)


def test_the_processes_that_lost_are_ended_before_memory_is_measured():
    bench = FakeBench({FLOAT32: 100.0, BFLOAT16: 150.0, ONE_THREAD: 80.0})
    choose(bench)
    assert bench.ended == [FLOAT32, ONE_THREAD]
    assert bench.orders[-1][0] == BFLOAT16


def test_batches_of_the_variant_that_won_are_its_own():
    chosen = choose(FakeBench({FLOAT32: 100.0, BFLOAT16: 150.0, ONE_THREAD: 80.0}))
    batches = [trial for trial in chosen.trials if trial.candidate.startswith("batch")]
    assert {trial.precision for trial in batches} == {"mixed_bfloat16"}


def test_a_hopeless_variant_is_asked_once():
    bench = FakeBench({FLOAT32: 100.0, BFLOAT16: 20.0, ONE_THREAD: 90.0})
    choose(bench)
    assert sum(variant == BFLOAT16 for variant, _ in bench.orders) == 1
    assert sum(variant == ONE_THREAD for variant, _ in bench.orders) == 2


def test_a_variant_that_fails_is_no_choice_and_says_why():
    bench = FakeBench({FLOAT32: 100.0, BFLOAT16: 900.0, ONE_THREAD: 90.0})
    bench.broken[BFLOAT16] = "no kernel for bfloat16"
    chosen = choose(bench)
    assert chosen.variant == FLOAT32
    assert row(chosen, "bfloat16").note == "no kernel for bfloat16"


def test_xla_that_slows_the_forward_pass_is_not_compiled_further():
    bench = FakeBench({FLOAT32: 100.0})
    chosen = choose(bench, others=[])
    assert not chosen.jit_compile
    assert "0.10 of the speed" in row(chosen, "XLA").note
    assert not any(order.jit_compile and order.work == "step" for _, order in bench.orders)


def test_xla_that_speeds_the_step_is_taken():
    bench = FakeBench({FLOAT32: 100.0})
    bench.xla = 1.5
    chosen = choose(bench, others=[])
    assert chosen.jit_compile
    assert row(chosen, "XLA").ratio == pytest.approx(1.5)


def test_xla_that_compiles_past_the_end_is_ended_and_not_taken():
    bench = FakeBench({FLOAT32: 100.0})
    bench.xla, bench.compiling = 2.0, 60.0
    chosen = choose(bench, others=[])
    assert not chosen.jit_compile
    assert "still compiling" in row(chosen, "XLA").note
    assert bench.now <= 30.0


def test_given_xla_compiles_every_step_and_is_no_candidate():
    bench = FakeBench({FLOAT32: 100.0})
    chosen = choose(bench, others=[], jit_compile=True)
    assert chosen.jit_compile
    assert all(order.jit_compile for _, order in bench.orders)
    assert not any(trial.candidate == "XLA" for trial in chosen.trials)


def test_a_larger_batch_that_is_faster_is_taken_after_a_second_look():
    bench = FakeBench({FLOAT32: 1000.0})
    bench.step_overhead = 0.05
    chosen = choose(bench, others=[])
    assert chosen.batch_size > DEFAULT_BATCH_SIZE
    sizes = [order.batch_size for _, order in bench.orders if order.work == "step"]
    assert sizes.count(chosen.batch_size) == 2
    assert sizes.count(DEFAULT_BATCH_SIZE) > 2


def test_no_batch_is_tried_that_would_not_fit_into_memory():
    memory = 4 * 10**9
    bench = FakeBench({FLOAT32: 1000.0}, bytes_per_example=3 * 10**7)
    chosen = choose(bench, memory=memory, others=[])
    largest = max(order.batch_size for _, order in bench.orders)
    assert 10**9 + largest * 3 * 10**7 <= MEMORY_SHARE * memory
    assert "free" in row(chosen, f"batch {2 * largest}").note


def test_a_default_batch_that_does_not_fit_is_replaced_by_one_that_does():
    bench = FakeBench({FLOAT32: 3.0}, bytes_per_example=10**9)
    chosen = choose(bench, memory=20 * 10**9, others=[])
    assert chosen.batch_size < 12


def test_on_few_cores_the_least_promising_waits_and_is_left_out_if_late():
    bench = FakeBench({FLOAT32: 100.0, BFLOAT16: 90.0, ONE_THREAD: 500.0}, preparation=9.0)
    chosen = choose(bench, cores=2)
    assert bench.started == [FLOAT32, BFLOAT16]
    assert chosen.variant == FLOAT32
    assert row(chosen, "1 thread").note == "not measured: out of time"


def test_with_a_core_for_each_all_start_at_once():
    bench = FakeBench({FLOAT32: 100.0, BFLOAT16: 90.0, ONE_THREAD: 50.0})
    choose(bench, cores=8)
    assert bench.started == [FLOAT32, BFLOAT16, ONE_THREAD]


def test_a_default_that_is_never_ready_gives_the_defaults_and_says_so():
    bench = FakeBench({FLOAT32: 100.0}, preparation=100.0)
    chosen = choose(bench)
    assert (chosen.variant, chosen.jit_compile) == (FLOAT32, False)
    assert chosen.batch_size == DEFAULT_BATCH_SIZE
    assert all(trial.note == "not measured: out of time" for trial in chosen.trials)


@given(
    rates=st.tuples(*[st.floats(0.5, 5000.0)] * 3),
    preparation=st.floats(0.5, 20.0),
    compiling=st.floats(0.1, 60.0),
    xla=st.floats(0.05, 5.0),
)
def test_whatever_the_speeds_the_budget_holds_and_no_choice_is_slower_than_the_default(
    rates, preparation, compiling, xla
):
    bench = FakeBench(dict(zip((FLOAT32, *OTHERS), rates, strict=True)), preparation=preparation)
    bench.compiling, bench.xla = compiling, xla
    chosen = choose(bench)
    assert bench.now <= 30.0 + 1e-6
    assert bench.speeds[chosen.variant] >= bench.speeds[FLOAT32]
    assert not chosen.jit_compile or xla >= LEAST_GAIN


def batch(size, rate, peak=None):
    return Trial(f"batch {size}", "float32", 2, False, size, rate, 1.0, peak)


def test_the_smallest_size_near_the_best_rate_is_chosen():
    batches = {32: batch(32, 100.0), 64: batch(64, 150.0), 128: batch(128, 155.0)}
    assert choose_batch_size(batches, 0, None) == 64


def test_a_default_size_too_slow_to_measure_stays_if_it_fits():
    batches = {4: batch(4, 3.0, 2 * 10**9), 8: batch(8, 3.1, 3 * 10**9)}
    assert choose_batch_size(batches, 10 * 10**9, 125 * 10**7) == DEFAULT_BATCH_SIZE
    assert choose_batch_size(batches, 5 * 10**9, 125 * 10**7) == 4


def test_memory_is_predicted_along_a_line():
    assert predict_memory({11: batch(11, 1.0, 300)}, 21, 200) == pytest.approx(400)
    assert predict_memory({11: batch(11, 1.0, None)}, 21, 200) == 0.0
