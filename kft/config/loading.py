"""Text -> a validated `Pipeline`, or one error that lists every problem."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
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
    """Plain values: a date is a word, and a whole number remembers how it is written."""

    def construct_written_int(self, node: ScalarNode) -> int:
        """`010` is ten, but whoever means a name by it is to say so."""
        value = self.construct_yaml_int(node)
        return value if str(value) == node.value else WrittenInt(value, node.value)


_Constructor.add_constructor("tag:yaml.org,2002:int", _Constructor.construct_written_int)
_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _Constructor.construct_yaml_str)


def _make_yaml() -> YAML:
    """YAML 1.2 without what can run code: `no` is a word, `1e-3` a number, keys are unique."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    yaml.default_flow_style = False
    # No long path is folded.
    yaml.width = 10**6
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    return yaml


def parse_yaml(text: str, where: str) -> Any:
    """The value of a YAML text.

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


def load_pipeline(target: str | None, overrides: Sequence[str] = ()) -> Pipeline:
    """The pipeline of a file, or the default one over a data path.

    Paths in a pipeline file are relative to the working directory, like
    those on the command line.

    Args:
        target: A .yaml file, or where the data is; None for defaults alone.
        overrides: `key.path=value`, the value written as YAML.

    Raises:
        ConfigError: The file is missing or not YAML, an override has no
            such form, or values are refused; every problem is listed.
    """
    if target is not None and is_pipeline_file(target):
        values, where = _read_pipeline_file(Path(target)), target
    else:
        values, where = ({"data": {"path": target}} if target else {}), "pipeline"
    for override in overrides:
        _apply_override(values, override)
    if "name" not in values:
        values["name"] = _default_name(target, values)
    return validate_pipeline(values, where)


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
            f"{path}: a pipeline is a mapping of sections ({', '.join(Pipeline.model_fields)}), "
            f"but this file holds a {type(values).__name__}."
        )
    return values


def _apply_override(values: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(
            f"override {override!r}: the form is key.path=value, for example training.seed=3"
        )
    section = values
    for depth, key in enumerate(keys[:-1]):
        inner = section.get(key)
        if inner is None:
            inner = section[key] = {}
        if not isinstance(inner, dict):
            raise ConfigError(
                f"override {override!r}: {'.'.join(keys[: depth + 1])} holds "
                f"{inner!r}, not a section that has keys"
            )
        section = inner
    section[keys[-1]] = parse_yaml(text, f"override {override!r}")


def override_pipeline(pipeline: Pipeline, overrides: Sequence[str]) -> Pipeline:
    """A validated pipeline with some settings changed.

    Raises:
        ConfigError: An override names no setting, or its value is refused.
    """
    values = pipeline.model_dump(mode="json")
    for override in overrides:
        _apply_override(values, override)
    return validate_pipeline(values, "override")


def _default_name(target: str | None, values: dict[str, Any]) -> str:
    """The pipeline file's stem, or the last part of the data path, made a plain name."""
    data = values.get("data")
    source = target or (data.get("path") if isinstance(data, dict) else None) or "pipeline"
    # absolute(), not resolve(): a link is named by the user, its target is not.
    stem = Path(str(source)).absolute().name
    if target and is_pipeline_file(target):
        stem = Path(target).stem
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")
    return plain[:100] or "pipeline"


def validate_pipeline(values: dict[str, Any], where: str) -> Pipeline:
    """A pipeline of plain values.

    Raises:
        ConfigError: Lists every refused value with its path.
    """
    try:
        return Pipeline.model_validate(values)
    except ValidationError as error:
        raise ConfigError.from_problems(where, describe_problems(error)) from None


def dump_pipeline(pipeline: Pipeline) -> str:
    """YAML of every value of a pipeline, defaults included."""
    values = pipeline.model_dump(mode="json")
    text = io.StringIO()
    _make_yaml().dump(values, text)
    return text.getvalue()


def format_schema() -> str:
    """The JSON schema of pipeline files, by which editors complete and check them."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(schema | Pipeline.model_json_schema(), indent=2) + "\n"
