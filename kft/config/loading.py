"""Loading of a pipeline from YAML and overrides; one error lists every problem."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML, ScalarNode
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from kft.config.problems import describe_problems
from kft.config.schema import Pipeline
from kft.config.section import WrittenInt
from kft.errors import ConfigError

PIPELINE_ENDINGS = (".yaml", ".yml")
SCHEMA_FILE = "pipeline.schema.json"
SCHEMA_COMMENT = f"# yaml-language-server: $schema={SCHEMA_FILE}\n"


class _Constructor(SafeConstructor):
    """Constructor of plain values: dates stay strings, and integers remember their spelling."""

    def construct_written_int(self, node: ScalarNode) -> int:
        """Construct an integer; `010` is ten, but keeps its spelling, since it may be a name."""
        value = self.construct_yaml_int(node)
        return value if str(value) == node.value else WrittenInt(value, node.value)


_Constructor.add_constructor("tag:yaml.org,2002:int", _Constructor.construct_written_int)
_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _Constructor.construct_yaml_str)


def _make_yaml() -> YAML:
    """Make a safe YAML 1.2 reader: `no` is a string, `1e-3` a number, keys are unique."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    yaml.default_flow_style = False
    # Wide, so that long paths are not folded.
    yaml.width = 10**6
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    return yaml


def parse_yaml(text: str, where: str) -> Any:
    """Parse a YAML text.

    Raises:
        ConfigError: The text is not YAML; the message names line and column.
    """
    try:
        return _make_yaml().load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(
            f"{where}{place}: not valid YAML: {error.problem or error.context}"
        ) from error
    except (YAMLError, ValueError) as error:
        raise ConfigError(f"{where}: not valid YAML: {error}") from error


def is_pipeline_file(target: str) -> bool:
    """Whether a command line target is a pipeline file rather than data."""
    return target.lower().endswith(PIPELINE_ENDINGS)


def load_pipeline(
    target: str | None,
    overrides: Sequence[str] = (),
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> Pipeline:
    """Load a pipeline file, or make the default pipeline for a data path.

    Paths in a pipeline file are relative to the working directory, like
    those on the command line.

    Args:
        target: Path of a .yaml file or of data; None for defaults only.
        overrides: Settings `key.path=value`, with the value written as YAML.
        settings: Nested sections of Python values; they take precedence over `overrides`.

    Raises:
        ConfigError: The file is missing or not YAML, an override is malformed,
            or values are refused; every problem is listed.
    """
    if target is not None and is_pipeline_file(target):
        values, where = _read_pipeline_file(Path(target)), target
    else:
        values, where = ({"data": {"path": target}} if target else {}), "pipeline"
    for override in overrides:
        _apply_override(values, override)
    _merge(values, settings)
    if "name" not in values:
        values["name"] = _default_name(target, values)
    return validate_pipeline(values, where)


def _merge(values: dict[str, Any], settings: Mapping[str, Any]) -> None:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            if not isinstance(values.get(key), dict):
                values[key] = {}
            _merge(values[key], value)
        else:
            values[key] = value


def _read_pipeline_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such pipeline file. The working directory is {Path.cwd()}."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    values = parse_yaml(text, str(path))
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path}: a pipeline must be a mapping of sections "
            f"({', '.join(Pipeline.model_fields)}), but this file holds a {type(values).__name__}."
        )
    return values


def _apply_override(values: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(
            f"override {override!r}: write key.path=value, for example training.seed=3"
        )
    section = values
    for depth, key in enumerate(keys[:-1]):
        inner = section.get(key)
        if inner is None:
            inner = section[key] = {}
        if not isinstance(inner, dict):
            raise ConfigError(
                f"override {override!r}: {'.'.join(keys[: depth + 1])} is "
                f"{inner!r}, not a section with keys"
            )
        section = inner
    section[keys[-1]] = parse_yaml(text, f"override {override!r}")


def override_pipeline(pipeline: Pipeline, overrides: Sequence[str]) -> Pipeline:
    """Change some settings of a validated pipeline.

    Raises:
        ConfigError: A setting does not exist, or its value is refused.
    """
    values = pipeline.model_dump(mode="json")
    for override in overrides:
        _apply_override(values, override)
    return validate_pipeline(values, "override")


def _default_name(target: str | None, values: dict[str, Any]) -> str:
    """Make a valid name from the pipeline file's stem or the last part of the data path."""
    data = values.get("data")
    source = target or (data.get("path") if isinstance(data, dict) else None) or "pipeline"
    # absolute() rather than resolve(): the user chose the name of a link, not of its target.
    stem = Path(str(source)).absolute().name
    if target and is_pipeline_file(target):
        stem = Path(target).stem
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")
    return plain[:100] or "pipeline"


def validate_pipeline(values: dict[str, Any], where: str) -> Pipeline:
    """Validate plain values as a pipeline.

    Raises:
        ConfigError: Lists every refused value with its path.
    """
    try:
        return Pipeline.model_validate(values)
    except ValidationError as error:
        raise ConfigError.from_problems(where, describe_problems(error)) from None


def dump_pipeline(pipeline: Pipeline) -> str:
    """Write every value of a pipeline as YAML, including defaults."""
    values = pipeline.model_dump(mode="json")
    text = io.StringIO()
    _make_yaml().dump(values, text)
    return text.getvalue()


def format_schema() -> str:
    """Format the JSON schema of pipeline files, which editors use to complete and check them."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(schema | Pipeline.model_json_schema(), indent=2) + "\n"
