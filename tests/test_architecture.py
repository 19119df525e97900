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
    ("errors",),
    (
        "registry",
        "statistics",
        "figures",
        "homes",
        "linear",
        "stderr_filter",
        "printing",
        "garbage",
        "machine",
        "workers",
    ),
    ("display", "pages", "task_names"),
    ("config",),
    ("runs", "tasks"),
    ("examples", "findings"),
    ("modalities",),
    ("data", "backbones"),
    ("model", "plugins"),
    ("features",),
    ("strategies", "objectives"),
    ("feeding", "optimization"),
    ("selection",),
    ("training",),
    ("evaluation", "timing", "planning", "serving"),
    ("provenance", "explanation"),
    ("workflow", "startup"),
    (
        *("run_operations", "tuning", "rate_finding", "pretraining"),
        *("auditing", "report", "local_cluster"),
    ),
    ("demos", "doctor", "run_start", "comparison"),
    ("api", "cli"),
    # It names what it offers.
    ("__init__",),
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
MOST_LINES = 300
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
    "module",
    [
        "kft",
        "kft.cli.main",
        "kft.config",
        "kft.runs",
        "kft.tasks",
        "kft.data",
        "kft.modalities",
        "kft.report",
        "kft.comparison",
    ],
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
    lines = {
        path.relative_to(PACKAGE).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in MODULES
    }
    assert not {place for place, number in lines.items() if number > MOST_LINES}


# What a task is called: nothing but the room of tasks and its register compares that.
TASK_WORDS = {
    *("class", "labels", "number"),
    *("classification", "detection", "multilabel", "regression", "segmentation"),
}
KNOWS_TASKS = ("tasks", "task_names.py")
# There 'number' is a type of JSON Schema, and a group of a regular expression; 'class' is a key of
# an answer's boxes in JSON, and 'segmentation' one of COCO.
OTHER_WORDS = {
    "config/problems.py": {"number"},
    "backbones/scopes.py": {"number"},
    "modalities/image/annotations/outlines.py": {"segmentation"},
    "serving/predictor.py": {"class"},
}


def words_in(node: ast.AST | None) -> set[str]:
    """The names of tasks that stand in an expression as constants, also inside a collection."""
    if isinstance(node, ast.Constant):
        return {node.value} & TASK_WORDS if isinstance(node.value, str) else set()
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return set().union(*map(words_in, node.elts))
    return set()


def compared_words(path: Path) -> set[str]:
    """Names of tasks that a module compares, looks something up by, or matches."""
    words: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare):
            words.update(*map(words_in, (node.left, *node.comparators)))
        elif isinstance(node, ast.Dict):
            words.update(*map(words_in, node.keys))
        elif isinstance(node, ast.Subscript):
            words |= words_in(node.slice)
        elif isinstance(node, ast.MatchValue):
            words |= words_in(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            is_lookup = node.func.attr in ("get", "pop", "startswith", "endswith", "setdefault")
            words.update(*map(words_in, node.args if is_lookup else ()))
    return words


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nothing_outside_the_room_of_tasks_compares_which_task_it_has(path):
    place = path.relative_to(PACKAGE)
    if place.parts[0] in KNOWS_TASKS:
        return
    found = compared_words(path) - OTHER_WORDS.get(place.as_posix(), set())
    assert not found, f"{place} compares {sorted(found)}: ask the task instead"


def test_a_comparison_of_tasks_is_found_in_every_form(tmp_path):
    module = tmp_path / "module.py"
    for line in (
        "kind == 'class'",
        "kind in ('class', 'labels')",
        "NOUNS = {'number': 1}",
        "nouns['multilabel']",
        "nouns.get('regression')",
        "name.endswith('labels')",
    ):
        module.write_text(line, encoding="utf-8")
        assert compared_words(module), line
    assert not any(map(words_in, [ast.Constant("classes"), ast.Constant(1)]))


# Where a modality may be named: its own room, the backbones of it, the section of its settings, the
# register of saved layers, tasks whose answers are pixels or boxes of them, and what faces people.
_OF_MODALITIES = (
    *("tasks/detection", "tasks/segmentation"),
    *("modalities", "backbones", "config", "saved_layers"),
    *("demos", "doctor", "api", "cli"),
)
# Names of what only a modality knows.
_PIXEL_WORDS = re.compile(r"pixel|(?<![a-z])(image|picture|photo|jpeg|png|exif)s?(?![a-z])", re.I)


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
    assert not [word for word in words_of(path) if _PIXEL_WORDS.search(word)]


# Names of what other modalities than pictures know.
_AXIS_WORDS = re.compile(r"token|waveform|spectrogram|frequenc|(?<![a-z])words?(?![a-z])", re.I)


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "explanation").glob("*.py")), ids=lambda p: p.name
)
def test_an_explanation_is_told_its_axes_by_the_modality(path):
    assert not [word for word in words_of(path) if _AXIS_WORDS.search(word)]
