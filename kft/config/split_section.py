"""The section `data.split`, and checks for contradictions in it and with the rest of `data`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from kft.config.section import Name, Section


class SplitConfig(Section):
    """The split into train, validation and holdout, if the data do not define one."""

    group_column: Name | None = None
    """Table column of groups, such as patients or cameras; a group stays in one split."""
    group_pattern: str | None = None
    """Regular expression whose first group finds an example's group in its name: `_(\\w+)_`."""
    time_column: Name | None = None
    """Table column of times: the latest examples are the holdout, the next latest validation."""
    near_duplicates: Literal["together", "ignore"] = "together"
    """Whether pictures that look the same stay in one split."""
    folds: Annotated[int, Field(ge=2, le=100)] | None = None
    """Number of cross-validation folds of the examples outside the holdout."""
    fold: Annotated[int, Field(ge=0)] = 0
    """Index of the fold that is validation, from 0; below `folds`."""
    rare: Literal["keep_in_train", "refuse"] = "keep_in_train"
    """Classes too rare for every split: trained on without being judged there, or refused."""
    file: Name | None = None
    """A run's splits.csv, from which splits are taken by the names of the examples."""

    @model_validator(mode="after")
    def _one_way_to_split(self) -> SplitConfig:
        problems = [*self._find_contradictions(), *self._find_misfits()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _find_contradictions(self) -> Iterator[str]:
        """Find settings that exclude each other."""
        names = ("group_column", "group_pattern", "time_column", "folds")
        given = [name for name in names if getattr(self, name) is not None]
        if self.near_duplicates == "ignore":
            given.append("near_duplicates")
        if self.file is not None and given:
            yield f"file defines the split of each example, so remove {', '.join(given)}"
        if self.group_column is not None and self.group_pattern is not None:
            yield "group_column and group_pattern both define groups; keep one"
        if self.time_column is not None:
            others = [name for name in given if name not in ("time_column", "near_duplicates")]
            if others:
                yield (
                    f"time_column splits at points in time only, so it cannot be combined with "
                    f"{', '.join(others)}"
                )

    def _find_misfits(self) -> Iterator[str]:
        """Find values that are impossible."""
        if self.folds is None and self.fold:
            yield f"fold is {self.fold}, but folds is not given; set folds or remove fold"
        if self.folds is not None and self.fold >= self.folds:
            yield f"fold must be 0 to {self.folds - 1} with folds {self.folds}, found {self.fold}"
        if self.group_pattern is not None:
            try:
                re.compile(self.group_pattern)
            except re.error as error:
                yield f"group_pattern {self.group_pattern!r} is not a regular expression: {error}"


def refuse_split_problems(
    split: SplitConfig, *, shares: Mapping[str, float], source: str, validation_folder: str | None
) -> None:
    """Refuse settings of `data` and `data.split` that contradict each other.

    Args:
        split: The section `data.split`.
        shares: `data.validation` and `data.holdout`.
        source: `data.source`.
        validation_folder: `data.folders.validation`.

    Raises:
        ValueError: Lists every problem.
    """
    problems = []
    described = " and ".join(f"{name} {share:g}" for name, share in shares.items())
    if sum(shares.values()) >= 1.0:
        problems.append(f"{described} leave nothing to train on; their sum must be below 1")
    if split.folds is not None and not shares["validation"]:
        problems.append("validation is 0, but split.folds makes a validation split; remove one")
    if split.folds is not None and validation_folder is not None:
        problems.append("folders.validation and split.folds both define validation; keep one")
    columns = {"split.group_column": split.group_column, "split.time_column": split.time_column}
    given = [name for name, column in columns.items() if column is not None]
    if given and source not in ("auto", "table"):
        problems.append(f"{' and '.join(given)} needs a table, but source is {source}")
    if split.group_pattern is not None:
        given.append("split.group_pattern")
    if given and not any(shares.values()):
        problems.append(f"{described} leave nothing to split by {' and '.join(given)}")
    if problems:
        raise ValueError("; ".join(problems))
