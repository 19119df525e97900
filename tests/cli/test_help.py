"""The help is fast, and shows how to start."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from kft.cli.main import RENAMED, RENAMED_OPTIONS, VERBS, main


def test_help_imports_only_click_so_that_it_is_fast():
    code = (
        "import sys; sys.argv = ['kft', '--help']\n"
        "from kft.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "found = {name.partition('.')[0] for name in sys.modules}\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'pandas', 'PIL', 'scipy', 'yaml'} & found\n"
        "assert not heavy, heavy\n"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "kft demo" in result.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_command_has_an_example(verb):
    result = CliRunner().invoke(main, [verb, "--help"], prog_name="kft")
    assert result.exit_code == 0
    assert f"  kft {verb}" in result.output
    assert "Example" in result.output


@pytest.mark.parametrize("old, new", RENAMED.items())
def test_the_former_name_of_a_command_points_to_the_new_one(old, new):
    result = CliRunner().invoke(main, [old])
    assert result.exit_code == 2
    assert f"`kft {old}` is now `kft {new}`" in result.output


@pytest.mark.parametrize("old, new", RENAMED_OPTIONS.items())
def test_the_former_name_of_an_option_points_to_the_new_one(old, new):
    result = CliRunner().invoke(main, ["train", "photos", old])
    assert result.exit_code == 2
    assert f"{old} is now {new}." in result.output


def test_a_misspelt_command_is_answered_with_a_similar_one():
    result = CliRunner().invoke(main, ["trian"])
    assert result.exit_code == 2
    assert "Did you mean 'train'" in result.output
