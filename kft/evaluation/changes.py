"""What fine-tuning did to a backbone: how far each block moved, and what it computes now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kft.runs.atomic import write_json
from kft.runs.layout import read_json

if TYPE_CHECKING:
    from kft.backbones.record import Block
    from kft.strategies import Phase

Weights = Mapping[str, Sequence[np.ndarray]]
"""Copies of the weights of blocks, by the block's name."""


@dataclass(frozen=True)
class BlockChange:
    """Change of one block.

    Attributes:
        block: Name of the block.
        parameters: Number of its parameters.
        relative_change: Norm of the difference of its weights, relative to their norm before.
        alignment: Linear CKA of its output before and after, on training examples; None if it was
            not computed.
    """

    block: str
    parameters: int
    relative_change: float
    alignment: float | None = None


@dataclass(frozen=True)
class Forgetting:
    """What a linear probe on the features finds of a source task, before and after.

    Attributes:
        source: Path of the labelled data.
        examples: Examples that were judged.
        before: Accuracy with the features before fine-tuning.
        after: Accuracy with those after it.
        low: Lower end of the 95 % interval of the difference, after minus before.
        high: Upper end.
    """

    source: str
    examples: int
    before: float
    after: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Sentence that says what the difference means."""
        change = f"{self.before:.3f} before, {self.after:.3f} after"
        if self.high < 0:
            return f"Fine-tuning forgot part of the source task ({change})."
        if self.low > 0:
            return f"Fine-tuning helps on the source task too ({change})."
        return f"Whether it forgot anything of the source task cannot be told ({change})."


@dataclass(frozen=True)
class Changes:
    """Changes of a backbone.

    Attributes:
        blocks: Change of each block, shallow to deep.
        forgetting: What was forgotten of a source task; None if no source data were given.
    """

    blocks: tuple[BlockChange, ...]
    forgetting: Forgetting | None = None


def copy_weights(blocks: Iterable[Block]) -> dict[str, list[np.ndarray]]:
    """Copy the weights of blocks, batch statistics included."""
    return {
        block.name: [np.array(variable.numpy()) for variable in block.variables] for block in blocks
    }


def copy_movable(blocks: Iterable[Block], phases: Iterable[Phase]) -> dict[str, list[np.ndarray]]:
    """Copy the weights of the blocks that some phase may move."""
    moved = {name for phase in phases for name in phase.movable}
    return copy_weights(block for block in blocks if block.name in moved)


def measure_movement(blocks: Iterable[Block], before: Weights) -> tuple[BlockChange, ...]:
    """Measure how far each block has moved.

    Args:
        blocks: Blocks with their present weights.
        before: Earlier weights; a block that is missing has not moved.
    """
    found = []
    for block in blocks:
        earlier = before.get(block.name, ())
        moved = whole = 0.0
        for variable, values in zip(block.variables, earlier, strict=bool(earlier)):
            moved += float(np.sum(np.square(variable.numpy() - values, dtype=np.float64)))
            whole += float(np.sum(np.square(values, dtype=np.float64)))
        change = float(np.sqrt(moved / whole)) if whole else 0.0
        found.append(BlockChange(block.name, block.num_parameters, change))
    return tuple(found)


def write_changes(path: Path, changes: Changes) -> None:
    """Write the changes as JSON."""
    write_json(path, asdict(changes))


def read_changes(path: Path) -> Changes | None:
    """Read what `write_changes` wrote; None if it was not called.

    Raises:
        RunError: The file is damaged.
    """
    if not path.is_file():
        return None
    values = read_json(path)
    forgetting = values["forgetting"]
    return Changes(
        tuple(BlockChange(**each) for each in values["blocks"]),
        forgetting and Forgetting(**forgetting),
    )
