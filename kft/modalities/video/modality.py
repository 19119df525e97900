"""Videos as a modality: the one place that the rest of kft reaches them by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from kft.config import VideoConfig
from kft.errors import ConfigError
from kft.examples import Examples
from kft.findings import Finding
from kft.modalities.audit_records import Fact, Measure, Property
from kft.modalities.base import Modality
from kft.modalities.checked import CheckOptions, FileContent, UnusableError
from kft.modalities.explained import ExplainedExample
from kft.modalities.model_input import Augmentation, Decoder, InputSpec
from kft.modalities.showing import PREVIEW_SIDE, ViewRow
from kft.modalities.video import picture_reading, traits
from kft.modalities.video.containers import find_container
from kft.modalities.video.file_check import check_video
from kft.modalities.video.frame_file import ENDING, MAGIC
from kft.modalities.video.input_spec import CLIP, VideoSpec
from kft.modalities.video.inspection import CheckedVideo, Inspection
from kft.modalities.video.keeping import describe_keeping
from kft.modalities.video.quality import find_poor
from kft.modalities.video.values import encode_videos, pack_exactly
from kft.registry import Registry

# More than a minute of most videos takes: 64 megabits per second, as phones store 4K.
_BYTES_PER_MINUTE = 60 * 8_000_000


class VideoModality(Modality):
    """Videos: actions, gestures, machines, animals, scans over time."""

    name = "video"
    noun = "video"
    nouns = "videos"
    settings = VideoConfig
    input_spec = VideoSpec
    default_backbone = "frames:mobilenet_v2"
    endings = (
        *(".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ogv", ".wmv"),
        *(".flv", ".3gp", ".gif", ENDING),
    )
    signatures: ClassVar[Mapping[bytes, str]] = {
        b"GIF8": ".gif",
        b"\x1aE\xdf\xa3": ".webm",
        MAGIC: ENDING,
    }
    reads_folders = True
    values = "the path of a file or folder, or frames uint8 (frames, height, width, 3)"
    record_features: ClassVar[Mapping[str, str]] = {
        "tfrecord": "video/encoded",
        "tfrecord_label": "video/class/label",
        "tfds": "video",
    }
    augmentations = Registry(
        "augmentation",
        {
            "none": "kft.modalities.model_input:make_no_augmentation",
            "start": "kft.modalities.video.augmentation:make_start",
            "light": "kft.modalities.video.augmentation:make_light",
            "medium": "kft.modalities.video.augmentation:make_medium",
            "strong": "kft.modalities.video.augmentation:make_strong",
        },
    )
    reading_settings = frozenset({"max_minutes", "max_megapixels"})
    most_different_bits = 4

    def find_ending(self, content: bytes) -> str | None:
        """See `Modality`; MP4 and AVI are told by later bytes, since other files begin so."""
        if content[4:8] == b"ftyp":
            return ".mp4"
        if content[:4] == b"RIFF" and content[8:12] == b"AVI ":
            return ".avi"
        return super().find_ending(content)

    def joins(self, names: Sequence[str]) -> bool:
        """See `Modality`: a folder of pictures and nothing else holds the frames of a video."""
        return picture_reading.holds_frames(names)

    def read_joined(self, folder: str, settings: VideoConfig) -> bytes:
        """See `Modality`."""
        return picture_reading.read_folder(folder, settings)

    def encode_feature(self, feature: Any) -> Callable[[Any], bytes]:
        """See `Modality`: frames become a file of PNG pictures."""
        import tensorflow_datasets as tfds

        if not isinstance(feature, tfds.features.Video):
            raise UnusableError("Expected a Video.")
        return pack_exactly

    def encode_value(self, value: Any) -> tuple[bytes, ...] | None:
        """See `Modality`: arrays of frames become files of PNG pictures."""
        return encode_videos(value)

    def refuse_early(self, start: bytes, size: int, settings: VideoConfig) -> None:
        """See `Modality`: what begins as no video does, and what is too large for one."""
        find_container(start)
        if size > _BYTES_PER_MINUTE * settings.max_minutes:
            raise UnusableError(
                f"{size / 1e9:.3g} GB; a video of {settings.max_minutes:g} minutes, the most that "
                "are decoded (data.video.max_minutes), takes less at 64 megabits per second"
            )

    def check(
        self, file: FileContent, settings: VideoConfig, options: CheckOptions
    ) -> CheckedVideo:
        """See `Modality`."""
        return check_video(file, settings, options)

    def fit_spec(self, spec: VideoSpec, settings: VideoConfig, examples: Examples) -> VideoSpec:
        """See `Modality`: the spare frames, as set.

        Raises:
            ConfigError: The backbone reads larger frames than are kept.
        """
        least = min(spec.height, spec.width)
        if least > settings.kept_side:
            raise ConfigError(
                f"data.video.kept_side: found {settings.kept_side}, but the backbone reads frames "
                f"of {spec.height} x {spec.width} pixels. Set it to at least {least}."
            )
        return replace(spec, spare=settings.spare)

    def make_decoder(
        self, spec: VideoSpec, settings: VideoConfig, calibrated: Any = None
    ) -> Decoder:
        """See `Modality`."""
        from kft.modalities.video.decoding import VideoDecoder

        return VideoDecoder(
            frames=spec.frames + spec.spare,
            height=spec.height,
            width=spec.width,
            stride=None if settings.stride == "auto" else settings.stride,
            resize=settings.resize,
        )

    def make_augmentation(self, preset: str, settings: Any = None) -> Augmentation | None:
        """See `Modality`; a clip starts at one of the spare frames."""
        made: Any = super().make_augmentation(preset, settings)
        return made if made is None or settings is None else replace(made, spare=settings.spare)

    def reading_key(self, settings: VideoConfig) -> str:
        """See `Modality`."""
        return describe_keeping(settings)

    def describe_input(
        self, spec: InputSpec, settings: VideoConfig, calibrated: Any
    ) -> dict[str, Any]:
        """See `Modality`; with what the signatures of an export take."""
        clip = f"float32 (batch, {', '.join(map(str, spec.elements[CLIP].shape))})"
        accepted = {
            "encoded": "bytes of animated GIFs, or of files of frames as kft keeps them; films are "
            "not decoded in the graph",
            CLIP: f"frames in order, {clip}, RGB from 0 to 255",
        }
        return {**super().describe_input(spec, settings, calibrated), "accepted": accepted}

    def find_poor(self, checked: Sequence[Inspection]) -> tuple[Finding, ...]:
        """See `Modality`: black, frozen, short."""
        return find_poor(checked)

    def list_properties(self, checked: Sequence[Inspection]) -> tuple[Property, ...]:
        """See `Modality`."""
        return traits.list_properties(checked)

    def list_measures(self, checked: Sequence[Inspection]) -> tuple[Measure, ...]:
        """See `Modality`."""
        return traits.list_measures(checked)

    def name_kinds(self, checked: Sequence[Inspection]) -> tuple[str, ...]:
        """See `Modality`."""
        return traits.name_kinds(checked)

    def summarise(self, checked: Sequence[Inspection]) -> tuple[Fact, ...]:
        """See `Modality`."""
        return traits.summarise(checked)

    def summarise_group(self, checked: Sequence[Inspection]) -> tuple[Fact, ...]:
        """See `Modality`."""
        return traits.summarise_group(checked)

    def preview(
        self, path: str, settings: VideoConfig, calibrated: Any = None, *, side: int = PREVIEW_SIDE
    ) -> str | None:
        """See `Modality`: four frames."""
        from kft.modalities.video.preview import make_data_uri

        return make_data_uri(path, side)

    def draw_views(self, rows: Sequence[ViewRow], caption: str) -> bytes:
        """See `Modality`: frames side by side."""
        from kft.modalities.video.preview import draw_views

        return draw_views(rows, caption)

    def draw_explanation(
        self, spec: VideoSpec, example: ExplainedExample, values: np.ndarray
    ) -> bytes:
        """See `Modality`: the frames in which most happens."""
        from kft.modalities.video.overlays import draw_over_frames

        return draw_over_frames(example.shown, values)
