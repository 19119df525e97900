"""Check of the variables that a phase changed, by digests before and after it."""

from __future__ import annotations

from kft.errors import TrainingError
from kft.model import BlockTable
from kft.strategies import Phase

# With a smaller training loss, updates may be too small for float32 to add to the weights, most of
# all through low-rank factors.
_LEAST_LOSS = 1e-4


def check_movement(
    phase: Phase,
    before: dict[str, dict[str, bytes]],
    blocks: BlockTable,
    *,
    loss: float | None = None,
) -> tuple[str, ...]:
    """Check that the phase changed its trainable blocks and nothing else.

    Args:
        phase: The phase.
        before: Digests of all variables before the phase.
        blocks: Blocks of the model.
        loss: Training loss at the end of the phase; None if it took no step.

    Returns:
        Trainable variables that did not change, due to a gradient of zero.

    Raises:
        TrainingError: A frozen variable changed, or no variable of a trainable
            block did although there was a loss to reduce.
    """
    has_gradient = phase.method == "fit" and (loss is None or loss >= _LEAST_LOSS)
    after = blocks.digests()
    unmoved: list[str] = []
    for block in blocks.blocks:
        moved = {p for p, digest in after[block.name].items() if before[block.name][p] != digest}
        may_move = set()
        if block.name in phase.scope.trainable:
            may_move = blocks.movable(block.name, batch_norm=phase.scope.batch_norm)
        if moved - may_move:
            raise TrainingError(_describe_moved(phase, block.name, sorted(moved - may_move)))
        # The optimum of a solved head may equal its start.
        if may_move and not moved and has_gradient:
            raise TrainingError(
                f"phase {phase.name!r}: block {block.name!r} is trainable but none of its "
                f"{len(may_move)} variables moved in {phase.fit.steps} steps. Is its learning rate "
                "too small, or is it cut off from the loss?"
            )
        unmoved.extend(sorted(may_move - moved))
    return tuple(unmoved)


def _describe_moved(phase: Phase, block: str, moved: list[str]) -> str:
    found = f"variable {moved[0]!r}"
    if len(moved) > 1:
        found = f"{len(moved)} variables, among them {moved[0]!r},"
    return (
        f"phase {phase.name!r}: {found} of block {block!r} moved, although the phase keeps them "
        "frozen. A layer writes to them whenever it is called, as random layers write their seed "
        "state. Save the backbone without that layer."
    )
