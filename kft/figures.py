"""Formatting of numbers for people: with meaningful digits, and never 0 for another number."""

from __future__ import annotations

import math

# Digits of a figure whose uncertainty is unknown.
SIGNIFICANT_DIGITS = 4
# Numbers outside this range are written with an exponent.
_SMALLEST, _LARGEST = 1e-4, 1e7
# Digits of a float64.
_MAX_DIGITS = 17


def format_figure(value: float | None, *, spread: float | None = None) -> str:
    """Format a figure to four significant digits, or to the digits that resolve its spread.

    >>> format_figure(33.5678), format_figure(5.441e-06), format_figure(10453063680.0)
    ('33.57', '5.441e-06', '1.045e+10')
    >>> format_figure(1700000123.44, spread=300.0), format_figure(48.00057, spread=0.0003)
    ('1700000123.4', '48.0005700')

    Args:
        value: A number of any size, or None.
        spread: Typical distance between such figures, for example the standard deviation of the
            training targets; the result resolves its first four digits. None if unknown.
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
    # A larger number would have digits beyond its precision, and is shorter with an exponent.
    largest = 10.0**15 if is_known else _LARGEST
    if _SMALLEST <= abs(value) < largest:
        return f"{value:.{max(decimals, 0)}f}"
    return f"{value:.{digits - 1}e}"


def format_share(value: float | None) -> str:
    """Format a share in [0, 1] to three decimals, or to one digit if it would round to 0.

    >>> format_share(0.92349), format_share(0.0), format_share(0.000214)
    ('0.923', '0.000', '0.0002')
    """
    if value is None:
        return "none"
    return f"{value:.1g}" if 0 < value < 0.0005 else f"{value:.3f}"


def _exponent(value: float) -> int:
    """Decimal exponent of a number."""
    return math.floor(math.log10(abs(value)))
