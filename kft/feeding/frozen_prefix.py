"""Where a phase's frozen part ends and is stored: one rule, for the plan and for the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from kft.config import FeaturesConfig
from kft.display import Display
from kft.errors import ConfigError
from kft.features import Cut, check_store, find_cut, fits_store
from kft.feeding.source import Source
from kft.model import Assembled
from kft.strategies import Phase
from kft.workers import Workers


def find_stored_cut(
    assembled: Assembled,
    phase: Phase,
    features: FeaturesConfig,
    *,
    num_train: int,
    num_validation: int,
    in_parts: bool = False,
    say: Callable[[str], None] | None = None,
) -> Cut | None:
    """The cut whose activations a phase is fitted on, or None where it starts from pixels.

    A phase no longer than its views would store each activation for one use; and there may be
    no room.

    Args:
        assembled: The whole model.
        phase: As planned.
        features: The pipeline's `features` section.
        num_train: Training examples.
        num_validation: Validation examples: a fitted phase has them stored to be judged on, or
            learns from them.
        in_parts: Several workers compute the activations.
        say: Told where there is no room.
    """
    if not features.enabled or not phase.repeats_inputs(features):
        return None
    cut, num_views = find_cut(assembled, phase.scope.trainable), phase.count_views(features)
    if cut is None:
        return None
    num_learnt, num_judged = num_train, num_validation
    if "validation" in phase.learns_from:
        num_learnt, num_judged = num_train + num_validation, 0
    elif phase.method == "solve":
        num_judged = 0
    if fits_store(
        cut,
        num_examples=num_learnt,
        num_views=num_views,
        num_beside=num_judged,
        config=features,
        in_parts=in_parts,
    ):
        return cut
    if say is not None:
        say(
            f"  Activations at {cut.name} ({num_learnt} examples, {num_views} views, and "
            f"{num_judged} to judge) would take more than features.limit_gigabytes "
            f"({features.limit_gigabytes:g}), or than the disk has room for: phase {phase.name} "
            "computes its frozen part in every step."
        )
    return None


def check_vectors(
    assembled: Assembled,
    phases: Sequence[Phase],
    features: FeaturesConfig,
    *,
    num_examples: int,
    in_parts: bool = False,
) -> None:
    """That the feature vectors which a phase is solved on can be stored.

    Args:
        assembled: The whole model.
        phases: As planned.
        features: The pipeline's `features` section.
        num_examples: Of the training split.
        in_parts: Several workers compute them.

    Raises:
        ConfigError: There is no room for them.
    """
    for phase in phases:
        if phase.method != "solve":
            continue
        cut = find_cut(assembled, phase.scope.trainable)
        assert cut is not None
        try:
            check_store(cut, num_examples=num_examples, config=features, in_parts=in_parts)
        except ConfigError as error:
            raise ConfigError(
                f"{error} Or train the head by steps: `strategy.probe=trained`, or `method: fit` "
                "of the phase."
            ) from None


class PrefixCuts:
    """The cut of each phase, agreed by all workers.

    Args:
        assembled: The model whose phases are fitted.
        source: The examples.
        features: The pipeline's `features` section.
        display: Told where there is no room for the activations of a phase.
        workers: All processes that fit them.
    """

    def __init__(
        self,
        assembled: Assembled,
        source: Source,
        features: FeaturesConfig,
        *,
        display: Display,
        workers: Workers,
    ) -> None:
        self._assembled = assembled
        self._splits = source.splits
        self._features = features
        self._display = display
        self._workers = workers
        self._last: Cut | None = None

    def find(self, phase: Phase) -> Cut | None:
        """The cut whose activations a phase is fitted on; None where it starts from pixels."""
        cut = self._find(phase, is_told=True)
        self._last = None if cut is None else self._reuse(cut)
        return self._last

    def find_of_solution(self, phase: Phase) -> Cut:
        """The cut of a phase that trains a head alone; there is room, see `check_vectors`."""
        cut = find_cut(self._assembled, phase.scope.trainable)
        assert cut is not None
        self._last = self._reuse(cut)
        return self._last

    def read_once(self, phases: Iterable[Phase]) -> bool:
        """Whether all phases have the same activations stored, of pictures as they are.

        Each picture then goes from its file through the prefix, and is not needed again.
        """
        variants = [variant for phase in phases for variant in phase.choice.candidates or (phase,)]
        names = set()
        for variant in variants:
            is_plain = variant.recipe.augmentation == "none"
            cut = self._find(variant) if is_plain else None
            names.add(None if cut is None else cut.name)
        return len(names) <= 1 and None not in names

    def _find(self, phase: Phase, *, is_told: bool = False) -> Cut | None:
        cut = find_stored_cut(
            self._assembled,
            phase,
            self._features,
            num_train=len(self._splits.train),
            num_validation=len(self._splits.validation),
            in_parts=self._workers.count > 1,
            say=self._display.stage if is_told else None,
        )
        # Whether there is room, the disks of several workers may say differently.
        if not self._workers.broadcast_from_chief(lambda: cut is not None):
            return None
        return cut or find_cut(self._assembled, phase.scope.trainable)

    def _reuse(self, cut: Cut) -> Cut:
        """The previous cut with its traced graph, where it is the same."""
        return self._last if self._last is not None and self._last.name == cut.name else cut
