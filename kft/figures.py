"""Numbers as people read them: as many digits as tell something, and never 0 for what is not."""

from __future__ import annotations

import math

# Digits that a figure is told to where nothing says how far it is certain.
SIGNIFICANT_DIGITS = 4
# A number is written out within these, and with an exponent beyond them.
_SMALLEST, _LARGEST = 1e-4, 1e7
# Digits of a float64.
_MAX_DIGITS = 17


def format_figure(value: float | None, *, spread: float | None = None) -> str:
    """A figure to four significant digits, or to the digits that resolve its spread.

    >>> format_figure(33.5678), format_figure(5.441e-06), format_figure(10453063680.0)
    ('33.57', '5.441e-06', '1.045e+10')
    >>> format_figure(1700000123.44, spread=300.0), format_figure(48.00057, spread=0.0003)
    ('1700000123.4', '48.0005700')

    Args:
        value: Of any size; `None` where there is none.
        spread: How far such figures lie apart, such as the standard deviation of the training
            targets; its first four digits are told. None where the figure stands by itself.
    """
    if value is None:
        return "none"
    if isinstance(value, int):
        return str(value)
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    is_known = spread is not None and spread > 0 and math.isfinite(spread)
    scale = spread if is_known and spread is not None else abs(value)
    digits = _exponent(value) - _exponent(scale) + SIGNIFICANT_DIGITS
    digits = min(max(digits, 1), _MAX_DIGITS)
    decimals = digits - 1 - _exponent(value)
    # With fewer than no decimals, or with an exponent of its own, it is shortest as a power.
    largest = 10.0**15 if is_known else _LARGEST
    if _SMALLEST <= abs(value) < largest:
        return f"{value:.{max(decimals, 0)}f}"
    return f"{value:.{digits - 1}e}"


def format_share(value: float | None) -> str:
    """A share in [0, 1] to three decimals; one digit of what would round to 0.

    >>> format_share(0.92349), format_share(0.0), format_share(0.000214)
    ('0.923', '0.000', '0.0002')
    """
    if value is None:
        return "none"
    return f"{value:.1g}" if 0 < value < 0.0005 else f"{value:.3f}"


def _exponent(value: float) -> int:
    """Power of ten of the first digit."""
    return math.floor(math.log10(abs(value)))
