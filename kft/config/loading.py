"""Text -> a validated `Pipeline`, or one error that lists every problem."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from kft.config.problems import describe_problems
from kft.config.schema import Pipeline
from kft.config.section import WrittenInt
from kft.errors import ConfigError

PIPELINE_ENDINGS = (".yaml", ".yml")
SCHEMA_FILE = "pipeline.schema.json"
SCHEMA_COMMENT = f"# yaml-language-server: $schema={SCHEMA_FILE}\n"


class _Yaml12Loader(yaml.SafeLoader):
    """Safe YAML with the scalars of version 1.2: `no` is a word, `1e-3` a number, keys unique."""

    # Version 1.1 also reads `no` as false, `010` as 8, `1:30` as 90 and `2020-01-01` as a date.
    yaml_implicit_resolvers = {  # noqa: RUF012 (PyYAML copies it before it changes it)
        first: [rule for rule in rules if rule[0].rpartition(":")[2] in ("null", "merge")]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, list | dict):
                raise yaml.MarkedYAMLError(
                    problem="a key must be a word", problem_mark=key_node.start_mark
                )
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key!r} stands twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_core_int(self, node: yaml.ScalarNode) -> int:
        """`010` is ten, `0o10` eight, `0x10` sixteen."""
        text = self.construct_scalar(node)
        value = int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        return value if str(value) == text else WrittenInt(value, text)


class _Yaml12Dumper(yaml.SafeDumper):
    """Quotes what the loader above would read as something else than a word."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as above)
        first: list(rules) for first, rules in _Yaml12Loader.yaml_implicit_resolvers.items()
    }


# Source: YAML 1.2.2, section 10.3.2, tag resolution of the core schema.
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
):
    for _side in (_Yaml12Loader, _Yaml12Dumper):
        _side.add_implicit_resolver(
            f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first)
        )
_Yaml12Loader.add_constructor("tag:yaml.org,2002:int", _Yaml12Loader.construct_core_int)


def parse_yaml(text: str, where: str) -> Any:
    """The value of a YAML text.

    Raises:
        ConfigError: The text is not YAML; the message names line and column.
    """
    try:
        return yaml.load(text, Loader=_Yaml12Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(
            f"{where}{place}: not valid YAML: {error.problem or error.context}"
        ) from error
    except (yaml.YAMLError, ValueError) as error:
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
    return yaml.dump(values, Dumper=_Yaml12Dumper, sort_keys=False, allow_unicode=True)


def format_schema() -> str:
    """The JSON schema of pipeline files, by which editors complete and check them."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(schema | Pipeline.model_json_schema(), indent=2) + "\n"
