"""Tables of texts, recordings and videos, split anew or as given, for kft and its peers alike."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

from kft.modalities.video.moving_shapes import write_clips

Row = tuple[str, str, str]


@dataclass(frozen=True)
class Table:
    """Labelled examples with their split.

    Attributes:
        path: CSV file for kft: text or path, label, split, and speaker for recordings.
        settings: Of kft's pipeline.
    """

    path: Path
    settings: tuple[str, ...]

    def read(self, *splits: str) -> tuple[list[str], list[str]]:
        """Read the texts or paths, and the labels, of some splits."""
        with self.path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] in splits]
        column = "text" if "text" in rows[0] else "path"
        return [row[column] for row in rows], [row["label"] for row in rows]


def write_sst2(shared: Path, folder: Path, *, size: int | None = None) -> Table:
    """The film-review sentences as they are split; `size` keeps so many of each split."""
    names = {"train": "train", "dev": "validation", "test": "holdout"}
    rows: list[Row] = []
    for name, split in names.items():
        content = (shared / f"data/text/sst2/{name}.tsv").read_text(encoding="utf-8")
        lines = content.rstrip("\n").split("\n")[:size]
        for text, _, label in (line.rpartition("\t") for line in lines):
            rows.append((text, "positive" if label == "1" else "negative", split))
    return _write_texts(rows, folder / "sst2.csv")


def write_sms(shared: Path, folder: Path, seed: int, *, size: int | None = None) -> Table:
    """The messages without exact duplicates, 70 of 100 to learn from, stratified by label."""
    content = (shared / "data/text/sms_spam/sms.tsv").read_text(encoding="utf-8")
    pairs = [line.split("\t", 1) for line in content.rstrip("\n").split("\n")]
    labels = {text: label for label, text in pairs}
    texts = list(labels)[:size]
    train, holdout = train_test_split(
        texts, test_size=0.3, random_state=seed, stratify=[labels[text] for text in texts]
    )
    rows = [(text, labels[text], "train") for text in train]
    rows += [(text, labels[text], "holdout") for text in holdout]
    return _write_texts(rows, folder / "sms_spam.csv")


def _write_texts(rows: Sequence[Row], path: Path) -> Table:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label", "split"), *rows])
    return Table(path, ("data.table.split_column=split",))


def write_digits(shared: Path, folder: Path, seed: int, *, takes: int = 10) -> Table:
    """Spoken digits: of six speakers two are judged, with three seeds each of them once."""
    recordings = shared / "data/audio/spoken_digits/recordings"
    names = sorted(path.name for path in recordings.glob("*.wav"))
    # digit_speaker_take.wav
    parts = {name: name.removesuffix(".wav").split("_") for name in names}
    speakers = sorted({speaker for _, speaker, _ in parts.values()})
    judged = np.roll(speakers, -2 * seed)[:2]
    path = folder / "spoken_digits.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "split", "speaker"))
        for name, (digit, speaker, take) in parts.items():
            if int(take) < takes:
                split = "holdout" if speaker in judged else "train"
                writer.writerow((recordings / name, f"digit {digit}", split, speaker))
    settings = (
        "data.table.split_column=split",
        "data.split.group_column=speaker",
        f"data.table.folder={recordings}",
        f"data.table.allowed_roots=[{recordings}]",
    )
    return Table(path, settings)


def write_shapes(folder: Path, seed: int, *, per_class: int = 60) -> Table:
    """Moving shapes, other ones for each seed: 40 of 60 clips to learn from, 20 are judged."""
    clips = folder / f"moving_shapes_{seed}"
    if not clips.exists():
        write_clips(clips, per_class, seed=seed)
    path = folder / f"moving_shapes_{seed}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "split"))
        for clip in sorted(clips.rglob("*.gif")):
            split = "train" if int(clip.stem) < per_class * 2 // 3 else "holdout"
            writer.writerow((clip, clip.parent.name, split))
    return Table(path, ("data.table.split_column=split", "data.modality=video"))
