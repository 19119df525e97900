"""Found examples -> train, validation and holdout: seeded, stratified, whatever the file order."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kft.config.schema import DataConfig
from kft.data.found import Found, listed
from kft.data.splits import SPLIT_NAMES, Examples, SplitName, Splits, TargetKind
from kft.errors import DataError
from kft.runs.atomic import write_text


def split_examples(found: Found, config: DataConfig) -> dict[SplitName, Examples]:
    """The examples of each split, in the order of their ids.

    Splits that the source names are kept. A missing validation or holdout is
    carved from train: within each class, the examples in the order of
    SHA-256(split_seed, id) are dealt out by the configured shares. The same
    ids and targets give the same split, and adding a file moves few others.

    Raises:
        DataError: A class has too few examples for the splits asked for, or
            nothing is left to train on.
    """
    order = sorted(range(len(found.examples)), key=lambda i: found.examples.ids[i])
    examples = found.examples.take(order)
    given = ["train"] * len(order)
    if found.given_splits is not None:
        given = [found.given_splits[i] for i in order]
    members: dict[SplitName, list[int]] = {name: [] for name in SPLIT_NAMES}
    for index, name in enumerate(given):
        members[name].append(index)  # type: ignore[index]
    if not members["train"]:
        raise DataError(f"{found.source}: no example is in the train split.")
    _refuse_unlearnable_classes(examples, members, found)
    shares: dict[SplitName, float] = {
        "validation": 0.0 if members["validation"] else config.validation,
        "holdout": 0.0 if members["holdout"] else config.holdout,
    }
    carved = _carve(examples, members["train"], shares, found, config.split_seed)
    return {
        name: examples.take(sorted(carved[name] + ([] if name == "train" else members[name])))
        for name in SPLIT_NAMES
    }


def _refuse_unlearnable_classes(
    examples: Examples, members: dict[SplitName, list[int]], found: Found
) -> None:
    """Refuse a class that has examples, but none in train."""
    if found.target_kind != "class":
        return
    learned = set(examples.targets[members["train"]].tolist())
    for split in ("validation", "holdout"):
        strange = set(examples.targets[members[split]].tolist()) - learned
        if strange:
            names = [found.class_names[index] for index in sorted(strange)]
            raise DataError(
                f"{found.source}: class {listed(names)} is in the {split} split, but not in train, "
                "so it could never be learned. Add training examples or remove the class."
            )


def _carve(
    examples: Examples,
    indices: Sequence[int],
    shares: dict[SplitName, float],
    found: Found,
    seed: int,
) -> dict[SplitName, list[int]]:
    """Deal `indices` out by `shares`, the rest to train, stratum by stratum."""
    strata: dict[int, list[int]] = {}
    for index in indices:
        stratum = int(examples.targets[index]) if found.target_kind == "class" else 0
        strata.setdefault(stratum, []).append(index)
    carved: dict[SplitName, list[int]] = {name: [] for name in SPLIT_NAMES}
    for stratum, members in sorted(strata.items()):
        name = found.class_names[stratum] if found.target_kind == "class" else None
        counts = _count_shares(len(members), shares, name, found.source)
        queue = sorted(members, key=lambda i: _draw(seed, examples.ids[i]))
        for split, count in counts.items():
            carved[split] += queue[:count]
            queue = queue[count:]
        carved["train"] += queue
    return carved


def _draw(seed: int, example_id: str) -> bytes:
    """The lot of an example: fixed by the seed and its id alone."""
    return hashlib.sha256(f"{seed}\n{example_id}".encode()).digest()


def _count_shares(
    total: int, shares: dict[SplitName, float], class_name: str | None, source: str
) -> dict[SplitName, int]:
    """How many of `total` examples each split takes, at least one, leaving one to train on."""
    wanted = {split: share for split, share in shares.items() if share > 0.0}
    if total < 1 + len(wanted):
        of_class = f"class {class_name!r} has" if class_name is not None else "there are"
        off = " and ".join(f"data.{split}=0" for split in wanted)
        raise DataError(
            f"{source}: {of_class} {total} example{'s' * (total != 1)}, too few for train and "
            f"{' and '.join(wanted)}, which need at least {1 + len(wanted)}. "
            f"Add pictures, remove the class, or set {off}."
        )
    counts = {split: max(1, math.floor(total * share + 0.5)) for split, share in wanted.items()}
    while sum(counts.values()) >= total:
        largest = max(counts, key=lambda split: counts[split])
        counts[largest] -= 1
    return counts


def describe_origin(found: Found, config: DataConfig) -> str:
    """How the split was made, in words."""
    given = [name for name in SPLIT_NAMES if found.given_splits and name in found.given_splits]
    wanted = {"validation": config.validation, "holdout": config.holdout}
    carved = [f"{name} {wanted[name]:g}" for name in wanted if name not in given and wanted[name]]
    parts = [found.source]
    if given:
        parts.append(f"given: {', '.join(given)}")
    if carved:
        how = "stratified by class" if found.target_kind == "class" else "at random"
        whole = "train" if given else "all"
        parts.append(f"taken from {whole} {how}, seed {config.split_seed}: {', '.join(carved)}")
    return "; ".join(parts)


def format_target(target: np.ndarray, kind: TargetKind, class_names: Sequence[str]) -> str:
    """A target as people read it: class name, label names joined by ';', or the numbers."""
    if kind == "class":
        return class_names[int(target)]
    if kind == "labels":
        return ";".join(name for name, on in zip(class_names, target, strict=True) if on > 0.5)
    return ";".join(format(float(value), ".9g") for value in target)


def write_splits_csv(splits: Splits, path: Path | str) -> None:
    """Write the columns split, id, target, one line for each example."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["split", "id", "target"])
    for name in SPLIT_NAMES:
        examples = splits.get(name)
        for example_id, target in zip(examples.ids, examples.targets, strict=True):
            value = format_target(target, splits.target_kind, splits.class_names)
            writer.writerow([name, example_id, value])
    write_text(path, text.getvalue())
