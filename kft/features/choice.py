"""Which engine computes: by name, or the fastest by a short measurement where that pays."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from kft.config import FeaturesConfig
from kft.errors import ConfigError, first_line
from kft.features.engines import Engine, Forward, is_available, make_engine, number_class
from kft.features.remembered import Measured, read_measured, write_measured

TOLERANCE = 1e-4
ACCURACY_LOSS = 0.005
# Two batches are computed before a measurement of them would end.
_FEWEST_EXAMPLES = 65
_MEASURE_SECONDS = 0.2
# What to hope of an engine before it is measured: its time in units of Keras's, and the seconds
# to make it in units of those of tracing. From MobileNetV2 and ResNet50 on two cores.
_HOPES = {
    "openvino_bfloat16": (0.3, 1.0),
    "litert": (0.5, 1.5),
    "openvino": (0.6, 1.0),
    "folded": (0.8, 0.8),
}
_NOT_INSTALLED = "not installed"


@dataclass(frozen=True)
class Judge:
    """Says what less exact numbers cost.

    Attributes:
        inputs: Gives some hundred real inputs of all classes (examples, …).
        accuracy: Their activations, float32 (examples, …) -> the cross-validated accuracy of
            a probe on them, in [0, 1].
    """

    inputs: Callable[[], np.ndarray]
    accuracy: Callable[[np.ndarray], float]


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

    `auto` weighs for each engine the seconds to make it against those that it saves; one that is
    not expected to pay is neither made nor measured, so that Keras computes little data at once.
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
        ConfigError: The engine asked for by name is not installed, cannot take the model, or
            gives other numbers.
    """
    remembered = read_measured(digest) if digest and config.engine != "keras" else {}
    bench = _Bench(forward, sample, tolerance, remembered, num_examples)
    if config.engine == "keras":
        return bench.choose("keras")
    if config.engine == "auto":
        chosen = _choose_fastest(bench, judge)
    else:
        chosen = _choose_by_name(bench, config.engine, judge)
    if digest and bench.measured != remembered:
        write_measured(digest, bench.measured)
    return chosen


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

    def engine(self, name: str) -> Engine:
        if name not in self._engines:
            self._engines[name] = make_engine(name, self._forward)
        return self._engines[name]

    def choose(self, name: str, accuracy_loss: float | None = None) -> Chosen:
        outputs, engine = self._outputs.get(name), self._engines.get(name)
        return Chosen(name, self._forward, self.measured, accuracy_loss, outputs, engine)

    def seconds(self, name: str) -> float:
        """To compute all examples from now on; infinite where the engine may not be used."""
        found = self.measured[name]
        if found.reason is not None or found.milliseconds is None:
            return float("inf")
        setup_seconds = 0.0 if name in self._engines else found.setup_seconds
        return setup_seconds + self.num_examples * found.milliseconds / 1e3

    def hoped_seconds(self, name: str) -> float:
        """As `seconds`, guessed from Keras where the engine was not measured."""
        if name in self.measured:
            return self.seconds(name)
        keras, (share, setups) = self.measured["keras"], _HOPES[name]
        assert keras.milliseconds is not None
        # To measure one is to compare it with Keras, which may have to be made for that.
        setups += 0 if "keras" in self._engines else 1
        each = share * keras.milliseconds / 1e3
        return setups * keras.setup_seconds + self.num_examples * each

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
            return Measured(reason=f"{type(error).__name__}: {first_line(error)[:-1]}")
        setup_seconds = time.perf_counter() - begun
        if expected is None:
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
        inputs = judge.inputs()
        exact, rounded = (
            judge.accuracy(self.engine(name)(inputs)) for name in ("keras", "openvino_bfloat16")
        )
        return exact - rounded


def _choose_by_name(bench: _Bench, name: str, judge: Judge | None) -> Chosen:
    if not is_available(name):
        bench.engine(name)  # says what to install
    found = bench.measure(name)
    if found.reason is not None:
        raise ConfigError(
            f"features.engine: {name!r} cannot compute this model: {found.reason}. "
            "Choose `auto` or `keras`."
        )
    if number_class(name) == "float32" or judge is None:
        return bench.choose(name)
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
    best, best_loss = "keras", None
    for name in _HOPES:
        loss = None
        if number_class(name) != "float32" and (judge is None or not is_available(name)):
            continue
        if bench.hoped_seconds(name) >= bench.seconds(best):
            continue
        bench.measure(name)
        if bench.seconds(name) >= bench.seconds(best):
            continue
        if number_class(name) != "float32":
            assert judge is not None
            loss = bench.judge(judge)
            if loss > ACCURACY_LOSS:
                continue
        best, best_loss = name, loss
    return bench.choose(best, best_loss)


def relative_difference(values: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, relative to the largest expected number; infinite where not finite."""
    if values.shape != expected.shape or not np.isfinite(values).all():
        return float("inf")
    largest = float(np.abs(expected).max(initial=0.0))
    difference = float(np.abs(values - expected).max(initial=0.0))
    return difference / largest if largest > 0 else difference
