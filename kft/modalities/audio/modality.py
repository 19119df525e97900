"""Recordings as a modality: the one place that the rest of kft reaches them by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from kft.config import AudioConfig
from kft.errors import ConfigError
from kft.examples import Examples
from kft.findings import Finding
from kft.modalities.audio import conversion, traits
from kft.modalities.audio.containers import find_container
from kft.modalities.audio.file_check import check_recording
from kft.modalities.audio.input_spec import AudioSpec
from kft.modalities.audio.inspection import CheckedRecording, Inspection
from kft.modalities.audio.lengths import choose_seconds
from kft.modalities.audio.quality import find_poor
from kft.modalities.audit_records import Fact, Measure, Property
from kft.modalities.base import Modality
from kft.modalities.checked import CheckOptions, FileContent, UnusableError
from kft.modalities.corruptions import Corruption
from kft.modalities.explained import ExplainedExample
from kft.modalities.model_input import Decoder
from kft.modalities.showing import PREVIEW_SIDE, ViewRow
from kft.registry import Registry

# More than a minute of most recordings takes: two channels of 32 bits at 96 kHz.
_BYTES_PER_MINUTE = 60 * 2 * 4 * 96_000
# Length of a recording in a benchmark: a spoken sentence.
_USUAL_SECONDS = 2.0


class AudioModality(Modality):
    """Recordings: speech, music, machines, animals."""

    name = "audio"
    noun = "recording"
    nouns = "recordings"
    settings = AudioConfig
    input_spec = AudioSpec
    default_backbone = "yamnet"
    # Used, converted, or refused for their content.
    endings = (
        *(".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au"),
        *(".caf", ".w64", ".m4a", ".aac", ".wma", ".amr"),
    )
    signatures: ClassVar[Mapping[bytes, str]] = {
        b"RF64": ".wav",
        b"fLaC": ".flac",
        b"OggS": ".ogg",
        b"ID3": ".mp3",
        b"\xff\xfb": ".mp3",
    }
    values = "the path of a file or folder, or a pair (samples, rate)"
    record_features: ClassVar[Mapping[str, str]] = {
        "tfrecord": "audio/encoded",
        "tfrecord_label": "audio/class/label",
        "tfds": "audio",
    }
    augmentations = Registry(
        "augmentation",
        {
            "none": "kft.modalities.model_input:make_no_augmentation",
            "light": "kft.modalities.audio.augmentation:make_light",
            "medium": "kft.modalities.audio.augmentation:make_medium",
            "strong": "kft.modalities.audio.augmentation:make_strong",
        },
    )
    reading_settings = frozenset({"max_minutes"})
    # Of 64. Measured on spoken digits: copies that are softer, at another rate, noisy (30 dB) or
    # saved as Vorbis or MP3 differ in at most 6 in 86 to 100 of 100 cases, and of 19,900 pairs of
    # others the two most alike in 8.
    most_different_bits = 6

    def find_ending(self, content: bytes) -> str | None:
        """See `Modality`; a WAV file is told by its ninth byte, since other files begin so."""
        if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
            return ".wav"
        return super().find_ending(content)

    def encode_feature(self, feature: Any) -> Callable[[Any], bytes] | None:
        """See `Modality`: samples become a WAV file."""
        encode: Callable[[Any], bytes] = conversion.encode_feature(feature)
        return encode

    def encode_value(self, value: Any) -> tuple[bytes, ...] | None:
        """See `Modality`: samples with their rate become a WAV file."""
        from kft.modalities.audio.values import encode_recording

        return encode_recording(value)

    def refuse_early(self, start: bytes, size: int, settings: AudioConfig) -> None:
        """See `Modality`: what begins as no recording does, and what is too large for one."""
        find_container(start)
        if size > _BYTES_PER_MINUTE * settings.max_minutes:
            raise UnusableError(
                f"{size / 1e9:.3g} GB; a recording of {settings.max_minutes:g} minutes, the most "
                "that are decoded (data.audio.max_minutes), takes less in two channels of 32 bits "
                "at 96 kHz"
            )

    def check(
        self, file: FileContent, settings: AudioConfig, options: CheckOptions
    ) -> CheckedRecording:
        """See `Modality`."""
        return check_recording(file, settings, options)

    def fit_spec(self, spec: AudioSpec, settings: AudioConfig, examples: Examples) -> AudioSpec:
        """See `Modality`: the length, as set, or by the training recordings.

        Raises:
            ConfigError: The backbone has no positions for recordings of this length.
        """
        seconds = choose_seconds(examples) if settings.seconds == "auto" else settings.seconds
        return _with_seconds(spec, seconds)

    def suppose_spec(self, spec: AudioSpec, settings: AudioConfig) -> AudioSpec:
        """See `Modality`: the length as set, or else two seconds."""
        return _with_seconds(
            spec, _USUAL_SECONDS if settings.seconds == "auto" else settings.seconds
        )

    def make_decoder(
        self, spec: AudioSpec, settings: AudioConfig, calibrated: Any = None
    ) -> Decoder:
        """See `Modality`; the length must have been decided."""
        from kft.modalities.audio.decoding import AudioDecoder

        assert spec.num_samples is not None, "fit_spec decides the length"
        num_windows = spec.num_samples / spec.rate / settings.window_seconds
        return AudioDecoder(
            rate=spec.rate,
            num_samples=spec.num_samples,
            num_windows=max(1, round(num_windows)),
            fill=settings.fill,
        )

    def reading_key(self, settings: AudioConfig) -> str:
        """See `Modality`."""
        return str(conversion.VERSION)

    def find_poor(self, checked: Sequence[Inspection]) -> tuple[Finding, ...]:
        """See `Modality`: short, soft, clipped, mostly quiet."""
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
        self, path: str, settings: AudioConfig, calibrated: Any = None, *, side: int = PREVIEW_SIDE
    ) -> str | None:
        """See `Modality`: a spectrogram."""
        from kft.modalities.audio.preview import make_data_uri

        return make_data_uri(path, side)

    def draw_views(self, rows: Sequence[ViewRow], caption: str) -> bytes:
        """See `Modality`: spectrograms."""
        from kft.modalities.audio.preview import draw_views

        return draw_views(rows, caption)

    def list_corruptions(self) -> tuple[Corruption, ...]:
        """See `Modality`."""
        from kft.modalities.audio.corruptions import CORRUPTIONS

        return CORRUPTIONS

    def draw_explanation(
        self, spec: AudioSpec, example: ExplainedExample, values: np.ndarray
    ) -> bytes:
        """See `Modality`: over the spectrogram or the waveform that the backbone reads."""
        from kft.modalities.audio.overlays import draw_over_spectrogram, draw_over_waveform

        draw = draw_over_waveform if values.ndim == 1 else draw_over_spectrogram
        return draw(example.shown, values)


def _with_seconds(spec: AudioSpec, seconds: float) -> AudioSpec:
    num_samples = round(seconds * spec.rate)
    if spec.longest is not None and num_samples > spec.longest:
        raise ConfigError(
            f"data.audio.seconds: {seconds:g}, but the backbone has positions for "
            f"{spec.longest / spec.rate:g} s. Set it to at most this; longer recordings are heard "
            "in windows."
        )
    return replace(spec, num_samples=num_samples)
