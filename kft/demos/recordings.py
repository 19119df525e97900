"""Pretraining and fine-tuning on sounds that the program makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kft.demos.demonstration import (
    Comparison,
    Demonstration,
    Place,
    pretrain_and_compare,
)
from kft.modalities.audio.conversion import encode_wav

RATE = 8_000
FOR_PRETRAINING, FOR_TRAINING, FOR_HOLDOUT = 60, 8, 40

# The pitch over the time from 0 to 1, in octaves above the lowest. All classes have the same
# pitches, lengths, timbres and noise: only the course in time tells them apart.
Course = Callable[[np.ndarray], np.ndarray]
FIRST: dict[str, Course] = {
    "rising": lambda time: time,
    "falling": lambda time: 1 - time,
    "siren": lambda time: 0.5 + 0.5 * np.sin(6 * np.pi * time),
    "steps_up": lambda time: np.floor(4 * time) / 3,
    "two_tones": lambda time: np.floor(6 * time) % 2,
}
SECOND: dict[str, Course] = {
    "hill": lambda time: 1 - np.abs(2 * time - 1),
    "valley": lambda time: np.abs(2 * time - 1),
    "steps_down": lambda time: 1 - np.floor(4 * time) / 3,
    "saw": lambda time: 3 * time % 1,
    "trill": lambda time: np.floor(12 * time) % 2,
}
SETTINGS = (
    "data.validation=0",
    "data.audio.seconds=0.6",
    "data.audio.fill=silence",
    "data.audio.augmentation=light",
)
BACKBONE = (
    "backbone.name=logmel:small_cnn",
    "backbone.weights=random",
    "backbone.input_size=32",
    "strategy.duration=15 epochs",
)


class RecordingDemonstration(Demonstration):
    """Pretrain on five courses of pitch, fine-tune on five others, compare with random weights."""

    heading = "logmel:small_cnn, five sounds"
    conditions = f"Both trained on {FOR_TRAINING} labelled recordings of each class."
    questions = "WAV files"
    own = "recordings"

    def prepare(self, place: Place) -> Sequence[Comparison]:
        """See `Demonstration`."""
        directory = place.directory
        place.display.stage(f"Writing sounds as WAV files to {directory}")
        write_sounds(directory)
        return pretrain_and_compare(
            place,
            Comparison(
                "pretrained",
                f"Pretraining a small network on {', '.join(FIRST)}",
                directory / "first-sounds",
                BACKBONE,
            ),
            Comparison(
                f"pretrained on {len(FIRST)} other sounds, then fine-tuned",
                f"Fine-tuning it on {', '.join(SECOND)}, with {FOR_TRAINING} recordings each",
                directory / "second-sounds",
            ),
            SETTINGS,
        )

    def list_questions(self, directory: Path) -> Sequence[Path]:
        """See `Demonstration`."""
        return [directory / f"second-sounds/holdout/{name}/000.wav" for name in SECOND]


def write_sounds(directory: Path) -> None:
    """Write WAV files in class folders: one set for pretraining, one with train and holdout."""
    random = np.random.default_rng(0)
    for name, course in FIRST.items():
        _write(directory / "first-sounds" / name, course, FOR_PRETRAINING, random)
    for name, course in SECOND.items():
        for split, count in (("train", FOR_TRAINING), ("holdout", FOR_HOLDOUT)):
            _write(directory / "second-sounds" / split / name, course, count, random)


def _write(folder: Path, course: Course, count: int, random: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number:03d}.wav").write_bytes(encode_wav(make_sound(course, random), RATE))


def make_sound(course: Course, random: np.random.Generator) -> np.ndarray:
    """Make a tone of a random pitch, range, timbre, length and level in noise: (samples,)."""
    size = round(RATE * random.uniform(0.4, 0.6))
    octaves = random.uniform(0.7, 1.3) * course(np.linspace(0.0, 1.0, size, endpoint=False))
    hertz = random.uniform(250.0, 700.0) * 2.0**octaves
    angle = 2 * np.pi * np.cumsum(hertz) / RATE
    sound = sum(np.sin(part * angle) * random.uniform(0, 1) / part for part in (1, 2, 3))
    sound = sound / np.abs(sound).max() + random.uniform(0.05, 0.3) * random.normal(size=size)
    return random.uniform(0.1, 0.5) * sound / np.abs(sound).max()
