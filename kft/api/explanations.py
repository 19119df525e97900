"""Explanations in Python: values, the folder of overlays, and their display in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader

from kft.figures import format_figure
from kft.modalities.explained import make_overlay_uri

if TYPE_CHECKING:
    from kft.explanation.record import Explanation
    from kft.run_operations.explain import Explained


class Explanations:
    """Explanations of a run's answers; a notebook shows their overlays.

    >>> found = run.explain("new.jpg")
    >>> found[0].attributions[0].values.shape
    (224, 224)

    Args:
        explained: Result of `explain_run`.

    Attributes:
        folder: Folder with the overlays as PNG files and explanations.json.
    """

    def __init__(self, explained: Explained) -> None:
        self._explanations = explained.explanations
        self.folder: Path = explained.folder

    def __len__(self) -> int:
        return len(self._explanations)

    def __getitem__(self, place: int) -> Explanation:
        return self._explanations[place]

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self._explanations)

    def __repr__(self) -> str:
        lines = [
            f"{each.file}: {each.answer} {format_figure(each.value)}, {attribution.method}: "
            f"{attribution.place}"
            for each in self
            for attribution in each.attributions
        ]
        return "\n".join((*lines, f"Overlays: {self.folder}"))

    def _repr_html_(self) -> str:
        environment = Environment(loader=PackageLoader("kft", "api"), autoescape=True)
        return environment.get_template("explanations.html.jinja").render(
            explanations=self,
            write=format_figure,
            make_uri=make_overlay_uri,
        )
