"""Proof of what a phase moved: digests of every variable before and after it."""

from __future__ import annotations

from kft.errors import TrainingError
from kft.model import BlockTable
from kft.strategies import Phase


def check_movement(
    phase: Phase, before: dict[str, dict[str, bytes]], blocks: BlockTable
) -> tuple[str, ...]:
    """Prove that exactly what the phase declared has moved.

    Returns:
        Trainable variables that stayed, which a zero gradient explains.

    Raises:
        TrainingError: A variable moved that should rest, or a trainable
            block did not move at all.
    """
    after = blocks.digests()
    unmoved: list[str] = []
    for block in blocks.blocks:
        moved = {p for p, digest in after[block.name].items() if before[block.name][p] != digest}
        may_move = set()
        if block.name in phase.trainable:
            may_move = blocks.movable(block.name, batch_norm=phase.batch_norm)
        if moved - may_move:
            raise TrainingError(
                f"phase {phase.name!r}: {len(moved - may_move)} variables moved that it keeps "
                f"frozen, among them {sorted(moved - may_move)[0]!r} of block {block.name!r}."
            )
        # An optimum may be where the head began.
        if may_move and not moved and phase.method == "fit":
            raise TrainingError(
                f"phase {phase.name!r}: block {block.name!r} is trainable but none of its "
                f"{len(may_move)} variables moved in {phase.steps} steps. Is its learning rate "
                "too small, or is it cut off from the loss?"
            )
        unmoved.extend(sorted(may_move - moved))
    return tuple(unmoved)
