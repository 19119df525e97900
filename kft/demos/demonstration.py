"""The steps of a demonstration: data, runs that are compared, and questions to the export."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from kft.config import PRETRAINING_OVERRIDES, load_pipeline
from kft.display import Display
from kft.errors import RunError

if TYPE_CHECKING:
    from kft.workflow import Finished


@dataclass(frozen=True)
class Place:
    """Where a demonstration works.

    Attributes:
        directory: Its new folder.
        display: Where progress is shown.
    """

    directory: Path
    display: Display

    @property
    def overrides(self) -> tuple[str, str]:
        """Settings that keep runs and exports in the folder."""
        return (
            override("runs_directory", self.directory / "runs"),
            override("export.directory", self.directory / "saved_models"),
        )


@dataclass(frozen=True)
class Comparison:
    """A run of a demonstration.

    Attributes:
        title: Words for the table of results.
        stage: Sentence that is shown before it starts.
        data: Path of the data.
        overrides: Settings.
    """

    title: str
    stage: str
    data: Path
    overrides: tuple[str, ...] = ()


# One recipe for both runs, which differ in their initial weights only.
FINE_TUNING = (
    "strategy.duration=30 epochs",
    "strategy.learning_rate=3e-3",
    "strategy.batch_norm=trainable",
)


def pretrain_and_compare(
    place: Place,
    pretraining: Comparison,
    fine_tuning: Comparison,
    settings: tuple[str, ...],
) -> tuple[Comparison, Comparison]:
    """Pretrain a network; return its fine-tuning, and the same from random weights.

    Args:
        place: Where the demonstration works.
        pretraining: The run that is pretrained now, with its own settings.
        fine_tuning: The run of other classes, without settings.
        settings: Settings that all runs have.
    """
    from kft.workflow import train

    place.display.stage(f"\n{pretraining.stage}")
    own = (*PRETRAINING_OVERRIDES, *settings, *pretraining.overrides, *place.overrides)
    pipeline = load_pipeline(str(pretraining.data), own)
    pretrained = train(pipeline, place.display, keep_backbone=True)
    shared = (override("backbone.name", pretrained.backbone), *settings, *FINE_TUNING)
    random = (*shared, "backbone.weights=random", "strategy.name=full")
    title, stage = "from random weights", "The same network from random weights"
    return (
        replace(fine_tuning, overrides=shared),
        Comparison(title, stage, fine_tuning.data, random),
    )


class Demonstration(ABC):
    """A demonstration for one modality.

    Attributes:
        heading: Heading of the table of results.
        conditions: Sentence on what the runs have in common.
        questions: Words for what the export is asked about, such as 'PNG files'.
        own: Words for a user's own data, such as 'pictures'.
        example: Command that trains on them.
    """

    heading: ClassVar[str]
    conditions: ClassVar[str]
    questions: ClassVar[str]
    own: ClassVar[str]
    example: ClassVar[str] = "kft train FOLDER"

    @abstractmethod
    def prepare(self, place: Place) -> Sequence[Comparison]:
        """Write the data, and pretrain if the demonstration does.

        Returns:
            The runs; the first is exported.
        """

    @abstractmethod
    def list_questions(self, directory: Path) -> Sequence[Path]:
        """List files to ask the export about, in folders named as their classes."""


@dataclass(frozen=True)
class Demo:
    """Results of a demonstration.

    Attributes:
        demonstration: What was shown.
        runs: Title and result of each run; the first is exported.
        served: Files and the export's answers for them, from a process without kft.
        seconds: Duration of the demonstration.
    """

    demonstration: Demonstration
    runs: tuple[tuple[str, Finished], ...]
    served: list[tuple[str, str]]
    seconds: float


def run_demo(demonstration: Demonstration, place: Place) -> Demo:
    """Write data, train the runs of a demonstration, and ask the export of the first.

    Raises:
        RunError: The folder already exists.
    """
    from kft.serving import ServingProcess
    from kft.workflow import train

    if place.directory.exists():
        raise RunError(
            f"{place.directory}: the folder already exists; the demo needs a new one. "
            "Remove it, or choose another --directory."
        )
    started = time.monotonic()
    runs: list[tuple[str, Finished]] = []
    for compared in demonstration.prepare(place):
        place.display.stage(f"\n{compared.stage}")
        only_compared = ("export.enabled=false",) if runs else ()
        overrides = (*compared.overrides, *only_compared, *place.overrides)
        pipeline = load_pipeline(str(compared.data), overrides)
        runs.append((compared.title, train(pipeline, place.display)))

    place.display.stage(
        f"\nAsking the export about {demonstration.questions}, in a process without kft"
    )
    export = runs[0][1].export
    assert export is not None
    files = [str(file) for file in demonstration.list_questions(place.directory)]
    with ServingProcess() as process:
        answers = process.answer(export.path, files)["top_class"].ravel()
    served = list(zip(files, map(str, answers), strict=True))
    return Demo(demonstration, tuple(runs), served, time.monotonic() - started)


def override(path: str, value: object) -> str:
    """Format a setting for the command line, quoted because a folder may have any name.

    >>> override("runs_directory", "my runs")
    'runs_directory="my runs"'
    """
    return f"{path}={json.dumps(str(value))}"
