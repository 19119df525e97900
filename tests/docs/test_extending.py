"""The page for authors: its modules and its examples run as they stand."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kft
from kft.plugins import child_environment

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
# A block that is a module begins with its name.
MODULES = {found[1]: code for code in BLOCKS if (found := re.match(r"# (\w+\.py)\n", code))}
EXAMPLES = [code for code in BLOCKS if code not in MODULES.values()]


def test_each_kind_has_a_module_that_an_example_registers():
    for kind in ("task", "modality", "backbone"):
        (place,) = re.findall(rf'kft\.register_{kind}\("\w+", "(\w+):\w+"\)', "".join(EXAMPLES))
        assert f"{place}.py" in MODULES


@pytest.mark.parametrize("code", BLOCKS)
def test_a_block_uses_what_there_is(code):
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("kft"):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, each.name) for each in node.names)
    assert set(re.findall(r"\bkft\.(\w+)\(", code)) <= set(kft.__all__)


@pytest.mark.full
def test_the_examples_run_one_after_the_other(tmp_path, make_picture_folder):
    make_picture_folder(tmp_path / "photos", per_class=12)
    rows = [f"photos/cat/{i:03d}.png,{i / 10}" for i in range(12)]
    rows += [f"photos/dog/{i:03d}.png,{5 + i / 10}" for i in range(12)]
    (tmp_path / "numbers.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    generator = np.random.default_rng(0)
    for name, spread in (("calm", 1.0), ("rough", 9.0)):
        (tmp_path / "machines" / name).mkdir(parents=True)
        for index in range(20):
            numbers = generator.normal(0, spread, generator.integers(30, 90))
            text = "\n".join(f"{number:.3f}" for number in numbers)
            (tmp_path / "machines" / name / f"{index}.txt").write_text(text)
    for name, code in MODULES.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    (tmp_path / "script.py").write_text("\n".join(EXAMPLES), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    error, accuracy = map(float, done.stdout.split())
    assert error < 1.0
    assert accuracy >= 0.75
