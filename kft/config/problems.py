"""Translation of pydantic's errors into kft's messages, with one problem for each mistake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any

from pydantic import ValidationError

from kft.config.data_section import list_modalities
from kft.config.schema import Pipeline
from kft.registry import suggest

Location = tuple[str | int, ...]
_Schema = Mapping[str, Any]
# Renamed settings: old path -> new path.
RENAMED = {
    **{
        f"data.{name}": f"data.image.{name}"
        for name in ("augmentation", "background", "depth", "max_megapixels", "resize")
    },
    "data.records.image_feature": "data.records.input_feature",
    "data.on_bad": "data.on_invalid_file",
    "data.folders.outside": "data.folders.allowed_roots",
    "data.table.outside": "data.table.allowed_roots",
    "features.without_views": "features.augmented_prefix",
}
# Pydantic appends this to the location of a refused key of a mapping.
_KEY = "[key]"


def describe_problems(error: ValidationError) -> list[str]:
    """Describe each mistake in a line: its place, the value found, the values allowed.

    For a value of a union type, pydantic gives an error for each type. If the value has one of
    the types, only the error for this type is described, otherwise all allowed types.
    """
    problems = [(_split(problem["loc"]), problem) for problem in error.errors()]
    lines: list[str] = []
    for _, group in groupby(problems, key=lambda pair: pair[0][0]):
        of_one = list(group)
        inside = [pair for pair in of_one if pair[0][1]]
        for (place, rest), problem in inside or of_one[:1]:
            lines.append(_describe((*place, *rest), problem))
    return list(dict.fromkeys(lines))


def _split(location: Location) -> tuple[Location, Location]:
    """Split a location into the place of a union-typed value and the place within this value.

    The second part is empty for other types. Pydantic's type names are left out.
    """
    schema = _whole()
    for depth, part in enumerate(location):
        schema = _resolve(schema)
        options = _options(schema)
        if len(options) > 1:
            # Pydantic names the type at this position.
            return location[:depth], location[depth + 1 :]
        schema = _enter(options[0], part)
    return location, ()


def _describe(place: Location, problem: Any) -> str:
    if place and place[-1] == _KEY:
        place = place[:-2]
    path = _format(place) or "pipeline"
    if problem["type"] == "extra_forbidden" and path in RENAMED:
        return f"{path}: renamed. Write {RENAMED[path]}."
    if problem["type"] == "extra_forbidden":
        known = _find(place[:-1]).get("properties", {})
        return f"{path}: unknown key. {suggest(str(place[-1]), known)}"
    if problem["type"] == "value_error":
        message = problem["msg"].removeprefix("Value error, ")
        # Messages about several sections name them.
        return f"{path}: {message}" if place else str(message)
    allowed = _describe_schema(_find(place))
    found = "null" if problem["input"] is None else repr(problem["input"])
    return f"{path}: found {found}. Allowed: {allowed}"


def _format(place: Iterable[str | int]) -> str:
    path = ""
    for part in place:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _whole() -> _Schema:
    # A modality from outside may have added its section since the last time.
    return _make_schema(list_modalities())


@cache
def _make_schema(modalities: tuple[str, ...]) -> _Schema:
    return Pipeline.model_json_schema()


def _resolve(schema: _Schema) -> _Schema:
    """Resolve a reference to its schema."""
    reference = schema.get("$ref")
    return schema if reference is None else _whole()["$defs"][reference.rpartition("/")[2]]


def _options(schema: _Schema) -> list[_Schema]:
    """List the schemas of the types that a value may have, without null."""
    options = [_resolve(option) for option in schema.get("anyOf", (schema,))]
    return [option for option in options if option.get("type") != "null"]


def _enter(schema: _Schema, part: str | int) -> _Schema:
    """Find the schema of a key's value, or of a list's items."""
    if schema.get("type") == "array":
        return schema.get("items", {})
    properties = schema.get("properties", {})
    inside: _Schema = properties.get(part) or schema.get("additionalProperties") or {}
    return inside


def _find(place: Location) -> _Schema:
    """Find the schema of the value at a place."""
    schema = _whole()
    for part in place:
        # A number may be a list index or a mapping key.
        kinds = ("array", "object") if isinstance(part, int) else ("object",)
        options = [each for each in _options(_resolve(schema)) if each.get("type") in kinds]
        schema = _enter(options[0], part) if options else {}
    return _resolve(schema)


def _describe_schema(schema: _Schema) -> str:
    """Describe the allowed values, such as 'none, balanced or a number of at least 0'."""
    allowed = [*dict.fromkeys(word for option in _all_options(schema) for word in _words(option))]
    *others, last = allowed or ["another value"]
    return f"{', '.join(others)} or {last}" if others else last


def _all_options(schema: _Schema) -> Sequence[_Schema]:
    return [_resolve(option) for option in schema.get("anyOf", (schema,))]


def _words(schema: _Schema) -> Iterator[str]:
    kind = schema.get("type")
    if "const" in schema or "enum" in schema:
        yield from map(str, schema.get("enum") or [schema["const"]])
    elif kind == "boolean":
        yield from ("true", "false")
    elif kind in ("integer", "number"):
        yield f"{'a whole number' if kind == 'integer' else 'a number'}{_describe_range(schema)}"
    elif kind == "string":
        pattern, some = schema.get("pattern"), "non-empty " if schema.get("minLength") else ""
        yield f"a {some}string" if pattern is None else f"a string that matches {pattern}"
    elif kind == "array":
        least = f" of at least {schema['minItems']}" if schema.get("minItems") else ""
        yield f"a list{least} (each item: {_describe_schema(schema.get('items', {}))})"
    elif kind == "object" and "properties" in schema:
        yield f"a section with the keys {', '.join(schema['properties'])}"
    elif kind == "object":
        yield f"a mapping (each value: {_describe_schema(schema['additionalProperties'])})"
    elif kind == "null":
        yield "null"


def _describe_range(schema: _Schema) -> str:
    words = {
        "minimum": "of at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    bounds = [f"{word} {schema[key]:.10g}" for key, word in words.items() if key in schema]
    return f" {' and '.join(bounds)}" if bounds else ""
