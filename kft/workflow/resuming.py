"""The place where an interrupted run resumes, and changes since the run began."""

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
    """The place where a run resumes.

    Attributes:
        between: Checkpoint of the last finished phase; None if no phase is finished.
        within: Checkpoint within the next phase; None to begin that phase.
    """

    between: Checkpoint | None
    within: Checkpoint | None

    @property
    def phases_done(self) -> int:
        """Number of phases that need not run again."""
        return 0 if self.between is None else int(self.between.state["phases_done"])

    @classmethod
    def of(cls, checkpoints: Iterable[Checkpoint]) -> Resumption:
        """Make a resumption of the checkpoints that it uses, at most one of each kind."""
        by_kind = {found.is_between_phases: found for found in checkpoints}
        return cls(by_kind.get(True), by_kind.get(False))

    @property
    def numbers(self) -> list[int]:
        """Numbers of the checkpoints that are used."""
        return [found.number for found in (self.between, self.within) if found is not None]

    @property
    def number(self) -> int:
        """Number of the newest checkpoint that is used."""
        return max(self.numbers, default=0)

    def describe(self, phases: Sequence[Phase]) -> str:
        """Describe the place, such as 'at phase 2 of 2, epoch 3, step 41 of 120'."""
        if self.phases_done == len(phases):
            return f"after phase {len(phases)} of {len(phases)}"
        phase = phases[self.phases_done]
        where = f"at phase {self.phases_done + 1} of {len(phases)}"
        if self.within is None:
            return f"{where}, at its beginning"
        # A phase that continues a candidate counts the candidate's steps as its first.
        with self.within.restoring():
            done = self.within.state["steps"]
            choice = self.within.state["parts"]["choice"]
            steps = choice["steps"] - choice["first_step"]
        return f"{where}, epoch {done // phase.fit.steps_per_epoch + 1}, step {done + 1} of {steps}"


def find_resumption(checkpoints: Checkpoints, on_damage: Callable[[Path, str], None]) -> Resumption:
    """Find the newest place whose checkpoints are all undamaged.

    A checkpoint within a phase also needs the checkpoint of the previous phase.

    Args:
        checkpoints: The run's checkpoints.
        on_damage: See `Checkpoints.read`.
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
    """List the changes since the run began.

    Args:
        run: The interrupted run.
        plan: New plan of the run's pipeline.
        manifest: Manifest of this plan.
        accept: Accept the changes.
        data: New path of the run's data, if the data have moved.

    Raises:
        ChangedRunError: There are changes, and they are not accepted.
        RunError: The run stopped before its manifest was written.
    """
    changes = list(_find_changes(run, plan, manifest, data))
    if changes and not accept:
        raise ChangedRunError(
            f"{run.path}: something has changed since this run began, so its result would "
            f"differ.\n{describe_changes(changes)}\nUndo the changes, or resume anyway with "
            "--accept-changes, which is recorded in the run."
        )
    return changes


def _find_changes(
    run: RunDirectory, plan: Plan, manifest: Mapping[str, Any], data: str | None
) -> Iterator[str]:
    if not run.manifest.is_file():
        raise RunError(
            f"{run.path}: this run stopped before it had written its manifest, and before any "
            "training. Begin a new run."
        )
    before = read_json(run.manifest)
    yield from find_setting_changes(run, plan.pipeline, data=data)
    yield from compare("version of ", before["versions"], manifest["versions"])
    yield from compare("backbone ", *map(_identify, (before["backbone"], manifest["backbone"])))
    yield from find_data_changes(run, plan.splits)


def _identify(backbone: Mapping[str, Any]) -> Mapping[str, Any]:
    """Select the entries that identify a backbone.

    If the weights have a digest, the source is left out: it only says where they came from.
    """
    return {key: backbone[key] for key in backbone if key != "source" or not backbone["sha256"]}
