"""A comparison as one HTML file, in the style of a report."""

from __future__ import annotations

from kft import pages
from kft.comparison.record import Comparison, write
from kft.display import format_seconds


def render_comparison(comparison: Comparison) -> bytes:
    """Render a comparison as UTF-8 text of a page that needs no other file.

    Args:
        comparison: What to show.
    """
    return pages.render_page(
        "comparison",
        "page.html.jinja",
        shared="report",
        comparison=comparison,
        write=write,
        seconds=format_seconds,
    )
