"""The section `data.masks`: files that say which class each part of an example has."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from kft.config.section import ClassName, Name, Section

# A mask holds a class in each byte, and 255 means none.
MOST_CLASSES = 255
NO_CLASS = "void"
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class MasksConfig(Section):
    """Masks of the examples: where they are, and what their values mean."""

    class_names: tuple[ClassName, ...] = ()
    """Class names in the order of their values; by default the lines of `classes.txt`."""
    void: Annotated[int, Field(ge=0, le=255)] = 255
    """Value that means no class, such as 11 of CamVid; 255 always means none."""
    binary: bool = False
    """Whether 0 means the first of two classes and any other value the second."""
    colours: dict[ClassName, Colour] = Field(default_factory=dict)
    """Colour of each class, such as `{road: '#804080'}`; `void` is that of no class."""
    folder: Name | None = None
    """Folder of the masks, or of the examples of a COCO file; by default `masks` or `labels`."""
    ending: Annotated[str, Field(pattern=r"^[^/\\]*$")] | None = None
    """End of a mask's name after that of its example, such as `_mask`; by default found."""
    column: Name = "mask"
    """Column of the paths of masks in a table."""

    @model_validator(mode="after")
    def _values_have_one_meaning(self) -> MasksConfig:
        repeated = sorted({name for name in self.class_names if self.class_names.count(name) > 1})
        if repeated:
            raise ValueError(f"class_names: {', '.join(map(repr, repeated))} is repeated")
        if len(self.class_names) > MOST_CLASSES:
            raise ValueError(
                f"class_names: {len(self.class_names)} classes; a mask of bytes holds at most "
                f"{MOST_CLASSES}"
            )
        if self.colours and self.binary:
            raise ValueError("colours are given, but masks are binary. Remove one of the two")
        shown = [colour.lower() for colour in self.colours.values()]
        shared = sorted({colour for colour in shown if shown.count(colour) > 1})
        if shared:
            raise ValueError(f"colours: {', '.join(shared)} is given to several classes")
        named = set(self.colours) - {NO_CLASS}
        if named and self.class_names and named != set(self.class_names):
            raise ValueError("colours and class_names name different classes. Remove class_names")
        return self
