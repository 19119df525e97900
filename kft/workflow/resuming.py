"""What an interrupted run has done, and whether all that it depends on is as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kft.config import parse_yaml
from kft.data.splitting.split_files import format_splits, read_split_lines
from kft.errors import RunError
from kft.runs import RunDirectory
from kft.runs.checkpoints import Checkpoint, Checkpoints
from kft.runs.layout import read_json
from kft.strategies import Phase
from kft.workflow.causes import compare, flatten
from kft.workflow.plan import Plan

# Names that are listed of a change; more are counted.
_SHOWN = 3


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
        steps = phase.steps - self.within.state["choice"]["first_step"]
        return f"{where}, epoch {done // phase.steps_per_epoch + 1}, step {done + 1} of {steps}"


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
    run: RunDirectory, plan: Plan, manifest: Mapping[str, Any], *, accept: bool
) -> list[str]:
    """What differs from when the run began.

    Args:
        run: The interrupted one.
        plan: Of its pipeline, made now.
        manifest: Of this plan.
        accept: Go on with what differs.

    Raises:
        RunError: Something differs, and is not accepted; or the run stopped before it was
            recorded what it depends on.
    """
    changes = list(_find_changes(run, plan, manifest))
    if changes and not accept:
        listed = "\n".join(f"  - {change}" for change in changes)
        raise RunError(
            f"{run.path}: not all is as it was when this run began, so it would not end as it "
            f"would have.\n{listed}\nPut it back as it was, or go on all the same with "
            "--accept-changes, which is recorded in the run."
        )
    return changes


def _find_changes(run: RunDirectory, plan: Plan, manifest: Mapping[str, Any]) -> Iterator[str]:
    if not run.manifest.is_file():
        raise RunError(
            f"{run.path}: this run stopped before it had recorded what it depends on, and "
            "before any work. Begin a new one."
        )
    before = read_json(run.manifest)
    yield from _find_settings(run, plan)
    yield from compare("version of ", before["versions"], manifest["versions"])
    yield from compare("backbone ", before["backbone"], manifest["backbone"])
    yield from _find_data(run, plan)
    if before["data_fingerprint"] != manifest["data_fingerprint"]:
        yield "data: files, or what they hold, are others than before"


def _find_settings(run: RunDirectory, plan: Plan) -> Iterator[str]:
    text = run.pipeline.read_text(encoding="utf-8")
    before = dict(flatten(parse_yaml(text, str(run.pipeline))))
    yield from compare("", before, dict(flatten(plan.pipeline.model_dump(mode="json"))))


def _find_data(run: RunDirectory, plan: Plan) -> Iterator[str]:
    contents = (run.splits.read_bytes(), format_splits(plan.splits))
    if contents[0] == contents[1]:
        return
    before, now = map(read_split_lines, contents)
    gone, new = sorted(before.keys() - now.keys()), sorted(now.keys() - before.keys())
    moved = sorted(name for name in before.keys() & now.keys() if before[name] != now[name])
    for names, what in ((gone, "gone"), (new, "new"), (moved, "of another split or label")):
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            yield f"data: {what}: {', '.join(names[:_SHOWN])}{more}"
