"""What the verbs on runs take, and what they refuse before any work."""

import pytest
from click.testing import CliRunner

from kft.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("evaluate", "r", "data.target=class"), "settings say how the data of --data are read"),
        (("export", "r", "a.jpg"), "pictures come after --files"),
        (("export", "r", "--files", "a.jpg", "--data", "x"), "give one"),
        (("train", "photos", "--data", "x"), "--data goes with --resume"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments, said):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
