"""The base of all sections of the pipeline, and the types of their settings."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from kft.registry import suggest


class WrittenInt(int):
    """An integer whose spelling in YAML differs from Python's, such as `010`."""

    written: str

    def __new__(cls, value: int, written: str) -> WrittenInt:
        """Make an integer that keeps its spelling."""
        number = super().__new__(cls, value)
        number.written = written
        return number

    def __repr__(self) -> str:
        return self.written


def compose(text: str) -> str:
    """Normalise a text to Unicode's composed form (NFC); macOS decomposes file names."""
    return unicodedata.normalize("NFC", text)


def read_name(value: Any) -> Any:
    """Convert an integer to the name that it stands for.

    Raises:
        ValueError: The value may stand for more than one name.
    """
    if isinstance(value, bool | float | WrittenInt):
        shown = repr(value).lower() if isinstance(value, bool) else repr(value)
        raise ValueError(
            f"found {shown}, which YAML reads as a number or boolean and may change; write the "
            "name in quotes, exactly as in the data"
        )
    return str(value) if isinstance(value, int) else value


def _read_class_name(value: Any) -> Any:
    name = read_name(value)
    return compose(name) if isinstance(name, str) else name


# Valid folder names: no separators, and no `..`, which would leave the parent folder.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
FolderName = Annotated[str, Field(pattern=NAME_PATTERN), BeforeValidator(read_name)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
PositiveInt = Annotated[int, Field(ge=1)]
Option = bool | int | float | str
Duration = str | int | float
TimeSpan = Annotated[str, Field(pattern=r"^\d+(\.\d+)? (seconds|minutes|hours)$")]
"""A time by the clock, such as `10 minutes`."""
Name = Annotated[str, BeforeValidator(read_name)]
"""A name that users choose, such as a folder's or a column's; it may look like a number."""
Folder = Annotated[Name, AfterValidator(os.path.expanduser)]
"""A folder; `~` stands for the user's home."""
ClassName = Annotated[str, BeforeValidator(_read_class_name)]
"""A class name; names are compared in Unicode's composed form."""


_OF_STEPS = object()
Value = TypeVar("Value")
OfSteps = Annotated[Value, _OF_STEPS]
"""A setting of training steps, which has no effect on a solved phase."""


def one_of(list_names: Callable[[], Iterable[str]]) -> Any:
    """Make the type of a string that is `auto` or one of the names in a registry.

    Args:
        list_names: Lists the names that are registered at present.
    """

    def check(value: str) -> str:
        names = ["auto", *list_names()]
        if value not in names:
            raise ValueError(f"found {value!r}. {suggest(value, names)}")
        return value

    def describe(schema: dict[str, Any]) -> None:
        schema["enum"] = ["auto", *list_names()]

    return Annotated[str, AfterValidator(check), Field(json_schema_extra=describe)]


class Section(BaseModel):
    """A frozen section of a pipeline, which refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def given(self, *, of_steps: bool = False) -> list[str]:
        """List the names of the settings that differ from their defaults.

        Args:
            of_steps: List only settings that have no effect on a solved phase.
        """
        return [
            name
            for name, field in type(self).model_fields.items()
            if (not of_steps or _OF_STEPS in field.metadata)
            and getattr(self, name) != field.get_default(call_default_factory=True)
        ]
