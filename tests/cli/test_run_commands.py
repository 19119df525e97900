"""Arguments of the commands on runs that are refused before any work."""

import pytest
from click.testing import CliRunner

from kft.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("evaluate", "r", "data.target=class"), "settings change how the data of --data are read"),
        (("export", "r", "a.jpg"), "Give pictures with --files"),
        (("export", "r", "--files", "a.jpg", "--data", "x"), "give only one"),
        (("train", "photos", "--data", "x"), "--data needs --resume"),
    ],
)
def test_options_that_exclude_each_other_are_refused(arguments, said):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
