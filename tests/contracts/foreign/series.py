"""A modality that kft knows nothing of: tables of numbers over time, one column a channel."""

from __future__ import annotations

from dataclasses import dataclass, field

import tensorflow as tf

from kft.config import ModalityConfig
from kft.modalities import InputSpec, Modality
from kft.modalities.checked import Checked, UnusableError
from kft.modalities.model_input import PADDING_MASK, Element


@dataclass(frozen=True)
class SeriesSpec(InputSpec):
    """Up to `steps` rows of `channels` numbers, and which of the rows are padding."""

    steps: int
    channels: int
    modality: str = field(default="series", kw_only=True)

    @property
    def elements(self):
        values = Element((self.steps, self.channels))
        return {"values": values, PADDING_MASK: Element((self.steps,), "int32")}


class SeriesConfig(ModalityConfig):
    """Settings at `data.series`."""

    delimiter: str = ","
    """Character between the columns."""


@dataclass(frozen=True)
class SeriesDecoder:
    """Decoder of text with a line for each row."""

    spec: SeriesSpec
    delimiter: str

    @property
    def output(self):
        elements = self.spec.elements.items()
        return {name: tf.TensorSpec(each.shape, each.dtype) for name, each in elements}

    def __call__(self, content):
        lines = tf.strings.split(tf.strings.strip(content), "\n")[: self.spec.steps]
        rows = tf.strings.to_number(tf.strings.split(lines, self.delimiter).to_tensor("0"))
        rows = tf.reshape(rows, (-1, self.spec.channels))
        count = self.spec.steps - tf.shape(rows)[0]
        mask = tf.pad(tf.ones(tf.shape(rows)[:1], tf.int32), [[0, count]])
        values = tf.pad(rows, [[0, count], [0, 0]])
        given = (("values", values), (PADDING_MASK, mask))
        return {name: tf.ensure_shape(each, self.output[name].shape) for name, each in given}


class SeriesModality(Modality):
    """Tables of numbers."""

    name, noun, nouns = "series", "table", "tables"
    settings, input_spec, endings = SeriesConfig, SeriesSpec, (".series",)

    def check(self, file, settings, options):
        lines = [line.split(settings.delimiter) for line in file.content.decode().split()]
        try:
            [float(value) for line in lines for value in line]
        except ValueError as error:
            raise UnusableError(f"not numbers: {error}") from None
        return Checked(file.name, file.path, file.digest, file.size, file.changed_ns)

    def make_decoder(self, spec, settings, calibrated=None):
        return SeriesDecoder(spec, settings.delimiter)
