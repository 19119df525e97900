"""Every listing command has --json and --csv, and prints one record per line in a pipe."""

import csv
import json

import pytest
from click.testing import CliRunner

from kft.cli.main import VERBS, main
from kft.runs.layout import RunDirectory

# Commands without a listing.
WITHOUT_LISTING = {"train", "launch", "demo", "pretrain", "export", "report"}
LISTINGS = [[verb] for verb in VERBS if verb not in {*WITHOUT_LISTING, "cache"}] + [
    ["cache", "list"]
]
SMALL = ("backbone.name=small_cnn", "backbone.weights=random", "backbone.options.width=4")
BOX = set("─━│┃╭╰…")


def run(*arguments):
    result = CliRunner().invoke(main, list(arguments), prog_name="kft")
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


@pytest.mark.parametrize("verb", LISTINGS, ids=" ".join)
def test_every_listing_command_accepts_either_json_or_csv(verb):
    said = "\n".join(run(*verb, "--help"))
    assert "--json" in said
    assert "--csv" in said
    takes_data = verb[0] in (
        *("evaluate", "explain", "compare", "predict"),
        *("tune", "data", "audit", "find-learning-rate"),
    )
    given = ["something"] if takes_data else []
    result = CliRunner().invoke(main, [*verb, *given, "--json", "--csv"])
    assert result.exit_code == 2
    assert "--json and --csv" in result.stderr


def test_the_other_commands_have_neither():
    for verb in WITHOUT_LISTING:
        assert "--csv" not in "\n".join(run(verb, "--help"))


@pytest.fixture
def place(tmp_path, monkeypatch, make_picture_folder):
    """Create two runs in a folder with a long name, a cache entry, and pictures."""
    monkeypatch.chdir(tmp_path)
    for number in "12":
        path = tmp_path / "runs" / ("a_data_set_with_a_long_name_" * 5) / number
        path.mkdir(parents=True)
        RunDirectory(path).write_status(
            "failed", reason="a \x1b[31mreason\n" + "that is long " * 20
        )
    make_picture_folder(tmp_path / "photos", per_class=5)
    monkeypatch.setenv("KFT_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "cache" / "engines").mkdir(parents=True)
    (tmp_path / "cache" / "engines" / f"{'3f9c' * 8}.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "num_records", "first"),
    [
        (("runs",), 2, "run"),
        (("backbones",), None, "name"),
        (("cache", "list"), 1, "room"),
        (("doctor",), None, "state"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_list_has_one_record_per_line_in_every_form(place, arguments, num_records, first):
    plain, as_json, as_csv = (run(*arguments, *form) for form in ((), ("--json",), ("--csv",)))
    records = [json.loads(line) for line in as_json]
    assert len(plain) == len(as_csv) == len(records) + 1
    assert num_records in (None, len(records))
    assert len({line.count("\t") for line in plain}) == 1
    assert not BOX & set("".join(plain))
    rows = list(csv.DictReader(as_csv))
    assert [row[first] for row in rows] == [record[first] for record in records]
    assert all(row.keys() == record.keys() for row, record in zip(rows, records, strict=True))
    for line, record in zip(plain[1:], records, strict=True):
        assert record[first] in line.split("\t")


def test_a_reason_is_printed_whole_and_escaped(place):
    line = run("runs")[1]
    assert "a \\x1b[31mreason\\nthat is long" in line
    assert line.count("that is long") == 20
    record = json.loads(run("runs", "--json")[0])
    assert record["reason"].startswith("a \x1b[31mreason\n")


def test_the_data_as_records(place, restored_globals):
    (line,) = run("data", "photos", "--json")
    data = json.loads(line)
    assert data["examples"] == {"train": 9, "validation": 3, "holdout": 3}
    counts = [{"name": n, "train": 3, "validation": 1, "holdout": 1} for n in ("cat", "dog", "owl")]
    assert data["targets"] == counts
    rows = csv.DictReader(run("data", "photos", "--csv"))
    assert [{k: v if k == "name" else int(v) for k, v in row.items()} for row in rows] == counts
    assert run("data", "photos")[-4:] == [
        "cat\t3\t1\t1",
        "dog\t3\t1\t1",
        "owl\t3\t1\t1",
        "all\t9\t3\t3",
    ]


def test_an_audit_as_records(place, restored_globals):
    (place / "photos" / "cat" / "bad.png").write_bytes(b"")
    (line,) = run("audit", "photos", "--no-labels", "--json")
    findings = json.loads(line)["findings"]
    rows = list(csv.DictReader(run("audit", "photos", "--no-labels", "--csv")))
    assert len(rows) == sum(len(finding["files"]) or 1 for finding in findings)
    (bad,) = [row for row in rows if row["kind"] == "quarantined"]
    assert (bad["file"], bad["note"]) == ("cat/bad.png", "the file is empty")


def test_a_plan_as_records(place, restored_globals):
    arguments = ("check", "photos", *SMALL, "strategy.name=lp_ft", "data.image.augmentation=none")
    (line,) = run(*arguments, "--json")
    plan = json.loads(line)
    assert plan["pipeline"]["backbone"]["name"] == "small_cnn"
    rows = list(csv.DictReader(run(*arguments, "--csv")))
    assert [(row["phase_name"], row["block"]) for row in rows] == [
        (phase["name"], block["block"]) for phase in plan["phases"] for block in phase["blocks"]
    ]
    assert {row["phase"] for row in rows} == {"1", "2"}
    plain = run(*arguments)
    assert not BOX & set("".join(plain)) - {"…"}


def test_a_backbone_as_records():
    (line,) = run("backbones", *("small_cnn", "--json"))
    blocks = json.loads(line)["blocks"]
    rows = list(csv.DictReader(run("backbones", "small_cnn", "--csv")))
    assert [row["name"] for row in rows] == [block["name"] for block in blocks]
    assert rows[-1]["stride"] == "8"
