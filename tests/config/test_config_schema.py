"""The typed pipeline is frozen and documents every setting."""

import pytest
from pydantic import ValidationError

from kft.backbones import BACKBONES
from kft.config import DataConfig, HeadConfig, Pipeline, StrategyConfig, load_pipeline
from kft.config.section import Section
from kft.modalities import MODALITIES, load_modality
from kft.strategies import STRATEGIES
from kft.task_names import TASKS, list_target_words

SECTIONS = sorted(Section.__subclasses__(), key=lambda section: section.__name__)


def test_there_are_sections():
    assert len(SECTIONS) >= 10
    assert Pipeline in SECTIONS


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_a_section_cannot_be_changed(section):
    value = section(values=(1,)) if "values" in section.model_fields else section()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(value, next(iter(section.model_fields)), None)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_setting_is_documented(section):
    silent = {
        name
        for name, field in section.model_fields.items()
        if not field.description and not isinstance(field.default, Section)
    }
    assert not silent


def choices(section: type[Section], key: str) -> set[str]:
    return set(section.model_json_schema()["properties"][key]["enum"])


def test_the_choices_of_the_pipeline_match_the_registries():
    assert choices(HeadConfig, "name") == {"auto", *TASKS}
    assert choices(DataConfig, "target") == {"auto", *list_target_words()}
    assert choices(StrategyConfig, "name") == set(STRATEGIES)
    for modality in map(load_modality, MODALITIES):
        prefix, _, inner = modality.default_backbone.rpartition(":")
        assert inner in BACKBONES, f"{prefix}: wraps another"


def test_a_tilde_in_a_folder_is_the_users_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    pipeline = load_pipeline(None, ["runs_directory=~/runs", "export.directory=~/models"])
    assert pipeline.output_folders == ("/home/ada/runs", "/home/ada/models")
