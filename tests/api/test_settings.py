"""Python values give the same pipeline as the command line."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from kft.api.settings import make_pipeline
from kft.config import load_pipeline
from kft.errors import ConfigError


def test_a_name_may_replace_its_section():
    pipeline = make_pipeline(Path("photos"), {"backbone": "resnet50", "strategy": "full"})
    assert pipeline.name == pipeline.data.path == "photos"
    assert (pipeline.backbone.name, pipeline.strategy.name) == ("resnet50", "full")


def test_values_may_be_numpy_values_paths_and_tuples():
    settings = {
        "training": {"seed": np.int64(3), "label_smoothing": np.float64(0.1)},
        "data": {"table": {"label_columns": ("a", "b"), "folder": Path("pictures")}},
        "head": {"hidden": np.array([8, 4])},
    }
    pipeline = make_pipeline("labels.csv", settings)
    assert pipeline.training.seed == 3
    assert pipeline.data.table.label_columns == ("a", "b")
    assert pipeline.data.table.folder == "pictures"
    assert pipeline.head.hidden == (8, 4)


def test_all_problems_are_reported_at_once_as_on_the_command_line():
    with pytest.raises(ConfigError) as caught:
        make_pipeline("photos", {"bakbone": "resnet50", "training": {"sed": 3, "seed": "x"}})
    assert len(caught.value.problems) == 3
    assert "bakbone: unknown key. Did you mean 'backbone'?" in str(caught.value)
    assert "training.sed: unknown key. Did you mean 'seed'?" in str(caught.value)
    assert "training.seed: found 'x'. Allowed: a whole number" in str(caught.value)


def test_settings_of_a_call_replace_the_defaults():
    settings = {"strategy": {"duration": "5 epochs"}}
    defaults = ["strategy.duration=9 epochs", "strategy.name=full"]
    pipeline = make_pipeline("p", settings, partial(load_pipeline, overrides=defaults))
    assert (pipeline.strategy.name, pipeline.strategy.duration) == ("full", "5 epochs")
