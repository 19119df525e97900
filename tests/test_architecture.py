"""The order of the rooms, and what importing them costs."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "kft"
# Rooms on one line do not import each other; a room imports only from the lines above its own.
ORDER = (
    ("saved_layers",),
    ("__init__",),
    ("errors",),
    (
        "registry",
        "statistics",
        "figures",
        "homes",
        "linear",
        "notices",
        "printing",
        "garbage",
        "machine",
        "workers",
    ),
    ("display", "config"),
    ("runs", "examples", "findings"),
    ("modalities",),
    ("data", "backbones", "heads"),
    ("model",),
    ("features",),
    ("strategies", "objectives"),
    ("feeding", "optimization"),
    ("selection",),
    ("training",),
    ("evaluation", "timing", "planning", "serving"),
    ("provenance",),
    ("workflow",),
    ("run_operations", "tuning", "rate_finding", "auditing", "launching"),
    ("demo", "doctor"),
    ("cli",),
)
LINE_OF = {room: line for line, rooms in enumerate(ORDER) for room in rooms}
# The same within the room of data, which alone is a house of its own.
DATA_ORDER = (
    ("reason_groups",),
    ("found", "paths"),
    ("refusing", "class_names"),
    ("batches", "sources", "splitting"),
    ("admission",),
    ("file_patterns", "loading", "views"),
)
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imported_modules(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("kft"):
            is_package = (PACKAGE.parent / node.module.replace(".", "/")).is_dir()
            whole = [f"{node.module}.{a.name}" for a in node.names]
            modules.update(whole if is_package else [node.module])
        elif isinstance(node, ast.Import):
            modules.update(a.name for a in node.names if a.name.startswith("kft"))
    return modules


def imported_rooms(path: Path) -> set[str]:
    return {room_of(module) for module in imported_modules(path)} - {"__version__"}


def test_every_room_has_its_place_in_the_order():
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    assert rooms == set(LINE_OF)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_from_rooms_above_it(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    wrong = {
        other for other in imported_rooms(path) if other != room and LINE_OF[other] >= LINE_OF[room]
    }
    assert not wrong, f"{path.name} of room {room} imports from {sorted(wrong)}"


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "data").rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_a_room_of_the_data_imports_only_from_those_above_it(path):
    line_of = {room: line for line, rooms in enumerate(DATA_ORDER) for room in rooms}
    room = path.relative_to(PACKAGE / "data").parts[0].removesuffix(".py")
    if room == "__init__":
        return
    imported = {m.split(".")[2] for m in imported_modules(path) if m.startswith("kft.data.")}
    wrong = {other for other in imported - {room} if line_of[other] >= line_of[room]}
    assert not wrong, f"{path.name} imports from {sorted(wrong)}"


@pytest.mark.parametrize(
    "module", ["kft", "kft.cli.main", "kft.config", "kft.runs", "kft.data", "kft.modalities"]
)
def test_importing_loads_no_tensorflow(module):
    code = (
        f"import {module}, sys; "
        "print(sorted({'tensorflow', 'keras', 'numpy'} & set(sys.modules) - {'numpy'}))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_no_module_has_outgrown_its_idea():
    long = {
        str(path.relative_to(PACKAGE)): lines
        for path in MODULES
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long


# Where a modality may be named: its own room, the backbones of it, and the section of its settings.
_OF_MODALITIES = ("modalities", "backbones", "config", "demo", "doctor", "cli")
# Names of what only a modality knows. The files are those of rooms that still speak of it.
_PIXEL_WORDS = re.compile(r"pixel|(?<![a-z])(image|picture|photo|jpeg|png|exif)s?(?![a-z])", re.I)
_STILL_NAMING = {
    "feeding/inputs.py",
    "planning/forecast.py",
    "rate_finding.py",
    "runs/atomic.py",
    "saved_layers.py",
    "strategies/checks.py",
    "strategies/explicit.py",
    "timing/child.py",
    "training/phase_selection.py",
}


def words_of(path: Path) -> list[str]:
    """Identifiers and texts of a module, but for docstrings and comments."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    words = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            words.append(node.id)
        elif isinstance(node, ast.Attribute):
            words.append(node.attr)
        elif isinstance(node, ast.arg):
            words.append(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            words.append(node.name)
        elif isinstance(node, ast.ImportFrom):
            words.append(node.module or "")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            words += [node.value] * (id(node) not in told)
    return words


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_a_modality_and_its_backbones_know_what_an_example_is(path):
    place = str(path.relative_to(PACKAGE))
    if place.startswith(_OF_MODALITIES):
        return
    named = [word for word in words_of(path) if _PIXEL_WORDS.search(word)]
    assert bool(named) == (place in _STILL_NAMING), named
