"""Contract of every modality."""

from __future__ import annotations

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
