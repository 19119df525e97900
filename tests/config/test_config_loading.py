"""Loading gives a pipeline, or one error that lists every problem with its place."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kft.config import (
    PRETRAINING_OVERRIDES,
    Pipeline,
    dump_pipeline,
    is_pipeline_file,
    load_pipeline,
    override_pipeline,
    parse_yaml,
    validate_pipeline,
)
from kft.config.problems import RENAMED
from kft.errors import ConfigError

PIPELINES = sorted((Path(__file__).parents[2] / "pipelines").glob("*.yaml"))


def refusal(*overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_pipeline(None, overrides)
    return str(caught.value)


# YAML


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 1e5),
        ("-1e-3", -0.001),
        ("1e3x", "1e3x"),
        ("3", 3),
        ("0.5", 0.5),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("'1e-3'", "1e-3"),
        ("[1e-3, no]", [0.001, "no"]),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    parsed = parse_yaml(text, "here")
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("a: 1\nb: [1, 2", "here, line 2, column 9", "expected ',' or ']'"),
        ("a: b: c", "here, line 1, column 5", "mapping values are not allowed here"),
        ("a: 1\nb: 2\na: 3", "here, line 3, column 1", 'found duplicate key "a"'),
        ("data: {x: 1, x: 2}", "here, line 1, column 14", 'found duplicate key "x"'),
        ("a: *b", "here, line 1, column 4", "undefined alias 'b'"),
        ("a: !!python/name:os.system x", "here, line 1, column 4", "python/name:os.system"),
        ("a: \x01", "here", "special characters are not allowed"),
    ],
)
def test_invalid_yaml_is_refused_with_line_and_column(text, place, reason):
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "here")
    assert str(caught.value).startswith(f"{place}: not valid YAML: ")
    assert reason in str(caught.value)


# Unknown keys and refused values


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainig={}", "trainig: unknown key. Did you mean 'training'"),
        ("training.sed=3", "training.sed: unknown key. Did you mean 'seed'?"),
        ("data.table.pth_column=x", "data.table.pth_column: unknown key. Did you mean 'path_col"),
        (
            "strategy.phases=[{}, {trainabl: [head]}]",
            "strategy.phases[1].trainabl: unknown key. Did you mean 'trainable'?",
        ),
        (
            "tuning.space={head.dropout: {valus: [1]}}",
            "tuning.space.head.dropout.valus: unknown key. Did you mean 'values'?",
        ),
        ("xyz=1", "xyz: unknown key. Allowed: abstain, backbone, data, export, features, head,"),
        ("head.xyz=1", "head.xyz: unknown key. Allowed: decoder, dropout, hidden, name, pooling."),
    ],
)
def test_an_unknown_key_is_refused_at_every_level_with_the_near_name(override, message):
    assert message in refusal(override)


@pytest.mark.parametrize(
    ("override", "path"),
    [
        ("training.seed=no", "training.seed: found 'no'."),
        ("training.seed=-1", "training.seed: found -1."),
        ("training.ema=1", "training.ema: found 1."),
        ("training.precision=float16", "training.precision: found 'float16'. Allowed: auto, flo"),
        ("head.hidden=[8, 0]", "head.hidden[1]: found 0."),
        ("training=3", "training: found 3."),
        ("strategy.learning_rate=0", "strategy.learning_rate: found 0."),
        ("strategy.learning_rate=.nan", "strategy.learning_rate: found nan."),
        ("backbone.input_size=8", "backbone.input_size: found 8."),
        ("name=../x", "name: found '../x'."),
    ],
)
def test_a_refused_value_is_shown_with_its_path(override, path):
    assert path in refusal(override)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["data.validation=0.6", "data.holdout=0.6"],
            "data: validation 0.6 and holdout 0.6 leave nothing to train on",
        ),
        (["strategy.name=phases"], "strategy: name 'phases' needs at least one phase"),
        (["strategy.phases=[{}]"], "strategy: `phases` is given, but name is 'auto'"),
        (["tuning.space={a: {low: 1}}"], "tuning.space.a: give either `values`, or both"),
        (["tuning.space={a: {low: 1, high: 2, values: [1]}}"], "give either `values`, or both"),
        (["tuning.space={a: {low: 2, high: 1}}"], "low must be below high, found 2 and 1"),
        (["tuning.space={a: {low: 0, high: 1}}"], "low must be above 0 on a log scale, found 0"),
    ],
)
def test_values_that_contradict_each_other_are_refused(overrides, message):
    assert message in refusal(*overrides)


def test_a_linear_range_may_start_at_zero():
    space = load_pipeline(None, ["tuning.space={a: {low: 0, high: 1, scale: linear}}"]).tuning.space
    assert space["a"].low == 0.0


def test_all_problems_are_listed_at_once(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("training: {sed: 1, clip_norm: 0}\nhead: {hidden: [0]}\nbackbon: {}\n")
    with pytest.raises(ConfigError) as caught:
        load_pipeline(str(path))
    first, *listed = str(caught.value).splitlines()
    assert first == f"{path}: 4 problems"
    assert [line.split(":")[0] for line in listed] == [
        "  - head.hidden[0]",
        "  - training.clip_norm",
        "  - training.sed",
        "  - backbon",
    ]


# Overrides


def test_overrides_set_values_at_any_depth_and_make_missing_sections():
    pipeline = load_pipeline(
        None,
        [
            "training.seed=3",
            "strategy.learning_rate=1e-3",
            "data.table.label_columns=[a, no]",
            "backbone.options.alpha=0.35",
            "training.clip_norm=null",
            "data.path=a=b",
        ],
    )
    assert pipeline.training.seed == 3
    assert pipeline.strategy.learning_rate == 0.001
    assert pipeline.data.table.label_columns == ("a", "no")
    assert pipeline.backbone.options == {"alpha": 0.35}
    assert pipeline.training.clip_norm is None
    assert pipeline.data.path == "a=b"


def test_the_last_of_two_overrides_wins():
    assert load_pipeline(None, ["training.seed=1", "training.seed=2"]).training.seed == 2


def test_overrides_win_over_the_file(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("training: {seed: 1, warmup: 0.5}\n")
    training = load_pipeline(str(path), ["training.seed=2"]).training
    assert (training.seed, training.warmup) == (2, 0.5)


@pytest.mark.parametrize("override", ["nope", "=3", ".a=3", "a..b=3", ""])
def test_a_malformed_override_is_refused_with_an_example(override):
    assert refusal(override) == (
        f"override {override!r}: write key.path=value, for example training.seed=3"
    )


def test_an_override_below_a_value_without_keys_is_refused():
    message = refusal("training.seed=3", "training.seed.x=4")
    assert message == "override 'training.seed.x=4': training.seed is 3, not a section with keys"


def test_an_override_whose_value_is_not_yaml_is_named():
    assert refusal("head.hidden=[1").startswith("override 'head.hidden=[1', line 1, column 3: not")


def test_an_override_of_a_validated_pipeline_changes_only_that_setting():
    pipeline = load_pipeline(None, ["training.seed=3"])
    changed = override_pipeline(pipeline, ["training.warmup=0"])
    assert changed.training == pipeline.training.model_copy(update={"warmup": 0.0})
    assert changed.data == pipeline.data
    with pytest.raises(ConfigError, match=r"^override: training\.sed: unknown key"):
        override_pipeline(pipeline, ["training.sed=0"])


def test_the_settings_of_pretraining_are_valid():
    pipeline = load_pipeline(None, PRETRAINING_OVERRIDES)
    assert pipeline.backbone.name == "small_cnn"
    assert not pipeline.export.enabled


# Files and names


def test_a_missing_file_is_named_with_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^no\.yaml: no such pipeline file") as caught:
        load_pipeline("no.yaml")
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(("content", "kind"), [("- a\n- b\n", "list"), ("word", "str")])
def test_a_file_that_is_not_a_mapping_is_refused(tmp_path, content, kind):
    path = tmp_path / "x.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=f"mapping of sections .*this file holds a {kind}"):
        load_pipeline(str(path))


def test_a_file_that_is_not_utf_8_is_refused(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"name: \xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read as UTF-8"):
        load_pipeline(str(path))


def test_a_file_with_a_byte_order_mark_and_an_empty_file_are_read(tmp_path):
    (tmp_path / "mark.yaml").write_bytes(b"\xef\xbb\xbftraining: {seed: 5}\n")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert load_pipeline(str(tmp_path / "mark.yaml")).training.seed == 5
    assert load_pipeline(str(tmp_path / "empty.yaml")) == Pipeline(name="empty")


@pytest.mark.parametrize(
    ("target", "expected"),
    [("a.yaml", True), ("a.YML", True), ("a/b.yml", True), ("a.csv", False), ("yaml", False)],
)
def test_a_pipeline_file_is_recognised_by_its_ending(target, expected):
    assert is_pipeline_file(target) is expected


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("photos", "photos"),
        ("some/where/My photos/", "My-photos"),
        ("tfds:mnist", "tfds-mnist"),
        ("labels.csv", "labels.csv"),
        ("___", "pipeline"),
        ("a" * 200, "a" * 100),
    ],
)
def test_the_default_name_comes_from_the_data(target, name):
    pipeline = load_pipeline(target)
    assert pipeline.name == name
    assert pipeline.data.path == target


def test_the_default_name_for_the_working_directory_is_its_name(tmp_path, monkeypatch):
    (tmp_path / "birds").mkdir()
    monkeypatch.chdir(tmp_path / "birds")
    assert load_pipeline(".").name == "birds"


def test_the_name_of_a_pipeline_file_is_its_stem_and_a_given_name_wins(tmp_path):
    path = tmp_path / "my probe.yaml"
    path.write_text("data: {path: photos}\n")
    assert load_pipeline(str(path)).name == "my-probe"
    assert load_pipeline(str(path), ["name=other"]).name == "other"


def test_without_a_target_the_name_comes_from_the_data_path():
    assert load_pipeline(None).name == "pipeline"
    assert load_pipeline(None, ["data.path=some/birds"]).name == "birds"


# Round trip


def test_there_are_pipelines_to_dump():
    assert PIPELINES


@pytest.mark.parametrize("path", PIPELINES, ids=lambda p: p.stem)
def test_every_pipeline_file_survives_dump_and_load(path, tmp_path):
    pipeline = load_pipeline(str(path))
    (tmp_path / "again.yaml").write_text(dump_pipeline(pipeline), encoding="utf-8")
    assert load_pipeline(str(tmp_path / "again.yaml")) == pipeline


def test_a_long_path_with_spaces_stays_on_one_line():
    path = "/data/" + "a folder/" * 30
    pipeline = load_pipeline(None, [f"data.path={path}"])
    assert f"path: {path}\n" in dump_pipeline(pipeline)


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)
RATES = st.floats(1e-12, 1e3, allow_nan=False)


@given(
    path=st.one_of(st.none(), WORDS),
    options=st.dictionaries(
        WORDS, st.one_of(st.booleans(), st.integers(-5, 2**40), RATES, WORDS), max_size=3
    ),
    phases=st.lists(
        st.fixed_dictionaries(
            {
                "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
                "trainable": st.lists(WORDS, min_size=1, max_size=3),
                "learning_rate": RATES,
                "multipliers": st.dictionaries(WORDS, RATES, max_size=2),
                "duration": st.one_of(WORDS, st.integers(1, 99)),
            }
        ),
        max_size=2,
    ),
    hidden=st.lists(st.integers(1, 4096), max_size=3),
)
def test_any_pipeline_survives_dump_and_load(path, options, phases, hidden):
    pipeline = validate_pipeline(
        {
            "data": {"path": path},
            "backbone": {"options": options},
            "strategy": {"name": "phases", "phases": phases} if phases else {},
            "head": {"hidden": hidden},
        },
        "here",
    )
    again = validate_pipeline(parse_yaml(dump_pipeline(pipeline), "dump"), "dump")
    assert again == pipeline
    for key, value in pipeline.backbone.options.items():
        assert type(again.backbone.options[key]) is type(value)


@pytest.mark.parametrize("name", ["2e5", "1e3", "010", "true", "2020-01-01", "no", "1.5"])
def test_a_name_that_looks_like_a_number_survives_dump_and_load(name):
    pipeline = validate_pipeline({"name": name, "data": {"path": name}}, "here")
    again = validate_pipeline(parse_yaml(dump_pipeline(pipeline), "there"), "there")
    assert again == pipeline


# Names that are numbers


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("training.class_weights={0: 2.0}", "training.class_weights", {"0": 2.0}),
        ("data.class_aliases={1: 2}", "data.class_aliases", {"1": "2"}),
        ("data.folders.holdout=3", "data.folders.holdout", "3"),
        ("data.table.label_columns=[0, 1]", "data.table.label_columns", ("0", "1")),
        ("data.records.class_names=[7, 8]", "data.records.class_names", ("7", "8")),
        ("data.path=2024", "data.path", "2024"),
        ("name=2024", "name", "2024"),
        ("strategy.freeze=[1]", "strategy.freeze", ("1",)),
    ],
)
def test_a_name_may_be_a_whole_number(override, key, value):
    found = load_pipeline(None, [override])
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value


@pytest.mark.parametrize("written", ["01", "0x1", "+1", "1.0", "1e3", "true"])
def test_a_name_that_yaml_would_change_must_be_quoted(written):
    for override in (f"training.class_weights={{{written}: 2.0}}", f"data.folders.train={written}"):
        message = refusal(override)
        assert "problems" not in message
        assert "write the name in quotes, exactly as in the data" in message
        # YAML does not keep the spelling of a fraction.
        assert f"found {written}," in message or written == "1e3"
    quoted = load_pipeline(None, [f"data.folders.train='{written}'"])
    assert quoted.data.folders.train == written


def test_numbers_that_are_not_names_may_have_any_spelling():
    pipeline = load_pipeline(
        None, ["training.seed=007", "backbone.options.a=0x10", "head.hidden=[010]"]
    )
    assert (pipeline.training.seed, pipeline.head.hidden) == (7, (10,))
    assert pipeline.backbone.options == {"a": 16}
    assert type(pipeline.training.seed) is type(pipeline.backbone.options["a"]) is int


# One problem for each mistake


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        (
            "training.class_weights=3",
            "training.class_weights: found 3. Allowed: none, balanced or a mapping "
            "(each value: a number of at least 0)",
        ),
        (
            "training.class_weights={cat: -1}",
            "training.class_weights.cat: found -1. Allowed: a number of at least 0",
        ),
        (
            "training.class_weights={0: -1}",
            "training.class_weights[0]: found -1. Allowed: a number of at least 0",
        ),
        (
            "training.class_weights={null: 1}",
            "training.class_weights: found null. Allowed: none, balanced or a mapping (each "
            "value: a number of at least 0)",
        ),
        (
            "training.global_batch_size=0",
            "training.global_batch_size: found 0. Allowed: a whole number of at least 1 or auto",
        ),
        (
            "training.jit_compile=maybe",
            "training.jit_compile: found 'maybe'. Allowed: true, false or auto",
        ),
        (
            "strategy.duration=[]",
            "strategy.duration: found []. Allowed: a string, a whole number, a number or null",
        ),
        (
            "strategy.freeze=[a, []]",
            "strategy.freeze[1]: found []. Allowed: a string",
        ),
        (
            "backbone.options={alpha: []}",
            "backbone.options.alpha: found []. Allowed: true, false, a whole number, a number or a "
            "string",
        ),
        (
            "data.folders=3",
            "data.folders: found 3. Allowed: a section with the keys train, validation, holdout, "
            "allowed_roots, nested",
        ),
        (
            "tuning.space={a: {values: [[1]]}}",
            "tuning.space.a.values[0]: found [1]. Allowed: true, false, a whole number, a number "
            "or a string",
        ),
        (
            "strategy.phases=[{trainable: []}]",
            "strategy.phases[0].trainable: found []. Allowed: a list of at least 1 (each item: a "
            "string)",
        ),
    ],
)
def test_a_mistake_is_one_problem_described_by_its_setting(override, problem):
    assert refusal(override) == f"pipeline: {problem}"


def test_two_mistakes_in_one_setting_are_two_problems():
    message = refusal("training.class_weights={cat: -1, dog: x}")
    assert message.startswith("pipeline: 2 problems")
    assert "class_weights.cat: found -1" in message and "class_weights.dog: found 'x'" in message


def test_class_names_of_settings_are_compared_in_one_unicode_form():
    weights = load_pipeline(None, ["training.class_weights={cafe\u0301: 2}"]).training.class_weights
    assert weights == {"caf\u00e9": 2.0}


def test_python_values_come_after_the_file_and_its_overrides(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("data: {path: photos, folders: {train: a}}\nbackbone: resnet50\n")
    settings = {
        "data": {"folders": {"holdout": "b"}},
        "backbone": {"options": {"alpha": 0.5}},
        "training": {"seed": 4},
    }
    pipeline = load_pipeline(str(file), ["training.seed=3", "training.threads=1"], settings)
    assert (pipeline.data.folders.train, pipeline.data.folders.holdout) == ("a", "b")
    assert pipeline.backbone.options == {"alpha": 0.5}
    assert (pipeline.training.seed, pipeline.training.threads) == (4, 1)
    assert settings["data"] == {"folders": {"holdout": "b"}}


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_key_is_refused_with_its_new_name(old, new):
    with pytest.raises(ConfigError, match=re.escape(f"{old}: renamed. Write {new}.")):
        load_pipeline(None, [f"{old}=1"])


@pytest.mark.parametrize("path", RENAMED.values())
def test_every_new_name_is_a_setting(path):
    section = Pipeline
    *sections, setting = path.split(".")
    for name in sections:
        section = section.model_fields[name].annotation
    assert setting in section.model_fields
