"""Selection of the usable examples of a source; every file is counted."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kft.config import DataConfig
from kft.data.admission.check_files import check_files
from kft.data.admission.copies import find_bad_copies
from kft.data.found import Found
from kft.data.refusing import list_bad, refuse_bad
from kft.errors import DataError
from kft.examples import Calibration, Progress, Quarantined
from kft.modalities import Modality, choose_modality
from kft.modalities.checked import Checked, CheckOptions, TrainedCalibration, to_examples
from kft.modalities.near_duplicates import find_same
from kft.printing import listed
from kft.runs.atomic import write_text


@dataclass(frozen=True)
class Admitted:
    """Usable examples.

    Attributes:
        found: Usable examples of the source, with the paths of the files to read; all others
            are in `found.quarantined`.
        checked: Result of the check of each example, in the order of `found.examples`.
        alike: Sets of indices in `found.examples` that look the same or are the same.
        calibration: Settings determined from all files; None if the modality has none.
    """

    found: Found
    checked: tuple[Checked, ...]
    alike: tuple[tuple[int, ...], ...]
    calibration: Calibration | None = None

    @property
    def digests(self) -> tuple[str, ...]:
        """SHA-256 of each example's file, and of that with its target if there is one."""
        return tuple(each.whole_digest for each in self.checked)

    def count_repaired(self) -> Mapping[str, int]:
        """Count the files that were converted, by reason."""
        return Counter(reason for each in self.checked for reason in each.repaired)

    def count_noticed(self) -> Mapping[str, int]:
        """Count the files with each remark."""
        return Counter(word for each in self.checked for word in each.noticed)


def admit(
    found: Found,
    config: DataConfig,
    progress: Progress | None = None,
    *,
    decode: bool = True,
    trained: TrainedCalibration | None = None,
) -> Admitted:
    """Check every file, and leave out unusable examples.

    Examples are unusable if the file check refuses them, or if they are copies that contradict
    each other or leak from one given split into another.

    Args:
        found: Examples of a source.
        config: The `data` section.
        progress: Called with (files done, files in all).
        decode: See `CheckOptions`.
        trained: See `CheckOptions`.

    Raises:
        DataError: An example is unusable and `data.on_invalid_file` is `stop`, or no example
            of a class is left.
    """
    outcomes = check_files(
        found.examples,
        config,
        progress,
        options=CheckOptions(
            decode=decode,
            with_likeness=is_carved(found, config),
            trained=trained,
            target_names=found.class_names,
        ),
    )
    return sort_out(found, outcomes, config, trained)


def is_carved(found: Found, config: DataConfig) -> bool:
    """Whether kft makes a split that must keep near duplicates on one side."""
    if config.split.file is not None or config.split.near_duplicates == "ignore":
        return False
    given = set(found.given_splits or ())
    shares = {"validation": config.validation, "holdout": config.holdout}
    wanted = {name for name, share in shares.items() if share > 0.0 and name not in given}
    return bool(wanted) or config.split.folds is not None


def sort_out(
    found: Found,
    outcomes: Sequence[Checked | Quarantined],
    config: DataConfig,
    trained: TrainedCalibration | None = None,
) -> Admitted:
    """Leave out refused files, and copies that contradict each other or leak.

    Args:
        found: Examples of a source.
        outcomes: Result of the file check of each example.
        config: The `data` section.
        trained: See `CheckOptions`.

    Raises:
        DataError: See `admit`.
    """
    quarantined = {
        position: outcome
        for position, outcome in enumerate(outcomes)
        if isinstance(outcome, Quarantined)
    }
    modality = choose_modality(config)
    quarantined |= _find_copies(found, outcomes, modality.noun)
    refused = [quarantined[position] for position in sorted(quarantined)]
    refuse_bad(
        refused,
        len(outcomes),
        on_invalid_file=config.on_invalid_file,
        source=found.source,
        what=modality.nouns,
    )
    kept = [position for position in range(len(outcomes)) if position not in quarantined]
    _refuse_lost_classes(found, kept, quarantined, modality.noun)
    checked = tuple(each for i in kept if isinstance(each := outcomes[i], Checked))
    return Admitted(
        _keep(found, kept, checked, refused),
        checked,
        tuple(_find_alike(checked, modality)),
        modality.calibrate(checked, modality.settings_of(config), trained),
    )


def _find_copies(
    found: Found, outcomes: Sequence[Checked | Quarantined], noun: str
) -> dict[int, Quarantined]:
    usable = [(i, each) for i, each in enumerate(outcomes) if isinstance(each, Checked)]
    reasons = find_bad_copies(
        [each.name for _, each in usable],
        [each.digest for _, each in usable],
        [
            found.task.format(found.examples.targets[i], found.class_names)
            if each.target is None
            else f"the mask {each.target.digest[:8]}"
            for i, each in usable
        ],
        found.given_splits and [found.given_splits[i] for i, _ in usable],
        noun=noun,
    )
    positions = [i for i, _ in usable]
    return {
        positions[place]: Quarantined(usable[place][1].name, usable[place][1].path, reason)
        for place, reason in reasons.items()
    }


def _refuse_lost_classes(
    found: Found, kept: Sequence[int], quarantined: Mapping[int, Quarantined], noun: str
) -> None:
    """Refuse a class that has lost all its training examples."""
    if not found.task.has_classes:
        return
    splits = found.given_splits or ("train",) * len(found.examples)
    classes = found.examples.targets.tolist()
    has = {classes[i] for i in kept if splits[i] == "train"}
    lost = {which for which, split in zip(classes, splits, strict=True) if split == "train"} - has
    if not lost:
        return
    names = [found.class_names[index] for index in sorted(lost)]
    of_these = [
        bad for i, bad in quarantined.items() if classes[i] in lost and splits[i] == "train"
    ]
    where = " in the train split" if found.given_splits else ""
    raise DataError(
        f"{found.source}: no {noun} of class {listed(names)}{where} can be used. Replace them, "
        "or remove the class.\n" + list_bad(of_these)
    )


def _keep(
    found: Found, kept: Sequence[int], checked: Sequence[Checked], refused: Iterable[Quarantined]
) -> Found:
    taken = found.take(kept)
    examples = to_examples(checked, taken.examples.targets)
    return replace(
        taken,
        examples=replace(examples, metadata=taken.examples.metadata),
        quarantined=(*found.quarantined, *refused),
    )


def _find_alike(checked: Sequence[Checked], modality: Modality) -> Iterable[tuple[int, ...]]:
    yield from modality.find_look_alikes(checked)
    # Examples with a perceptual hash are already in the sets above.
    for places in find_same([each.digest for each in checked]):
        if checked[places[0]].likeness is None:
            yield places


def write_quarantine_csv(quarantined: Sequence[Quarantined], path: Path | str) -> None:
    """Write the columns file and reason, one line per example; no file if there are none."""
    if not quarantined:
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "reason"])
    writer.writerows((bad.name, bad.reason) for bad in quarantined)
    write_text(path, text.getvalue())
