"""Where a phase's frozen part ends and is stored: one rule, for the plan and for the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kft.config import FeaturesConfig
from kft.errors import ConfigError
from kft.features import Cut, check_store, find_cut, fits_store
from kft.model import Assembled
from kft.strategies import Phase


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
