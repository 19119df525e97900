"""What is tried, in order of promise and within a budget, and what is chosen from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from kft.measuring.bench import Deadline, Order, OutOfTimeError, Timing, Variant, WorkError
from kft.measuring.record import DEFAULT_BATCH_SIZE, Trial

# Below this gain a default stays: timings of half a second differ by some percent.
LEAST_GAIN = 1.10
# A candidate this much slower in the first round is not asked again.
HOPELESS = 0.6
# The smallest batch within this share of the fastest is taken.
AS_FAST = 0.95
# Of the memory that is available: data, evaluation and the system want theirs.
MEMORY_SHARE = 0.6
FIRST_BATCH_SIZE = 4
LARGEST_BATCH_SIZE = 256
# Variants are compared at a batch whose step takes no longer than about this.
COMPARED_STEP_SECONDS = 0.5
ROUNDS = 2
# The first call at a size takes about two steps; two that count follow.
STEPS_OF_A_TRIAL = 4
# Of the budget, when those must be ready that prepare beside the default, and those that had
# to wait for a core: the former are the more promising.
FIRST_READY_SHARE = 0.7
LATER_READY_SHARE = 0.5
# Of what is left, that larger batches may take; XLA, which compiles long, gets the rest.
BATCHES_SHARE = 0.5
OUT_OF_TIME = "not measured: out of time"
GIGABYTE = 1e9


class RunsSteps(Protocol):
    """What is asked of a `Bench` here."""

    def start(self, variants: Iterable[Variant]) -> None:
        """Start processes."""

    def await_ready(self, variant: Variant, limit_seconds: float) -> int | None:
        """Wait until a process can take orders; gives its peak memory at one example."""

    def run(self, variant: Variant, order: Order, limit_seconds: float) -> Timing:
        """Time what is ordered."""

    def end(self, variants: Iterable[Variant]) -> None:
        """End processes."""


@dataclass(frozen=True)
class Chosen:
    """The settings, and the trials that led to them."""

    variant: Variant
    jit_compile: bool
    batch_size: int
    trials: tuple[Trial, ...]


class Chooser:
    """Tries candidates on a bench; one use.

    Args:
        bench: Runs the steps, in a process for each variant.
        default: The variant that stays unless another one is clearly faster.
        deadline: When to stop.
        cores: So many processes prepare at a time.
        memory_bytes: Available; 0 where unknown.
        jit_compile: Whether XLA compiles all steps; None to find out.
    """

    def __init__(
        self,
        bench: RunsSteps,
        default: Variant,
        deadline: Deadline,
        *,
        cores: int,
        memory_bytes: int,
        jit_compile: bool | None = None,
    ) -> None:
        self._bench = bench
        self._default = default
        self._deadline = deadline
        self._cores = cores
        self._memory = memory_bytes * MEMORY_SHARE
        self._base_bytes: dict[Variant, int | None] = {}
        self._pinned_jit = jit_compile

    def choose(self, others: Sequence[Variant]) -> Chosen:
        """Compare the variants, then batch sizes of the fastest, then XLA.

        Raises:
            BackboneError: The backbone cannot be built.
        """
        late = self._prepare(others)
        batches, failure = self._ramp_up()
        if not batches:
            reasons = {self._default: failure} | dict.fromkeys(others, OUT_OF_TIME)
            return self._give_up(reasons | late)
        size = max(batches)
        compared = self._compare([other for other in others if other not in late], size)
        variant = fastest(compared, self._default)
        self._bench.end(other for other in compared if other != variant)
        # Of the default's batches nothing follows for another variant's.
        kept = batches if variant == self._default else {}
        batches = kept | {size: _faster(kept.get(size), compared[variant])}
        unmeasured = self._enlarge(variant, batches)
        batch_size = self._choose_batch_size(variant, batches)
        rows = [
            *compared.values(),
            *(self._name_row(other, size, note) for other, note in late.items()),
            *_batch_rows(batches),
            *unmeasured,
        ]
        uses_xla = bool(self._pinned_jit)
        if self._pinned_jit is None:
            rows.append(self._try_xla(variant, batches[size]))
            uses_xla = (rows[-1].ratio or 0.0) >= LEAST_GAIN
        return Chosen(variant, uses_xla, batch_size, tuple(rows))

    def _prepare(self, others: Sequence[Variant]) -> dict[Variant, str]:
        """Start all and wait until they are ready, for one that prepares disturbs the others.

        Those that are not in time are ended, or not begun; why, is given for each.
        """
        late: dict[Variant, str] = {}
        first = (self._default, *others)[: self._cores]
        self._bench.start(first)
        self._await(self._default, self._deadline.left, late)
        took = self._deadline.spent
        for other in others:
            share = FIRST_READY_SHARE if other in first else LATER_READY_SHARE
            latest = share * self._deadline.budget
            if other not in first:
                if self._deadline.spent + took > latest:
                    late[other] = OUT_OF_TIME
                    continue
                self._bench.start([other])
            self._await(other, latest - self._deadline.spent, late)
        return late

    def _await(self, variant: Variant, limit_seconds: float, late: dict[Variant, str]) -> None:
        try:
            self._base_bytes[variant] = self._bench.await_ready(variant, limit_seconds)
        except OutOfTimeError:
            late[variant] = OUT_OF_TIME
        except WorkError as error:
            late[variant] = str(error)

    def _ramp_up(self) -> tuple[dict[int, Trial], str]:
        """The default at growing batches, until a step is long enough to compare others by.

        With them, why there are none, if so.
        """
        batches: dict[int, Trial] = {}
        size = FIRST_BATCH_SIZE
        while size <= DEFAULT_BATCH_SIZE:
            trial = self._time(self._default, size)
            if trial.examples_per_second is None:
                return batches, trial.note
            batches[size] = trial
            if 2 * size / trial.examples_per_second > COMPARED_STEP_SECONDS:
                break
            size *= 2
        return batches, ""

    def _compare(self, others: Sequence[Variant], size: int) -> dict[Variant, Trial]:
        """A row for each variant, with the fastest of its rounds."""
        rows: dict[Variant, Trial] = {}
        left = list(others)
        # In turn: the clock of a machine, and what else runs on it, change within seconds.
        for _ in range(ROUNDS):
            for variant in (self._default, *left):
                rows[variant] = _faster(rows.get(variant), self._time(variant, size))
            left = [o for o in left if _speed(rows[o]) > HOPELESS * _speed(rows[self._default])]
        base = rows[self._default].examples_per_second
        return {
            variant: replace(row, candidate=self._name(variant), ratio=_ratio(row, base))
            for variant, row in rows.items()
        }

    def _give_up(self, reasons: Mapping[Variant, str]) -> Chosen:
        """The defaults, where not even they could be measured."""
        rows = tuple(
            self._name_row(variant, FIRST_BATCH_SIZE, note) for variant, note in reasons.items()
        )
        return Chosen(self._default, bool(self._pinned_jit), DEFAULT_BATCH_SIZE, rows)

    def _name_row(self, variant: Variant, size: int, note: str) -> Trial:
        return replace(_trial(variant, size, note), candidate=self._name(variant))

    def _enlarge(self, variant: Variant, batches: dict[int, Trial]) -> list[Trial]:
        """Add larger batches, while time and memory allow; gives a row for the one that is not."""
        end = self._deadline.left * (1.0 - BATCHES_SHARE)
        size = max(batches) * 2
        while size <= LARGEST_BATCH_SIZE:
            memory = predict_memory(batches, size, self._base_bytes[variant])
            if memory > self._memory > 0:
                share = f"{memory / GIGABYTE:.1f} GB, more than {MEMORY_SHARE:.0%} of what is free"
                return [_trial(variant, size, f"not tried: takes about {share}")]
            expected = STEPS_OF_A_TRIAL * size / _speed(batches[max(batches)])
            if expected > self._deadline.left - end:
                return [_trial(variant, size, OUT_OF_TIME)]
            trial = self._time(variant, size)
            if trial.examples_per_second is None:
                return [trial]
            batches[size] = trial
            size *= 2
        return []

    def _choose_batch_size(self, variant: Variant, batches: dict[int, Trial]) -> int:
        """As `choose_batch_size`; what would replace a measured default is timed once more."""
        base_bytes = self._base_bytes[variant]
        size = choose_batch_size(batches, self._memory, base_bytes)
        if size == DEFAULT_BATCH_SIZE or DEFAULT_BATCH_SIZE not in batches:
            return size
        for again in (DEFAULT_BATCH_SIZE, size):
            batches[again] = _faster(batches[again], self._time(variant, again))
        return choose_batch_size(batches, self._memory, base_bytes)

    def _try_xla(self, variant: Variant, plain: Trial) -> Trial:
        """The row of XLA, at the batch of a step without it.

        Its forward pass comes first: it compiles in a third of the time, and where that is
        slower by itself the step need not be compiled.
        """
        size = plain.batch_size
        trial = replace(_trial(variant, size, OUT_OF_TIME), candidate="XLA", jit_compile=True)
        begun = self._deadline.spent

        def told(note: str) -> Trial:
            return replace(trial, seconds=self._deadline.spent - begun, note=note)

        try:
            forward = self._run(variant, Order(size, "forward"))
            compiled = self._run(variant, Order(size, "forward", jit_compile=True))
            speed = forward.seconds / compiled.seconds
            if speed < 1.0:
                return told(f"forward pass at {speed:.2f} of the speed; not tried further")
            step = self._run(variant, Order(size, jit_compile=True))
        except OutOfTimeError:
            return told(f"still compiling after {self._deadline.spent - begun:.0f} s; ended")
        except WorkError as error:
            return told(str(error))
        rate = size / step.seconds
        return replace(
            told(""),
            examples_per_second=rate,
            ratio=_ratio(replace(trial, examples_per_second=rate), plain.examples_per_second),
            peak_bytes=step.peak_bytes,
        )

    def _time(self, variant: Variant, size: int) -> Trial:
        """A row named by its batch; without a rate where it could not be measured."""
        begun = self._deadline.spent
        trial = replace(_trial(variant, size, OUT_OF_TIME), jit_compile=bool(self._pinned_jit))
        try:
            timing = self._run(variant, Order(size, jit_compile=bool(self._pinned_jit)))
        except OutOfTimeError:
            return replace(trial, seconds=self._deadline.spent - begun)
        except WorkError as error:
            return replace(trial, seconds=self._deadline.spent - begun, note=str(error))
        return replace(
            trial,
            examples_per_second=size / timing.seconds,
            peak_bytes=timing.peak_bytes,
            seconds=self._deadline.spent - begun,
            note="",
        )

    def _run(self, variant: Variant, order: Order) -> Timing:
        return self._bench.run(variant, order, self._deadline.left)

    def _name(self, variant: Variant) -> str:
        """What tells a variant from the default."""
        precision = variant.precision.removeprefix("mixed_")
        threads = f"{variant.threads} thread{'s' if variant.threads > 1 else ''}"
        if variant == self._default:
            return f"{precision}, {threads}"
        return threads if variant.precision == self._default.precision else precision


def fastest(rows: Mapping[Variant, Trial], default: Variant) -> Variant:
    """The variant of the highest rate, if it gains `LEAST_GAIN` on the default."""
    best = max(rows, key=lambda variant: rows[variant].ratio or 0.0)
    return best if (rows[best].ratio or 0.0) >= LEAST_GAIN else default


def choose_batch_size(
    batches: Mapping[int, Trial], memory_bytes: float, base_bytes: int | None
) -> int:
    """The default, unless it takes too much memory or another size is clearly faster.

    Else it is the smallest size within 5 % of the highest rate. A default that was not
    measured, since its steps take long, counts as fast as the largest that was.

    Args:
        batches: Measured batches, by size.
        memory_bytes: May be taken; 0 where unknown.
        base_bytes: Taken by one example; None where unknown.
    """
    fitting = {
        size: _speed(trial)
        for size, trial in batches.items()
        if not memory_bytes or (trial.peak_bytes or 0) <= memory_bytes
    }
    if not fitting:
        return min(batches)
    best = max(fitting.values())
    default_rate = fitting.get(DEFAULT_BATCH_SIZE)
    if default_rate is None and max(batches) < DEFAULT_BATCH_SIZE:
        predicted = predict_memory(batches, DEFAULT_BATCH_SIZE, base_bytes)
        if not memory_bytes or predicted <= memory_bytes:
            default_rate = fitting[max(fitting)]
    if default_rate is not None and best < LEAST_GAIN * default_rate:
        return DEFAULT_BATCH_SIZE
    return min(size for size, rate in fitting.items() if rate >= AS_FAST * best)


def predict_memory(batches: Mapping[int, Trial], size: int, base_bytes: int | None) -> float:
    """Bytes that a larger batch will take: a line through one example and the largest measured.

    0 where memory is unknown.
    """
    largest = max(batches)
    measured = batches[largest].peak_bytes
    if base_bytes is None or measured is None:
        return 0.0
    return measured + (measured - base_bytes) / (largest - 1) * (size - largest)


def _batch_rows(batches: Mapping[int, Trial]) -> list[Trial]:
    """With their speed in units of that of the default size, or of the nearest one measured."""
    base = batches[min(batches, key=lambda size: abs(size - DEFAULT_BATCH_SIZE))]
    return [
        replace(trial, candidate=f"batch {size}", ratio=_ratio(trial, base.examples_per_second))
        for size, trial in sorted(batches.items())
    ]


def _trial(variant: Variant, size: int, note: str) -> Trial:
    return Trial(f"batch {size}", variant.precision, variant.threads, False, size, note=note)


def _faster(known: Trial | None, new: Trial) -> Trial:
    """The faster of two rounds, which took the time of both.

    Its memory is that of the first: at the second, larger batches may have come between.
    """
    if known is None:
        return new
    best = max(known, new, key=_speed)
    peak_bytes = known.peak_bytes or new.peak_bytes
    return replace(best, peak_bytes=peak_bytes, seconds=known.seconds + new.seconds)


def _speed(trial: Trial) -> float:
    return trial.examples_per_second or 0.0


def _ratio(trial: Trial, base: float | None) -> float | None:
    return trial.examples_per_second / base if trial.examples_per_second and base else None
