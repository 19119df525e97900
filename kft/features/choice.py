"""Which engine computes: by name, or the fastest by a short measurement where that pays."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from kft.config import FeaturesConfig
from kft.errors import ConfigError, first_line
from kft.features.engines import (
    ENGINES,
    Engine,
    Forward,
    is_available,
    make_engine,
    number_class,
)
from kft.features.judging import ACCURACY_LOSS, Judge
from kft.features.remembered import Measured, read_measured, write_measured

TOLERANCE = 1e-4
# Two batches are computed before a measurement of them would end.
_FEWEST_EXAMPLES = 65
_MEASURE_SECONDS = 0.2
# What judging bfloat16 takes beside computing: to read an example, and to cross-validate a probe.
_READ_SECONDS = 2e-3
_PROBE_SECONDS = 0.5
# What to hope of an engine before it is measured: its time in units of Keras's, and the seconds
# to make it in units of those of tracing. From MobileNetV2 and ResNet50 on two cores.
_BFLOAT16 = "openvino_bfloat16"
_HOPES = {
    _BFLOAT16: (0.3, 1.0),
    "litert": (0.5, 1.5),
    "openvino": (0.6, 1.0),
    "folded": (0.8, 0.8),
}
_NOT_INSTALLED = "not installed"
# They say more of the machine at that moment than of the engine.
_PASSING = (OSError, MemoryError, tf.errors.ResourceExhaustedError)


@dataclass(eq=False)
class Chosen:
    """The engine that was chosen; made when it first computes.

    Attributes:
        name: One of `ENGINES`.
        forward: What it computes.
        measured: By engine; empty where the number of examples decided.
        accuracy_loss: Of bfloat16, as the judge found it; None where nobody judged.
        sample_outputs: What it gave for the sample, if it was measured just now.
    """

    name: str
    forward: Forward
    measured: Mapping[str, Measured] = field(default_factory=dict)
    accuracy_loss: float | None = None
    sample_outputs: np.ndarray | None = None
    _engine: Engine | None = None

    def __call__(self, inputs: Any) -> np.ndarray:
        """float32 outputs of a batch of inputs."""
        if self._engine is None:
            self._engine = make_engine(self.name, self.forward)
        return self._engine(inputs)

    @property
    def facts(self) -> dict[str, Any]:
        """What JSON should hold of it."""
        return {
            "engine": self.name,
            "measured": {name: asdict(found) for name, found in self.measured.items()},
            "accuracy_loss": self.accuracy_loss,
        }


def choose_engine(
    forward: Forward,
    sample: Any,
    *,
    config: FeaturesConfig,
    num_examples: int,
    digest: str | None = None,
    judge: Judge | None = None,
    tolerance: float = TOLERANCE,
) -> Chosen:
    """The engine for a model and so many examples.

    `auto` weighs for each engine the seconds to make it, and to judge it, against those that it
    saves; one that is not expected to pay is neither made nor measured, so that Keras computes
    little data at once.
    A float32 engine must agree with Keras on the sample; bfloat16 must keep the accuracy that the
    judge finds, and `auto` never takes it without one. On a machine with a GPU `auto` is Keras.

    Args:
        forward: The model.
        sample: One batch of real inputs.
        config: The pipeline's `features` section: `engine`.
        num_examples: How many there are to compute.
        digest: Of the model's graph and weights, under which measurements are remembered; None
            to remember nothing.
        judge: What decides on bfloat16.
        tolerance: Largest difference from Keras of a float32 engine, relative to the largest of
            Keras's numbers.

    Raises:
        ConfigError: The engine asked for by name is not installed, cannot take the model, gives
            other numbers, or costs accuracy; or nobody can judge that.
    """
    refuse_unjudged(config, judge)
    remembered = read_measured(digest) if digest and config.engine != "keras" else {}
    bench = _Bench(forward, sample, tolerance, remembered, num_examples)
    if config.engine == "keras":
        return bench.choose("keras")
    if config.engine == "auto":
        chosen = _choose_fastest(bench, judge)
    else:
        chosen = _choose_by_name(bench, config.engine, judge)
    if digest and bench.lasting != remembered:
        write_measured(digest, bench.lasting)
    return chosen


def refuse_unjudged(config: FeaturesConfig, judge: Judge | None) -> None:
    """That what the engine asked for by name may cost can be found out.

    Raises:
        ConfigError: Its numbers are less exact, and there is no judge.
    """
    if judge is None and config.engine != "auto" and number_class(config.engine) != "float32":
        raise ConfigError(
            f"features.engine: found {config.engine!r}, whose numbers are less exact. It is "
            "allowed where the accuracy of a probe can show that nothing is lost: in training, on "
            "classes or labels; not on numbers, nor in an audit. Choose `auto`, which takes an "
            "exact engine here, or `keras`, `folded`, `litert` or `openvino`."
        )


class _Bench:
    """Makes engines of one model; measures each once, and compares it with Keras."""

    def __init__(
        self,
        forward: Forward,
        sample: Any,
        tolerance: float,
        remembered: Mapping[str, Measured],
        num_examples: int,
    ) -> None:
        self.measured = dict(remembered)
        self.num_examples = num_examples
        self._forward = forward
        self._sample = sample
        self._tolerance = tolerance
        self._engines: dict[str, Engine] = {}
        self._outputs: dict[str, np.ndarray] = {}
        self._passing: set[str] = set()

    @property
    def lasting(self) -> dict[str, Measured]:
        """What was measured, without failures that may pass."""
        return {name: found for name, found in self.measured.items() if name not in self._passing}

    def engine(self, name: str) -> Engine:
        if name not in self._engines:
            self._engines[name] = make_engine(name, self._forward)
        return self._engines[name]

    def choose(self, name: str, accuracy_loss: float | None = None) -> Chosen:
        outputs, engine = self._outputs.get(name), self._engines.get(name)
        return Chosen(name, self._forward, self.measured, accuracy_loss, outputs, engine)

    def seconds(self, name: str) -> float:
        """To make an engine and to compute all examples, from now on.

        As measured, else hoped from Keras; infinite where the engine may not be used.
        """
        return self.setup_seconds(name) + self.num_examples * self._milliseconds(name) / 1e3

    def setup_seconds(self, name: str) -> float:
        """The part of `seconds` before the first example."""
        if name in self._engines:
            return 0.0
        if name in self.measured:
            return self.measured[name].setup_seconds
        # To measure one is to compare it with Keras, which may have to be made for that.
        setups = _HOPES[name][1] + (0 if "keras" in self._engines else 1)
        return setups * self.measured["keras"].setup_seconds

    def judging_seconds(self, judge: Judge) -> float:
        """Of `judge`, both engines being made."""
        milliseconds = self._milliseconds("keras") + self._milliseconds(_BFLOAT16)
        each = _READ_SECONDS + milliseconds / 1e3
        return judge.num_examples * each + 2 * _PROBE_SECONDS

    def _milliseconds(self, name: str) -> float:
        if name not in self.measured:
            return _HOPES[name][0] * self._milliseconds("keras")
        found = self.measured[name]
        if found.reason is not None or found.milliseconds is None:
            return float("inf")
        return found.milliseconds

    def measure(self, name: str) -> Measured:
        if name not in self.measured:
            self.measured[name] = self._measure(name)
        return self.measured[name]

    def _measure(self, name: str) -> Measured:
        if not is_available(name):
            return Measured(reason=_NOT_INSTALLED)
        # Keras first: its time is not part of the other's.
        expected = None if name == "keras" else self._compute("keras")
        begun = time.perf_counter()
        try:
            outputs = self._compute(name)
        except Exception as error:  # each converter raises its own
            if name == "keras":
                raise
            if isinstance(error, _PASSING):
                self._passing.add(name)
            return Measured(reason=f"{type(error).__name__}: {first_line(error)[:-1]}")
        setup_seconds = time.perf_counter() - begun
        if expected is None:
            # The other engines fold all of it, whether it was traced now or before.
            setup_seconds = max(setup_seconds, self._forward.first_seconds)
            return Measured(self._time(name), setup_seconds, 0.0)
        difference = relative_difference(outputs, expected)
        if not np.isfinite(difference):
            return Measured(reason="gives numbers that are not finite, or of another shape")
        if number_class(name) == "float32" and difference > self._tolerance:
            reason = (
                f"differs from Keras by {difference:.2g} of the largest number, allowed is "
                f"{self._tolerance:.0e}"
            )
            return Measured(None, setup_seconds, difference, reason)
        return Measured(self._time(name), setup_seconds, difference)

    def _compute(self, name: str) -> np.ndarray:
        if name not in self._outputs:
            self._outputs[name] = self.engine(name)(self._sample)
        return self._outputs[name]

    def _time(self, name: str) -> float:
        """Milliseconds an example: of the best batch, which others disturbed least."""
        # At least the eight examples that some engines take at once; at most some 2 % of all.
        count = max(8, min(len(self._sample), self.num_examples // 64))
        sample, engine = self._sample[:count], self.engine(name)
        best, begun = float("inf"), time.perf_counter()
        while True:
            start = time.perf_counter()
            engine(sample)
            best = min(best, time.perf_counter() - start)
            most = min(_MEASURE_SECONDS, 0.02 * self.num_examples * best / len(sample))
            if time.perf_counter() - begun >= most:
                return 1e3 * best / len(sample)

    def judge(self, judge: Judge) -> float:
        """Accuracy that bfloat16 loses; found anew for each set of data."""
        exact, rounded = self.engine("keras"), self.engine(_BFLOAT16)
        return judge.find_loss(lambda inputs: (exact(inputs), rounded(inputs)))


def _choose_by_name(bench: _Bench, name: str, judge: Judge | None) -> Chosen:
    if not is_available(name):
        bench.engine(name)  # says what to install
    found = bench.measure(name)
    if found.reason is not None:
        raise ConfigError(
            f"features.engine: {name!r} cannot compute this model: {found.reason}. "
            "Choose `auto` or `keras`."
        )
    if number_class(name) == "float32":
        return bench.choose(name)
    assert judge is not None, "as `refuse_unjudged` sees to"
    loss = bench.judge(judge)
    if loss > ACCURACY_LOSS:
        raise ConfigError(
            f"features.engine: {name!r} costs a probe {100 * loss:.1f} points of cross-validated "
            f"accuracy; allowed are {100 * ACCURACY_LOSS:.1f}. Choose `auto` or `keras`."
        )
    return bench.choose(name, loss)


def _choose_fastest(bench: _Bench, judge: Judge | None) -> Chosen:
    few = bench.num_examples < _FEWEST_EXAMPLES
    if few or tf.config.list_physical_devices("GPU"):
        return bench.choose("keras")
    bench.measure("keras")
    # First, since the others need not be measured where it is taken.
    loss = None if judge is None else _try_bfloat16(bench, judge)
    best = "keras" if loss is None else _BFLOAT16
    for name in _HOPES:
        if number_class(name) != "float32" or bench.seconds(name) >= bench.seconds(best):
            continue
        bench.measure(name)
        if bench.seconds(name) < bench.seconds(best):
            best = name
    return bench.choose(best, loss if best == _BFLOAT16 else None)


def _try_bfloat16(bench: _Bench, judge: Judge) -> float | None:
    """Accuracy that it loses; None where that is too much, or not worth finding out."""
    if not is_available(_BFLOAT16):
        return None
    others = [name for name in ENGINES if number_class(name) == "float32" and is_available(name)]

    def is_worthwhile() -> bool:
        judging = bench.judging_seconds(judge)
        saved = min(map(bench.seconds, others)) - bench.seconds(_BFLOAT16) - judging
        # As likely as not it is refused, and making and judging it were for nothing.
        return saved > bench.setup_seconds(_BFLOAT16) + judging

    if not is_worthwhile():
        return None
    bench.measure(_BFLOAT16)
    if not is_worthwhile():
        return None
    loss = bench.judge(judge)
    return loss if loss <= ACCURACY_LOSS else None


def relative_difference(values: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, relative to the largest expected number; infinite where not finite."""
    if values.shape != expected.shape or not np.isfinite(values).all():
        return float("inf")
    largest = float(np.abs(expected).max(initial=0.0))
    difference = float(np.abs(values - expected).max(initial=0.0))
    return difference / largest if largest > 0 else difference
