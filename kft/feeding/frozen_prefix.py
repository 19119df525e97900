"""Cut after a phase's frozen prefix, by the same rule for planning and training."""

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
    """Find the cut whose activations a phase is fitted on; None if it starts from the examples.

    Activations are not stored if each would be used only once, because the phase has no more
    epochs than views, or if there is no room.

    Args:
        assembled: The whole model.
        phase: The planned phase.
        features: The pipeline's `features` section.
        num_train: Number of training examples.
        num_validation: Number of validation examples; a fitted phase stores them for evaluation,
            or trains on them. A phase with folds also stores its examples without augmentation.
        in_parts: Whether several workers compute the activations.
        say: Called with a message if there is no room.
    """
    if not features.enabled or not phase.repeats_inputs(features):
        return None
    cut, num_views = find_cut(assembled, phase.scope.trainable), phase.count_views(features)
    if cut is None:
        return None
    num_learned, num_judged = num_train, num_validation
    if "validation" in phase.learns_from:
        num_learned, num_judged = num_train + num_validation, 0
    elif phase.method == "solve":
        num_judged = 0
    if phase.folds is not None:
        num_judged += num_learned
    if fits_store(
        cut,
        num_examples=num_learned,
        num_views=num_views,
        num_beside=num_judged,
        config=features,
        in_parts=in_parts,
    ):
        return cut
    if say is not None:
        say(
            f"  Activations at {cut.name} ({num_learned} training examples, {num_views} views, and "
            f"{num_judged} validation examples) would exceed features.limit_gigabytes "
            f"({features.limit_gigabytes:g}) or the free space on disk, so phase {phase.name} "
            "computes its frozen part in every step."
        )
    return None


def check_vectors(
    assembled: Assembled,
    phases: Sequence[Phase],
    features: FeaturesConfig,
    *,
    count: Callable[[Phase], int],
    in_parts: bool = False,
) -> None:
    """Check that the feature vectors of solved phases can be stored.

    Args:
        assembled: The whole model.
        phases: The planned phases.
        features: The pipeline's `features` section.
        count: Function from a phase to the number of examples that it trains on.
        in_parts: Whether several workers compute the vectors.

    Raises:
        ConfigError: There is no room for the vectors.
    """
    for phase in phases:
        if phase.method != "solve":
            continue
        cut = find_cut(assembled, phase.scope.trainable)
        assert cut is not None
        try:
            check_store(cut, num_examples=count(phase), config=features, in_parts=in_parts)
        except ConfigError as error:
            raise ConfigError(
                f"{error} Or train the head by steps, with `strategy.probe=trained`, or with "
                "`method: fit` in the phase."
            ) from None


class PrefixCuts:
    """Finder of each phase's cut, the same on all workers.

    Args:
        assembled: Model whose phases are fitted.
        source: Source of the examples.
        features: The pipeline's `features` section.
        display: Display for messages about activations that do not fit.
        workers: All processes that train together.
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
        """Find the cut whose activations a phase is fitted on; None if there is none."""
        cut = self._find(phase, is_reported=True)
        self._last = None if cut is None else self._reuse(cut)
        return self._last

    def find_of_solution(self, phase: Phase) -> Cut:
        """Find the cut of a phase that trains only the head; `check_vectors` has checked room."""
        cut = find_cut(self._assembled, phase.scope.trainable)
        assert cut is not None
        self._last = self._reuse(cut)
        return self._last

    def read_once(self, phases: Iterable[Phase]) -> bool:
        """Tell whether all phases store the same activations, without augmentation.

        Each example is then read from its file, passed through the prefix, and not needed again.
        """
        variants = [variant for phase in phases for variant in phase.choice.candidates or (phase,)]
        names = set()
        for variant in variants:
            is_plain = variant.recipe.augmentation == "none"
            cut = self._find(variant) if is_plain else None
            names.add(None if cut is None else cut.name)
        return len(names) <= 1 and None not in names

    def _find(self, phase: Phase, *, is_reported: bool = False) -> Cut | None:
        cut = find_stored_cut(
            self._assembled,
            phase,
            self._features,
            num_train=len(self._splits.train),
            num_validation=len(self._splits.validation),
            in_parts=self._workers.count > 1,
            say=self._display.stage if is_reported else None,
        )
        # The disks of several workers may differ in free space, so the chief decides.
        if not self._workers.broadcast_from_chief(lambda: cut is not None):
            return None
        return cut or find_cut(self._assembled, phase.scope.trainable)

    def _reuse(self, cut: Cut) -> Cut:
        """Return the previous cut, with its traced graph, if it is the same."""
        return self._last if self._last is not None and self._last.name == cut.name else cut
