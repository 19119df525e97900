"""A temporal network and the mean over frames, on moving shapes that the program makes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kft.demos.demonstration import Comparison, Demonstration, Place
from kft.modalities.video.moving_shapes import DIRECTIONS, write_clips

FOR_TRAINING, FOR_HOLDOUT = 30, 20
SETTINGS = (
    "data.modality=video",
    "data.validation=0",
    "backbone.weights=random",
    "backbone.input_size=32",
    "backbone.options.frames=12",
    "strategy.name=full",
    "strategy.duration=30 epochs",
    "strategy.learning_rate=3e-3",
)


class VideoDemonstration(Demonstration):
    """Learn the direction of motion, which no frame shows, with and without the order of frames."""

    heading = "moving shapes, four directions"
    conditions = f"Both trained on {FOR_TRAINING} labelled videos of each class. Chance is .25."
    questions = "animated GIFs"
    own = "videos"
    example = "kft train FOLDER data.modality=video"

    def prepare(self, place: Place) -> Sequence[Comparison]:
        """See `Demonstration`."""
        data = place.directory / "moving_shapes"
        place.display.stage(f"Writing moving shapes as animated GIFs to {data}")
        write_clips(data / "train", FOR_TRAINING, seed=0)
        write_clips(data / "holdout", FOR_HOLDOUT, seed=1)
        return (
            Comparison(
                "small_3d_cnn, which sees the order of frames",
                "Training small_3d_cnn from random weights",
                data,
                (*SETTINGS, "backbone.name=small_3d_cnn", "backbone.options.width=8"),
            ),
            Comparison(
                "frames:small_cnn, the mean over frames",
                "Training a network of pictures, averaged over the frames",
                data,
                (*SETTINGS, "backbone.name=frames:small_cnn", "backbone.options.width=4"),
            ),
        )

    def list_questions(self, directory: Path) -> Sequence[Path]:
        """See `Demonstration`."""
        holdout = directory / "moving_shapes" / "holdout"
        return [holdout / direction / "000.gif" for direction in DIRECTIONS]
