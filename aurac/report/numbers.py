"""How a number is printed: fractions as points, with the digits that its standard error allows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MISSING = "–"
DIGITS = 12
"""Significant digits of a number in csv and json: all that can be meant, and none of those in which processors differ.
"""

_UNITS = ("", "k", "M", "G", "T")


def decimals(stderr: float | None) -> int:
    """Digits after the point that show two significant digits of a standard error, from 1 to 4.

    Example:
        >>> decimals(2.53), decimals(0.25), decimals(None)
        (1, 2, 2)
    """
    if stderr is None or not stderr > 0:
        return 2
    return min(4, max(1, 1 - math.floor(math.log10(stderr))))


def value_text(value: float | None, stderr: float | None = None, *, unit: float = 100.0, sign: bool = False) -> str:
    """Print one number in `unit`ths of itself, "–" where there is none.

    Args:
        value: The number, a fraction in [0, 1] when `unit` is 100.
        stderr: Its standard error in the same unit as the value; sets the digits only.
        unit: Factor for printing; 100 prints points, 1 the number itself (bits per byte).
        sign: Whether a positive number gets a plus.

    Example:
        >>> value_text(0.5262, 0.025), value_text(-0.0049, 0.0012, sign=True), value_text(None)
        ('52.6', '−0.49', '–')
    """
    if value is None:
        return MISSING
    digits = decimals(None if stderr is None else stderr * unit)
    text = f"{value * unit:{'+' if sign else ''}.{digits}f}"
    return text.replace("-", "−")


def with_error(value: float | None, stderr: float | None, *, unit: float = 100.0, sign: bool = False) -> str:
    """Print a value and its standard error with matching digits; "?" for the error where nothing varies.

    Args:
        value: As for `value_text`.
        stderr: As for `value_text`; a standard error of 0 could not be estimated, which does not make the value exact.
        unit: As for `value_text`.
        sign: As for `value_text`.

    Example:
        >>> with_error(0.5262, 0.025), with_error(0.5, None), with_error(0.0, 0.0)
        ('52.6 ± 2.5', '50.00', '0.00 ± ?')
    """
    text = value_text(value, stderr, unit=unit, sign=sign)
    if value is None or stderr is None:
        return text
    return f"{text} ± {value_text(stderr, stderr, unit=unit) if stderr > 0 else '?'}"


def p_text(p: float | None) -> str:
    """Print a p-value: three decimals, "<.001" below.

    Example:
        >>> p_text(0.0412), p_text(0.00001), p_text(None)
        ('.041', '<.001', '–')
    """
    if p is None:
        return MISSING
    if p < 0.001:
        return "<.001"
    return f"{p:.3f}".removeprefix("0")


def count_text(count: float | None) -> str:
    """Print a large number with three significant digits, "–" where there is none.

    Example:
        >>> count_text(35972), count_text(1.8e6), count_text(999_950), count_text(12), count_text(None)
        ('36.0k', '1.80M', '1.00M', '12', '–')
    """
    if count is None:
        return MISSING
    number, unit = float(f"{count:.3g}"), 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    digits = max(0, 2 - math.floor(math.log10(number))) if unit else 0
    return f"{number:.{digits}f}{_UNITS[unit]}"


def rounded(content: Any) -> Any:
    """Return the content with its floating-point numbers rounded to `DIGITS` significant digits.

    Example:
        >>> rounded({"aurac": 0.7249999999999999, "ranks": [1, 2]})
        {'aurac': 0.725, 'ranks': [1, 2]}
    """
    if isinstance(content, float):
        return float(f"{content:.{DIGITS}g}")
    if isinstance(content, Mapping):
        return {key: rounded(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [rounded(value) for value in content]
    return content


def at_most_half(p: float | None) -> str:
    """Print the p-value of a one-sided test; one whose estimate is on the wrong side has no other.

    Example:
        >>> at_most_half(0.5), at_most_half(0.0412)
        ('≥.5', '.041')
    """
    return "≥.5" if p is not None and p >= 0.5 else p_text(p)
