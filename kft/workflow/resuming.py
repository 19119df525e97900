"""What an interrupted run has done, and whether all that it depends on is as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kft.errors import ChangedRunError, RunError
from kft.provenance import compare, describe_changes, find_data_changes, find_setting_changes
from kft.runs import RunDirectory
from kft.runs.checkpoints import Checkpoint, Checkpoints
from kft.runs.layout import read_json
from kft.strategies import Phase
from kft.workflow.plan import Plan


@dataclass(frozen=True)
class Resumption:
    """Where a run goes on.

    Attributes:
        between: What its last finished phase left; None where it has finished none.
        within: A place within the next phase; None to begin that.
    """

    between: Checkpoint | None
    within: Checkpoint | None

    @property
    def phases_done(self) -> int:
        """Phases that need not be done again."""
        return 0 if self.between is None else int(self.between.state["phases_done"])

    @classmethod
    def of(cls, checkpoints: Iterable[Checkpoint]) -> Resumption:
        """That of the checkpoints whose numbers are its."""
        by_kind = {found.is_between_phases: found for found in checkpoints}
        return cls(by_kind.get(True), by_kind.get(False))

    @property
    def numbers(self) -> list[int]:
        """Of the checkpoints that are used."""
        return [found.number for found in (self.between, self.within) if found is not None]

    @property
    def number(self) -> int:
        """Of the newest checkpoint that is used."""
        return max(self.numbers, default=0)

    def describe(self, phases: Sequence[Phase]) -> str:
        """As 'phase 2 of 2, epoch 3, step 41 of 120'."""
        if self.phases_done == len(phases):
            return f"after phase {len(phases)} of {len(phases)}"
        phase = phases[self.phases_done]
        where = f"at phase {self.phases_done + 1} of {len(phases)}"
        if self.within is None:
            return f"{where}, at its beginning"
        # Steps of a trial that the phase goes on from are its first.
        done = self.within.state["steps"]
        steps = phase.fit.steps - self.within.state["parts"]["choice"]["first_step"]
        return f"{where}, epoch {done // phase.fit.steps_per_epoch + 1}, step {done + 1} of {steps}"


def find_resumption(checkpoints: Checkpoints, on_damage: Callable[[Path, str], None]) -> Resumption:
    """The newest place that all checkpoints for it are whole of.

    A checkpoint within a phase needs that of the phase before.

    Args:
        checkpoints: Of the run.
        on_damage: As of `Checkpoints.read`.
    """
    within: Checkpoint | None = None
    for found in checkpoints.read(on_damage):
        if not found.is_between_phases:
            within = within or found
            continue
        is_its_own = within is not None and within.state["phase"] == found.state["phases_done"]
        return Resumption(found, within if is_its_own else None)
    if within is not None and within.state["phase"] > 0:
        within = None
    return Resumption(None, within)


def check_unchanged(
    run: RunDirectory,
    plan: Plan,
    manifest: Mapping[str, Any],
    *,
    accept: bool,
    data: str | None = None,
) -> list[str]:
    """What differs from when the run began.

    Args:
        run: The interrupted one.
        plan: Of its pipeline, made now.
        manifest: Of this plan.
        accept: Go on with what differs.
        data: Where the run's data are now, if they have moved.

    Raises:
        ChangedRunError: Something differs, and is not accepted.
        RunError: The run stopped before it was recorded what it depends on.
    """
    changes = list(_find_changes(run, plan, manifest, data))
    if changes and not accept:
        raise ChangedRunError(
            f"{run.path}: not all is as it was when this run began, so it would not end as it "
            f"would have.\n{describe_changes(changes)}\nPut it back as it was, or go on all the "
            "same with --accept-changes, which is recorded in the run."
        )
    return changes


def _find_changes(
    run: RunDirectory, plan: Plan, manifest: Mapping[str, Any], data: str | None
) -> Iterator[str]:
    if not run.manifest.is_file():
        raise RunError(
            f"{run.path}: this run stopped before it had recorded what it depends on, and "
            "before any work. Begin a new one."
        )
    before = read_json(run.manifest)
    yield from find_setting_changes(run, plan.pipeline, data=data)
    yield from compare("version of ", before["versions"], manifest["versions"])
    yield from compare("backbone ", *map(_identify, (before["backbone"], manifest["backbone"])))
    yield from find_data_changes(run, plan.splits)


def _identify(backbone: Mapping[str, Any]) -> Mapping[str, Any]:
    """What tells one backbone from another.

    Where its weights have a digest, the source is but the path that they came by.
    """
    return {key: backbone[key] for key in backbone if key != "source" or not backbone["sha256"]}
