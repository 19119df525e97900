"""The demonstration works offline, with the code of the installed command."""

import re

import pytest
from click.testing import CliRunner

from kft.cli.main import main


@pytest.mark.full
def test_the_demo_shows_the_gain_of_pretraining_and_a_served_export(tmp_path):
    result = CliRunner().invoke(main, ["demo", "--directory", str(tmp_path / "demo")])
    assert result.exit_code == 0, result.output
    pretrained = float(re.search(r"then fine-tuned\s+([\d.]+)", result.stdout)[1])
    from_random = float(re.search(r"from random weights\s+([\d.]+)", result.stdout)[1])
    assert pretrained > from_random
    assert pretrained > 0.85
    # What the export answered about PNG bytes, in a process without kft.
    answers = re.findall(r"holdout/(\w+)/\d+\.png\s+(\w+)", result.stdout)
    assert len(answers) == 5
    assert sum(true == served for true, served in answers) >= 4
