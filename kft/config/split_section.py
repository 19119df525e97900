"""The section `data.split`, and what of it contradicts itself or the rest of `data`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from kft.config.section import Name, Section


class SplitConfig(Section):
    """How examples are dealt out to train, validation and holdout where the data does not say."""

    group_column: Name | None = None
    """Column of the table: examples of one value, a patient or a camera, stay on one side."""
    group_pattern: str | None = None
    """Regular expression; its first bracket finds an example's group in its name: `_(\\w+)_`."""
    time_column: Name | None = None
    """Column of the table: the latest examples are the holdout, those before them validation."""
    near_duplicates: Literal["together", "ignore"] = "together"
    """Whether pictures that look the same stay on one side."""
    folds: Annotated[int, Field(ge=2, le=100)] | None = None
    """Cross-validation: `fold` of so many parts of what is not the holdout is validation."""
    fold: Annotated[int, Field(ge=0)] = 0
    """Which part is validation, from 0; below `folds`."""
    rare: Literal["keep_in_train", "refuse"] = "keep_in_train"
    """Classes too rare for every split: trained on, named and not judged there, or refused."""
    file: Name | None = None
    """A splits.csv as a run writes it: its splits are taken, by the names of the examples."""

    @model_validator(mode="after")
    def _one_way_to_split(self) -> SplitConfig:
        problems = [*self._find_contradictions(), *self._find_misfits()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _find_contradictions(self) -> Iterator[str]:
        """Settings of which one alone can be obeyed."""
        names = ("group_column", "group_pattern", "time_column", "folds")
        given = [name for name in names if getattr(self, name) is not None]
        if self.near_duplicates == "ignore":
            given.append("near_duplicates")
        if self.file is not None and given:
            yield f"file says the split of each example, so leave out {', '.join(given)}"
        if self.group_column is not None and self.group_pattern is not None:
            yield "group_column and group_pattern both say what a group is; keep one"
        if self.time_column is not None:
            others = [name for name in given if name not in ("time_column", "near_duplicates")]
            if others:
                yield (
                    f"time_column cuts at points in time, whatever lies there, so it does not go "
                    f"with {', '.join(others)}"
                )

    def _find_misfits(self) -> Iterator[str]:
        """Values that cannot be obeyed."""
        if self.folds is None and self.fold:
            yield f"fold {self.fold} says which part is validation, but folds is not given"
        if self.folds is not None and self.fold >= self.folds:
            yield f"fold {self.fold} is none of 0 to {self.folds - 1}; folds is {self.folds}"
        if self.group_pattern is not None:
            try:
                re.compile(self.group_pattern)
            except re.error as error:
                yield f"group_pattern {self.group_pattern!r} is no regular expression: {error}"


def refuse_split_problems(
    split: SplitConfig, *, shares: Mapping[str, float], source: str, validation_folder: str | None
) -> None:
    """Refuse what of `data` and `data.split` cannot be obeyed together.

    Args:
        split: The section `data.split`.
        shares: `data.validation` and `data.holdout`.
        source: `data.source`.
        validation_folder: `data.folders.validation`.

    Raises:
        ValueError: Lists every problem.
    """
    problems = []
    told = " and ".join(f"{name} {share:g}" for name, share in shares.items())
    if sum(shares.values()) >= 1.0:
        problems.append(f"{told} leave nothing to train on; their sum must be below 1")
    if split.folds is not None and not shares["validation"]:
        problems.append("validation 0 asks for none, but split.folds is a way to choose it")
    if split.folds is not None and validation_folder is not None:
        problems.append("folders.validation names one validation split, split.folds makes others")
    columns = {"split.group_column": split.group_column, "split.time_column": split.time_column}
    given = [name for name, column in columns.items() if column is not None]
    if given and source not in ("auto", "table"):
        problems.append(f"{' and '.join(given)} names a column of a table, but source is {source}")
    if split.group_pattern is not None:
        given.append("split.group_pattern")
    if given and not any(shares.values()):
        problems.append(f"{told} leave nothing to split by {' and '.join(given)}")
    if problems:
        raise ValueError("; ".join(problems))
