"""A model card: the report in Markdown, with the metadata by which Hugging Face lists models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from jinja2 import Environment, PackageLoader

from kft.figures import format_figure
from kft.printing import listed, printable
from kft.report.record import Report
from kft.report.rendering import write_interval, write_score

# Slices and confusions that a card lists, and names; a report has all.
_NUM_WORST = 5
_NUM_NAMES = 100


def render_model_card(report: Report) -> str:
    """Render the model card of a report.

    Args:
        report: What to say.

    Source: Mitchell et al., Model Cards for Model Reporting, arXiv:1810.03993; the metadata of
    https://huggingface.co/docs/hub/model-cards.
    """
    # Markdown is not HTML; `plain` escapes what has a meaning in it.
    environment = Environment(
        loader=PackageLoader("kft", "report"), trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"plain": _escape, "figure": format_figure}
    return environment.get_template("model_card.md.jinja").render(
        report=report,
        licence=report.facts["Model"]["licence of the weights"].lower(),
        # A published card must not tell where the data lie on somebody's disk.
        data=PurePath(report.facts["Data"]["source"]).name,
        names=listed(tuple(each.name for each in report.failures.names), _NUM_NAMES),
        scores=(report.lead, *report.scores),
        limits=list(_list_limits(report)),
        write=write_score,
        write_interval=write_interval,
    )


def _list_limits(report: Report) -> Iterator[str]:
    """Say where the model fails, as far as the report knows."""
    worst = [each for each in report.failures.slices if each.is_worse]
    for row in worst[:_NUM_WORST]:
        yield f"It is worse where {row.column} is {row.value}: {row.score:.3f} right."
    confusion = report.failures.confusion
    for true, answer, count, share in (confusion.pairs if confusion else ())[:_NUM_WORST]:
        yield f"It takes {true} for {answer}: {count} times, {100 * share:.0f} % of {true}."
    if report.reliability is not None:
        yield (
            f"Its stated probabilities are off by {report.reliability.error:.3f} in the mean; "
            f"{report.reliability.error_by_chance:.3f} could be chance."
        )
    yield from report.answering
    yield f"It knows no other {report.nouns} than its own."


def _escape(text: str) -> str:
    """Escape what has a meaning in Markdown, on one line."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|" else c for c in printable(text))
