"""Best epochs of a phase on validation: early stopping, kept weights and their restoration."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kft.config import TrainingConfig
from kft.errors import TrainingError
from kft.runs.atomic import atomic_file
from kft.selection.snapshots import Snapshot, Weights, part_of

# Limit for the snapshots of all kept epochs together. Larger ones go to the run's folder.
MAX_MEMORY_BYTES = 256 * 2**20


@dataclass(frozen=True)
class KeptEpoch:
    """Epoch whose weights are kept.

    Attributes:
        epoch: Number of the epoch, from 1.
        loss: Validation loss.
        stored: Weights, or the npz file that holds them.
    """

    epoch: int
    loss: float
    stored: Snapshot | Path

    def load(self) -> Snapshot:
        """Load the weights after this epoch."""
        if not isinstance(self.stored, Path):
            return self.stored
        with np.load(self.stored, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}

    def discard(self) -> None:
        """Delete the file of the weights, if there is one."""
        if isinstance(self.stored, Path):
            self.stored.unlink(missing_ok=True)


class KeepBest(keras.callbacks.Callback):
    """Callback that keeps the weights of the best epochs by validation loss, and stops early.

    Of two epochs with equal loss, the earlier is better. An epoch without a
    finite validation loss is not kept and counts as one without improvement.

    Args:
        weights: Weights that the phase changes.
        patience_epochs: Number of epochs without improvement after which the
            phase ends; None to never end it early.
        num_kept: Number of epochs to keep, at least 1.
        folder: Folder for weights too large for memory; None keeps all in
            memory.
        take: Function that returns the weights that validation used, if these
            are moving averages; by default the current weights.

    Attributes:
        kept: Kept epochs, best first.
        wait_epochs: Number of epochs since the best one.
    """

    def __init__(
        self,
        weights: Weights,
        *,
        patience_epochs: int | None,
        num_kept: int = 1,
        folder: Path | None = None,
        take: Callable[[], Snapshot] | None = None,
    ) -> None:
        super().__init__()
        assert num_kept >= 1
        self._weights = weights
        self._patience_epochs = patience_epochs
        self._num_kept = num_kept
        is_large = num_kept * weights.num_bytes > MAX_MEMORY_BYTES
        self._folder = folder if is_large else None
        self._take = take or weights.take
        self.kept: list[KeptEpoch] = []
        self.wait_epochs = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keep the epoch if it is among the best; end the phase if patience has run out."""
        loss = float((logs or {}).get("val_loss", math.nan))
        is_better = math.isfinite(loss) and (not self.kept or loss < self.kept[0].loss)
        self.wait_epochs = 0 if is_better else self.wait_epochs + 1
        if math.isfinite(loss) and self._is_among_best(loss):
            self._keep(epoch + 1, loss)
        if self._patience_epochs is not None and self.wait_epochs >= self._patience_epochs:
            self.model.stop_training = True

    def restore(self) -> KeptEpoch:
        """Restore the weights of the best epoch and return it.

        Raises:
            TrainingError: No epoch had a finite validation loss.
        """
        if not self.kept:
            raise TrainingError(
                "no epoch of this phase had a finite validation loss, so there are no best weights "
                "to restore. Lower its learning rate, or set training.clip_norm."
            )
        self._weights.put(self.kept[0].load())
        return self.kept[0]

    def snapshots(self) -> Iterator[tuple[str, Snapshot]]:
        """Iterate over name and weights of each kept epoch, best first, one in memory at a time."""
        for kept in self.kept:
            yield f"epoch {kept.epoch}", kept.load()

    def discard(self) -> None:
        """Discard all kept weights and delete their files."""
        for kept in self.kept:
            kept.discard()
        self.kept = []

    def describe(self) -> dict[str, Any]:
        """Return JSON values: the kept epochs and the number of epochs without improvement."""
        return {
            "kept": [{"epoch": kept.epoch, "validation_loss": kept.loss} for kept in self.kept],
            "wait_epochs": self.wait_epochs,
            "patience_epochs": self._patience_epochs,
        }

    def pack(self) -> tuple[dict[str, Any], Snapshot]:
        """Pack the kept epochs and the number of epochs without improvement."""
        described = [{"epoch": kept.epoch, "loss": kept.loss} for kept in self.kept]
        arrays = {
            f"{kept.epoch}/{name}": values
            for kept in self.kept
            for name, values in kept.load().items()
        }
        return {"kept": described, "wait_epochs": self.wait_epochs}, arrays

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Restore the kept epochs."""
        self.wait_epochs = state["wait_epochs"]
        self.kept = []
        for kept in state["kept"]:
            stored = self._store(kept["epoch"], part_of(arrays, str(kept["epoch"])))
            self.kept.append(KeptEpoch(kept["epoch"], kept["loss"], stored))

    def _is_among_best(self, loss: float) -> bool:
        return len(self.kept) < self._num_kept or loss < self.kept[-1].loss

    def _keep(self, epoch: int, loss: float) -> None:
        stored = self._store(epoch, self._take())
        # The sort is stable, so of equal losses the earlier stays first.
        self.kept = sorted([*self.kept, KeptEpoch(epoch, loss, stored)], key=lambda k: k.loss)
        for superseded in self.kept[self._num_kept :]:
            superseded.discard()
        del self.kept[self._num_kept :]

    def _store(self, epoch: int, snapshot: Snapshot) -> Snapshot | Path:
        """Store a snapshot in memory or, if it is large, in a file."""
        if self._folder is None:
            return snapshot
        path = self._folder / f"epoch-{epoch:04d}.npz"
        with atomic_file(path) as temporary:
            np.savez(temporary, **snapshot)  # type: ignore[arg-type]
        return path


def make_keep_best(
    weights: Weights,
    training: TrainingConfig,
    *,
    folder: Path | None = None,
    take: Callable[[], Snapshot] | None = None,
) -> KeepBest | None:
    """Make the callback of a phase; None if neither early stopping nor a soup is configured.

    Both choose on validation, which `check_targets` has ensured to exist.

    Args:
        weights: Weights that the phase changes.
        training: The pipeline's `training` section.
        folder: Folder for weights too large for memory.
        take: See `KeepBest`.
    """
    if training.early_stopping is None and not training.soup:
        return None
    return KeepBest(
        weights,
        patience_epochs=training.early_stopping,
        num_kept=max(1, training.soup),
        folder=folder,
        take=take,
    )
