"""What shows through transparent parts: one answer for the graph and for the gate."""

from __future__ import annotations

from typing import Literal

Background = Literal["white", "black"]
# Of each colour.
BACKGROUND_VALUES = {"white": 255, "black": 0}
