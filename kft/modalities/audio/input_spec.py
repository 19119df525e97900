"""The input of a backbone of recordings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kft.modalities.explained import PARTS_PER_AXIS, ExplainedAxes
from kft.modalities.model_input import Element, InputSpec

WAVEFORM = "waveform"
# Layer that computes the spectrogram, by front end.
_SPECTROGRAMS = {"yamnet": "log_mel", "picture": "mel_picture"}
# Parts along time and bands, or along time alone: about 60, as of a picture.
_PARTS_OF_SPECTROGRAM, _PARTS_OF_WAVEFORM = (16, 4), (4 * PARTS_PER_AXIS,)

if TYPE_CHECKING:
    from kft.modalities.image.input_spec import Scaling

FrontEnd = Literal["waveform", "yamnet", "picture", "whisper"]


@dataclass(frozen=True)
class AudioSpec(InputSpec):
    """Waveforms of one channel, and what a backbone reads of them.

    Attributes:
        rate: Samples per second.
        num_samples: Length of the waveform; None until the data decide it.
        front_end: 'waveform': the samples themselves. 'yamnet': log-mel frames of 10 ms, as
            YAMNet was trained. 'picture': log-mel frames as a picture of three equal channels.
            'whisper': log-mel frames, normalised by the loudest, as Whisper was trained.
        bands: Mel bands of a picture, and of Whisper.
        longest: Most samples that the backbone has positions for; None for any number.
        scaling: How the backbone of a picture scales pixels in [0, 255].
    """

    rate: int
    num_samples: int | None = None
    front_end: FrontEnd = "waveform"
    bands: int = 64
    scaling: Scaling = "none"
    longest: int | None = None
    modality: str = field(default="audio", kw_only=True)

    @property
    def elements(self) -> Mapping[str, Element]:
        """One waveform."""
        return {WAVEFORM: Element((self.num_samples,))}

    def prepare(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """See `InputSpec`: from the waveform to what the backbone saw in pretraining."""

        return {WAVEFORM: self._make_front_end(inputs[WAVEFORM])}

    @property
    def explained(self) -> ExplainedAxes:
        """See `InputSpec`: time and frequency of the spectrogram, or time alone."""
        layer = _SPECTROGRAMS.get(self.front_end)
        if layer is None:
            return ExplainedAxes(WAVEFORM, ("time",), _PARTS_OF_WAVEFORM)
        return ExplainedAxes(layer, ("time", "frequency"), _PARTS_OF_SPECTROGRAM)

    def make_neutral(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See `InputSpec`: silence."""
        return {**inputs, WAVEFORM: np.zeros_like(inputs[WAVEFORM])}

    def _make_front_end(self, waveform: Any) -> Any:
        from kft.modalities.audio.front_end import LogMel, MelPicture, WhisperLogMel

        if self.front_end == "whisper":
            return WhisperLogMel(self.bands, name="whisper_log_mel")(waveform)
        if self.front_end == "yamnet":
            return LogMel(name=_SPECTROGRAMS["yamnet"])(waveform)
        if self.front_end == "picture":
            from kft.modalities.image.scaling import PixelScaling

            name = _SPECTROGRAMS["picture"]
            picture = MelPicture(self.rate, self.bands, name=name)(waveform)
            return PixelScaling(self.scaling, name="pixel_scaling")(picture)
        return waveform

    def __str__(self) -> str:
        """Length and rate as people read them."""
        seconds = "" if self.num_samples is None else f"{self.num_samples / self.rate:g} s at "
        return f"{seconds}{self.rate / 1000:g} kHz"
