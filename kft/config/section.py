"""What every section of the typed pipeline is."""

from __future__ import annotations

import os
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


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


class Section(BaseModel):
    """A part of a pipeline: frozen, and refusing keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
