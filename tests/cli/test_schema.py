"""Editors find the schema of pipeline files, which accepts the same files as kft."""

import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from kft.cli.main import main
from kft.config import SCHEMA_COMMENT, load_pipeline

PIPELINES = Path(__file__).parents[2] / "pipelines"


def test_the_schema_beside_the_pipelines_is_the_one_that_check_prints():
    printed = CliRunner().invoke(main, ["check", "--schema"]).output
    assert printed == (PIPELINES / "pipeline.schema.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(PIPELINES.glob("*.yaml")), ids=lambda p: p.stem)
def test_a_pipeline_file_fits_the_schema_and_refers_to_it(path):
    text = path.read_text(encoding="utf-8")
    schema = json.loads((PIPELINES / "pipeline.schema.json").read_text(encoding="utf-8"))
    # The plain values that an editor sees, before kft validates them.
    values = load_pipeline(str(path)).model_dump(mode="json", exclude_unset=True)
    jsonschema.validate(values, schema)
    assert text.startswith(SCHEMA_COMMENT)
    assert YAML(typ="safe").load(text)


def test_the_schema_refuses_an_unknown_key():
    schema = json.loads((PIPELINES / "pipeline.schema.json").read_text(encoding="utf-8"))
    with pytest.raises(jsonschema.ValidationError, match="trainig"):
        jsonschema.validate({"trainig": {}}, schema)
