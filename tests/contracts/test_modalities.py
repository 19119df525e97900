"""What every modality promises, and that one from outside is taken like those of kft."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kft.config import DataConfig, ModalityConfig, list_modalities
from kft.modalities import MODALITIES, load_modality

MODALITY = [pytest.param(load_modality(name), id=name) for name in MODALITIES]


@pytest.mark.parametrize("modality", MODALITY)
def test_a_modality_has_its_name_and_its_section(modality):
    assert MODALITIES[modality.name].endswith(type(modality).__name__)
    assert modality.name in list_modalities()
    settings = modality.settings_of(DataConfig())
    assert isinstance(settings, ModalityConfig) and type(settings) is modality.settings
    assert modality.reading_settings <= set(modality.settings.model_fields)
    assert settings.augmentation in modality.augmentations


@pytest.mark.parametrize("modality", MODALITY)
def test_endings_and_signatures_agree(modality):
    assert modality.endings and all(ending == ending.lower() for ending in modality.endings)
    assert set(modality.signatures.values()) <= set(modality.endings)
    for start, ending in modality.signatures.items():
        assert modality.find_ending(start + bytes(20)) == ending
        assert modality.has_ending(f"A{ending.upper()}")
    assert modality.find_ending(b"nothing of the kind") is None


SERIES = """
from dataclasses import dataclass, field
import numpy as np
from kft.config import ModalityConfig
from kft.modalities import InputSpec, Modality
from kft.modalities.checked import Checked, UnusableError

@dataclass(frozen=True)
class SeriesSpec(InputSpec):
    steps: int
    modality: str = field(default="series", kw_only=True)
    shape = property(lambda self: (self.steps, 1))
    name = property(lambda self: "series")

class SeriesConfig(ModalityConfig):
    steps: int = 4

@dataclass(frozen=True)
class SeriesDecoder:
    steps: int

    @property
    def output(self):
        import tensorflow as tf
        values = tf.TensorSpec((self.steps, 1), tf.float32)
        return {"values": values, "length": tf.TensorSpec((), tf.int32)}

    def __call__(self, content):
        import tensorflow as tf
        values = tf.strings.to_number(tf.strings.split(tf.strings.strip(content), ","))
        length = tf.size(values)
        padded = tf.pad(values[:self.steps], [[0, tf.maximum(0, self.steps - length)]])
        return {"values": tf.ensure_shape(padded[:, tf.newaxis], (self.steps, 1)), "length": length}

class SeriesModality(Modality):
    name, noun, nouns, settings, input_spec = "series", "series", "series", SeriesConfig, SeriesSpec
    endings = (".num",)

    def check(self, file, settings, options):
        try:
            [float(value) for value in file.content.decode().split(",")]
        except ValueError as error:
            raise UnusableError(f"not numbers: {error}") from None
        return Checked(file.name, file.path, file.digest, file.size, file.changed_ns)

    def make_decoder(self, spec, settings, calibrated=None):
        return SeriesDecoder(spec.steps)
"""
USE = """
import sys
from kft.config import load_pipeline
from kft.data import load_splits
from kft.data.batches.decoded import make_decoded_cache
from kft.data.batches.pipeline import make_dataset
from kft.modalities import choose_modality, load_modality, register_modality

register_modality("series", "series_modality:SeriesModality")
register_modality("series", "series_modality:SeriesModality")
config = load_pipeline(sys.argv[1], ["data.series.steps=3"]).data
assert choose_modality(config).name == "series" and config.series.steps == 3
splits = load_splits(config)
assert splits.modality == "series" and [bad.name for bad in splits.quarantined] == ["up/bad.num"]
modality = load_modality("series")
decoder = modality.make_decoder(modality.input_spec(3), config.series)
batches = []
for mode in ("memory", "disk", "none"):
    cache = make_decoded_cache(
        splits.train, decoder, mode=mode, megabytes=1, content_key="k", limit_gigabytes=1
    )
    inputs, targets = next(iter(make_dataset(splits.train, decoder, batch_size=4, cache=cache)))
    assert inputs["values"].dtype == "float32" and inputs["length"].dtype == "int32"
    batches.append({name: value.numpy().tolist() for name, value in inputs.items()})
assert batches[0] == batches[1] == batches[2], batches
print(batches[0]["length"])
"""


def test_a_modality_from_outside_is_read_checked_split_decoded_and_kept(tmp_path):
    (tmp_path / "series_modality.py").write_text(SERIES)
    generator = np.random.default_rng(0)
    for name in ("up", "down"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(6):
            numbers = ",".join(map(str, generator.integers(0, 9, 5)))
            (tmp_path / "data" / name / f"{i}.num").write_text(f"{i},{numbers}")
    (tmp_path / "data" / "up" / "bad.num").write_text("one,two")
    result = subprocess.run(
        [sys.executable, "-c", USE, str(tmp_path / "data")],
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}",
            "KFT_CACHE_DIR": str(tmp_path / "cache"),
        },
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[6, 6, 6, 6]"
