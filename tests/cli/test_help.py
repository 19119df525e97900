"""The command line answers fast, and shows a way to start."""

import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from kft.cli.main import VERBS, main


def test_help_answers_in_under_a_third_of_a_second_without_tensorflow():
    code = (
        "import sys; sys.argv = ['kft', '--help']\n"
        "from kft.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules\n"
    )
    seconds = []
    # The best of several: other tests run beside this one.
    for _ in range(5):
        begun = time.perf_counter()
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        seconds.append(time.perf_counter() - begun)
        assert result.returncode == 0, result.stderr
        assert "kft demo" in result.stdout
    assert min(seconds) < 0.3


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(verb):
    result = CliRunner().invoke(main, [verb, "--help"], prog_name="kft")
    assert result.exit_code == 0
    assert f"  kft {verb}" in result.output
    assert "Example" in result.output


def test_a_misspelt_verb_is_answered_with_the_near_one():
    result = CliRunner().invoke(main, ["trian"])
    assert result.exit_code == 2
    assert "Did you mean 'train'" in result.output
