"""The space of a search: its combinations, and which of them are refused."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kft.config import Pipeline, TuningConfig, override_pipeline
from kft.errors import ConfigError
from kft.workflow import Plan, check_settings

# Can be checked within a second or two. The rest of a larger space is checked by its trials.
_MOST_COMBINATIONS = 5000
# Number of different reasons to list if every combination is refused.
_MOST_REASONS = 8


@dataclass(frozen=True)
class Refusal:
    """A combination that is refused, or whose trial failed.

    Attributes:
        settings: Value of each searched setting, by its path.
        reason: The reason.
        is_failure: Whether its training began and failed.
    """

    settings: Mapping[str, Any]
    reason: str
    is_failure: bool = False

    def __str__(self) -> str:
        reason = " ".join(self.reason.split())
        return f"{describe_combination(self.settings)}: {reason}"


def describe_combination(settings: Mapping[str, Any]) -> str:
    """Describe a combination, such as 'head.dropout=0.3, training.optimizer="sgd"'."""
    return ", ".join(make_overrides(settings))


def make_overrides(settings: Mapping[str, Any]) -> list[str]:
    """Write settings as they are given on the command line."""
    # JSON is also YAML, and its quotes keep a string from being read as another type.
    return [f"{path}={json.dumps(value)}" for path, value in settings.items()]


def make_trial_pipeline(pipeline: Pipeline, settings: Mapping[str, Any]) -> Pipeline:
    """Make the pipeline of one trial.

    Raises:
        ConfigError: A setting does not exist, or a value is not allowed for it.
    """
    own = [*make_overrides(settings), "export.enabled=false", f"name={pipeline.name}-trials"]
    tried = override_pipeline(pipeline, own)
    if tried.strategy.name == "auto":
        # Trials are judged on validation, so they must not train on it.
        tried = override_pipeline(tried, ["strategy.refit=false"])
    return tried


def check_space(pipeline: Pipeline) -> None:
    """Refuse an impossible search before anything is read.

    Raises:
        ConfigError: A path is not a setting, or a value is refused with all values of the others.
    """
    if not pipeline.tuning.space:
        raise ConfigError(
            "tuning.space: empty, so there is nothing to search. Name at least one setting, for "
            "example tuning.space={head.dropout: {values: [0, 0.3]}}."
        )
    for path, dimension in pipeline.tuning.space.items():
        for value in dimension.values or (dimension.low, dimension.high):
            reason = _find_fault(pipeline, {path: value})
            if reason is not None and not _is_possible(pipeline, path, value):
                raise ConfigError(f"tuning.space: {reason}")


def _find_fault(pipeline: Pipeline, settings: Mapping[str, Any]) -> str | None:
    try:
        override_pipeline(pipeline, make_overrides(settings))
    except ConfigError as error:
        return str(error)
    return None


def _is_possible(pipeline: Pipeline, path: str, value: Any) -> bool:
    """Whether any combination with this value is valid, though the value alone is not."""
    return any(
        _find_fault(pipeline, settings) is None
        for settings in _list_combinations(pipeline.tuning)
        if settings[path] == value
    )


def _list_combinations(config: TuningConfig) -> Iterator[dict[str, Any]]:
    """List every combination of values; the ends of a range stand for the values between."""
    choices = [each.values or (each.low, each.high) for each in config.space.values()]
    for values in itertools.islice(itertools.product(*choices), _MOST_COMBINATIONS):
        yield dict(zip(config.space, values, strict=True))


def find_refused(pipeline: Pipeline, plan: Plan) -> tuple[list[Refusal], int]:
    """Find the combinations that are refused before training, and count all of them.

    Args:
        pipeline: Pipeline with the `tuning` section.
        plan: Plan of this pipeline.

    Raises:
        ConfigError: All combinations are refused, so there is nothing to try.
    """
    refused, count = [], 0
    for settings in _list_combinations(pipeline.tuning):
        count += 1
        try:
            tried = make_trial_pipeline(plan.pipeline, settings)
            check_settings(tried, plan, settings.keys())
        except ConfigError as error:
            refused.append(Refusal(settings, str(error)))
    # Only the ends of a range were checked: a reason that names their values may not hold between.
    is_certain = _is_whole(pipeline.tuning, count) or len({each.reason for each in refused}) == 1
    if len(refused) == count and is_certain:
        raise ConfigError(_describe_impossible(pipeline.tuning, refused))
    return refused, count


def _describe_impossible(config: TuningConfig, refused: list[Refusal]) -> str:
    if config.space == TuningConfig().space:
        remedy = (
            "`tuning.space` is not given, and its default needs a strategy that fine-tunes: name "
            "the settings to search, for example tuning.space={head.dropout: {values: [0, 0.3]}}"
        )
    else:
        remedy = "Change the space, or the settings that contradict it"
    by_reason = {refusal.reason: refusal for refusal in reversed(refused)}
    listed = [str(refusal) for refusal in reversed(by_reason.values())][:_MOST_REASONS]
    if len(listed) == 1:
        return f"tuning.space: every combination is refused: {listed[0]} {remedy}."
    lines = "\n".join(f"  - {line}" for line in listed)
    return f"tuning.space: every combination is refused. {remedy}.\n{lines}"


def _is_whole(config: TuningConfig, count: int) -> bool:
    """Whether `count` combinations are the whole space."""
    sizes = [len(dimension.values) for dimension in config.space.values()]
    return all(sizes) and math.prod(sizes) == count


def describe_refused(config: TuningConfig, refused: list[Refusal], count: int) -> list[str]:
    """List refused combinations before the first trial, if the search will reach them all."""
    if not refused or config.oracle != "grid" or not _is_whole(config, count):
        return []
    return [
        f"Search: {len(refused)} of {count} combinations are refused:",
        *(f"  {refusal}" for refusal in refused),
    ]
