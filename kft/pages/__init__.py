"""Self-contained HTML pages: one look for the audit, the report, and whatever comes next.

`base.html.jinja` is the frame that a page extends, `style.css.jinja` its look in light, dark and
print, and `elements.html.jinja` holds macros that several pages use.
"""

from __future__ import annotations

from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader

from kft import __version__
from kft.figures import format_figure, format_share


def render_page(room: str, template: str, *, shared: str = "pages", **values: Any) -> bytes:
    """Render a page as UTF-8 text, with every value escaped.

    Args:
        room: Room whose folder holds the template, such as 'auditing'.
        template: File name of the template.
        shared: Room whose templates it uses besides those of pages.
        values: Values for the template.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("kft", each) for each in (room, shared, "pages")]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": format_figure, "share": format_share}
    text = environment.get_template(template).render(version=__version__, **values)
    # Names may hold what is not text.
    return text.encode("utf-8", "backslashreplace")
