"""A model card is Markdown with metadata that a parser of YAML reads."""

from __future__ import annotations

import pytest
from made_answers import draw_classes, draw_labels, draw_numbers

from kft.config import parse_yaml
from kft.report import read_report, render_model_card, write_report


@pytest.mark.parametrize(
    ("word", "answers"),
    [("class", draw_classes()), ("labels", draw_labels()), ("number", draw_numbers())],
)
def test_a_card_has_metadata_and_figures(make_run, word, answers):
    report = read_report(make_run(word, answers))
    _, metadata, text = render_model_card(report).split("---\n", 2)
    read = parse_yaml(metadata, "card")
    (entry,) = read["model-index"]
    (result,) = entry["results"]
    assert read["license"] == "none"
    assert entry["name"] == "photos/first"
    assert result["task"]["type"] == report.kind
    assert result["dataset"]["name"] == "photos"
    assert report.facts["Data"]["source"] not in text
    assert result["metrics"][0] == {"type": report.lead.name, "value": report.lead.value}
    for heading in ("Intended use", "Figures", "Limits", "Data", "Model", "Cost"):
        assert f"\n## {heading}\n" in text


def test_names_have_no_meaning_in_markdown(make_run):
    nasty = "a|b<i>*\n# c"
    report = read_report(make_run("class", draw_classes(names=(nasty, "bee", "fly"))))
    card = render_model_card(report)
    assert "a\\|b\\<i\\>\\*" in card
    assert "<i>" not in card and "\n# c" not in card


def test_the_card_is_written_beside_the_report(class_run, tmp_path):
    write_report(class_run, tmp_path / "report.html")
    assert (tmp_path / "report.card.md").read_text(encoding="utf-8").startswith("---\nlicense:")
