"""What every section of the typed pipeline is."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from kft.registry import suggest


class WrittenInt(int):
    """A whole number that a text writes in another way than Python, such as `010`."""

    written: str

    def __new__(cls, value: int, written: str) -> WrittenInt:
        """The number, and how it is written."""
        number = super().__new__(cls, value)
        number.written = written
        return number

    def __repr__(self) -> str:
        return self.written


def compose(text: str) -> str:
    """A text in Unicode's composed form (NFC); macOS writes file names in the decomposed one."""
    return unicodedata.normalize("NFC", text)


def read_name(value: Any) -> Any:
    """A whole number as the name that it stands for.

    Raises:
        ValueError: The value may be meant as more than one name.
    """
    if isinstance(value, bool | float | WrittenInt):
        shown = repr(value).lower() if isinstance(value, bool) else repr(value)
        raise ValueError(
            f"found {shown}, which YAML reads as a number or truth value and may change; write "
            "the name in quotes, as it stands in the data"
        )
    return str(value) if isinstance(value, int) else value


def _read_class_name(value: Any) -> Any:
    name = read_name(value)
    return compose(name) if isinstance(name, str) else name


# What may become the name of a folder: no separators, and no way out of the one above.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
FolderName = Annotated[str, Field(pattern=NAME_PATTERN), BeforeValidator(read_name)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
PositiveInt = Annotated[int, Field(ge=1)]
Option = bool | int | float | str
Duration = str | int | float
Name = Annotated[str, BeforeValidator(read_name)]
"""What users name, such as a folder or a column, which may be called by a number."""
Folder = Annotated[Name, AfterValidator(os.path.expanduser)]
"""A folder; `~` is the home of the user."""
ClassName = Annotated[str, BeforeValidator(_read_class_name)]
"""A class; classes are compared in Unicode's composed form."""


_OF_STEPS = object()
Value = TypeVar("Value")
OfSteps = Annotated[Value, _OF_STEPS]
"""A setting that only steps of training obey, and a phase that is solved does not."""


def one_of(list_names: Callable[[], Iterable[str]]) -> Any:
    """The type of a word that is `auto`, or one of names to which others may be added.

    Args:
        list_names: Gives those that there are now.
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
    """A part of a pipeline: frozen, and refusing keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def given(self, *, of_steps: bool = False) -> list[str]:
        """Names of the settings that differ from their defaults.

        Args:
            of_steps: Only those that a phase that is solved does not obey.
        """
        return [
            name
            for name, field in type(self).model_fields.items()
            if (not of_steps or _OF_STEPS in field.metadata)
            and getattr(self, name) != field.get_default(call_default_factory=True)
        ]
