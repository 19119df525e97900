"""The space of a search: its combinations, and which of them no pipeline can be made of."""

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

# Checked within a second or two. A larger space is left to its trials.
_MOST_COMBINATIONS = 5000
# Different reasons that are listed where nothing can be tried.
_MOST_REASONS = 8


@dataclass(frozen=True)
class Refusal:
    """A combination that cannot be tried, or whose trial failed.

    Attributes:
        settings: Path of each searched setting -> value.
        reason: Why.
        is_failure: Whether its training began, and failed.
    """

    settings: Mapping[str, Any]
    reason: str
    is_failure: bool = False

    def __str__(self) -> str:
        reason = " ".join(self.reason.split())
        return f"{describe_combination(self.settings)}: {reason}"


def describe_combination(settings: Mapping[str, Any]) -> str:
    """Such as 'head.dropout=0.3, training.optimizer="sgd"'."""
    return ", ".join(make_overrides(settings))


def make_overrides(settings: Mapping[str, Any]) -> list[str]:
    """Settings as they are given on the command line."""
    # JSON is YAML: a word stays the word that it is.
    return [f"{path}={json.dumps(value)}" for path, value in settings.items()]


def make_trial_pipeline(pipeline: Pipeline, settings: Mapping[str, Any]) -> Pipeline:
    """The pipeline of one trial.

    Raises:
        ConfigError: A setting does not exist, or a value is not allowed for it.
    """
    own = [*make_overrides(settings), "export.enabled=false", f"name={pipeline.name}-trials"]
    tried = override_pipeline(pipeline, own)
    if tried.strategy.name == "auto":
        # Validation is what a trial is judged by: it must not have been learnt from.
        tried = override_pipeline(tried, ["strategy.refit=false"])
    return tried


def check_space(pipeline: Pipeline) -> None:
    """Refuse a search that could not be run, before anything is read.

    Raises:
        ConfigError: A path names no setting, or a value is refused whatever the others are.
    """
    if not pipeline.tuning.space:
        raise ConfigError("tuning.space: names no setting; there is nothing to search.")
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
    """Whether some combination makes a pipeline with this value, which alone makes none."""
    return any(
        _find_fault(pipeline, settings) is None
        for settings in _list_combinations(pipeline.tuning)
        if settings[path] == value
    )


def _list_combinations(config: TuningConfig) -> Iterator[dict[str, Any]]:
    """Each value with each of the others; the ends of ranges stand for all that is between."""
    choices = [each.values or (each.low, each.high) for each in config.space.values()]
    for values in itertools.islice(itertools.product(*choices), _MOST_COMBINATIONS):
        yield dict(zip(config.space, values, strict=True))


def find_refused(pipeline: Pipeline, plan: Plan) -> tuple[list[Refusal], int]:
    """The combinations that are refused as they stand, and of how many.

    Args:
        pipeline: With the `tuning` section.
        plan: Of it.

    Raises:
        ConfigError: All of them are refused: there is nothing to try.
    """
    refused, count = [], 0
    for settings in _list_combinations(pipeline.tuning):
        count += 1
        try:
            tried = make_trial_pipeline(plan.pipeline, settings)
            check_settings(tried, plan, settings.keys())
        except ConfigError as error:
            refused.append(Refusal(settings, str(error)))
    # Of a range only the ends were tried: a reason that names their values says nothing of others.
    is_certain = _is_whole(pipeline.tuning, count) or len({each.reason for each in refused}) == 1
    if len(refused) == count and is_certain:
        raise ConfigError(_describe_impossible(pipeline.tuning, refused))
    return refused, count


def _describe_impossible(config: TuningConfig, refused: list[Refusal]) -> str:
    if config.space == TuningConfig().space:
        remedy = (
            "`tuning.space` was not given, and its default is for fine-tuning: name what to "
            "search, for example tuning.space={head.dropout: {values: [0, 0.3]}}"
        )
    else:
        remedy = "Change the space, or the settings that contradict it"
    by_reason = {refusal.reason: refusal for refusal in reversed(refused)}
    listed = [str(refusal) for refusal in reversed(by_reason.values())][:_MOST_REASONS]
    if len(listed) == 1:
        return f"tuning.space: nothing in it can be tried: {listed[0]} {remedy}."
    lines = "\n".join(f"  - {line}" for line in listed)
    return f"tuning.space: nothing in it can be tried. {remedy}.\n{lines}"


def _is_whole(config: TuningConfig, count: int) -> bool:
    """Whether so many combinations are all that there are."""
    sizes = [len(dimension.values) for dimension in config.space.values()]
    return all(sizes) and math.prod(sizes) == count


def describe_refused(config: TuningConfig, refused: list[Refusal], count: int) -> list[str]:
    """What is said before the first trial; nothing where it is not known which will come."""
    if not refused or config.oracle != "grid" or not _is_whole(config, count):
        return []
    return [
        f"Search: {len(refused)} of {count} combinations cannot be tried:",
        *(f"  {refusal}" for refusal in refused),
    ]
