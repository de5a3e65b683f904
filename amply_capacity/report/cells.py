"""One figure of the report as all formats show it: its text, the number behind it, and Excel's format.

The text is made here and nowhere else, so that no format can round differently from another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from amply_capacity.report.document import month_text
from amply_capacity.report.money import usd
from amply_capacity.report.numbers import assumed, plain

__all__ = ["NOTHING", "Cell", "amount", "change", "count", "decimal", "given", "money", "month", "name",
           "number", "percent", "share", "words"]

_EXCEL_BEGINS = date(1899, 12, 30)
"""Day 0 of Excel's dates, as they count from March 1900 on."""
_MEGA, _GIGA_FROM = 1e6, 1e8
_MONTH = "mmmm yyyy"
_USD = '"$"#,##0.00'
_USD_EXACT = '"$"#,##0.00####'


@dataclass(frozen=True, slots=True)
class Cell:
    """`number` is None for a text, and for a figure that nobody knows: `text` then says so."""

    text: str
    number: float | None = None
    excel: str = ""
    """Excel's number format, with the unit in it."""
    is_name: bool = False
    """Something that a machine calls so: a node type, a run."""
    detail: str = ""
    """Said below it, smaller."""
    bounds: tuple[float, float] | None = None
    """Low and high of a figure that is not known exactly; they stand in the text as well."""

    @property
    def is_figure(self) -> bool:
        return self.number is not None

    @property
    def is_date(self) -> bool:
        return self.excel == _MONTH


NOTHING = Cell("")


def words(text: str | None) -> Cell:
    """A text, or nothing."""
    return Cell(text or "")


def name(text: str) -> Cell:
    """The name of a node type, a run or an option."""
    return Cell(text, is_name=True)


def month(text: str | None) -> Cell:
    """`2027-09` as `September 2027`, a date to Excel; `never` where there is none."""
    if text is None:
        return Cell("never")
    year, number = map(int, text.split("-"))
    return Cell(month_text(text), float((date(year, number, 1) - _EXCEL_BEGINS).days), _MONTH)


def money(value: float | None, *, exact: bool = False) -> Cell:
    """Dollars, with cents below a thousand; `exact` prices have up to six places."""
    if value is None:
        return Cell(usd(value))
    if exact:
        return Cell(f"${_trimmed(value)}", value, _USD_EXACT)
    return Cell(usd(value), value, _USD)


def change(value: float | None) -> Cell:
    """Dollars more or less, with their sign."""
    if value is None:
        return Cell(usd(value))
    sign = "−" if value < 0 else "+"
    return Cell(f"{sign}{usd(abs(value))}", value, f'"+"{_USD};"−"{_USD}')


def share(value: float | None, digits: int = 1) -> Cell:
    """A share of 1 as percent."""
    if value is None:
        return Cell("unknown")
    places = f".{'0' * digits}" if digits else ""
    text = f"{100 * value:.{digits}f} %"
    return Cell(text.replace("-", "−"), value, f'0{places} %;"−"0{places} %')


def percent(value: float | None, digits: int = 0) -> Cell:
    """A figure that is in percent already; to Excel a share."""
    return share(None if value is None else value / 100.0, digits)


def count(value: float | None, unit: str = "") -> Cell:
    """A whole number, with its unit."""
    if value is None:
        return Cell("not measured")
    after = f" {unit}" if unit else ""
    return Cell(f"{value:,.0f}{after}", float(value), "#,##0" + (f'" {unit}"' if unit else ""))


def number(value: float | None, unit: str = "", *, significant: int = 3, absent: str = "unknown") -> Cell:
    """So many significant digits below a hundred, a whole number from there on; with its unit."""
    if value is None:
        return Cell(absent)
    if abs(value) >= 100.0:
        return count(value, unit)
    places = _places(value, significant)
    after = f" {unit}" if unit else ""
    return Cell(f"{value:.{significant}g}{after}", value,
                "0" + (f".{'0' * places}" if places else "") + (f'" {unit}"' if unit else ""))


def decimal(value: float, digits: int) -> Cell:
    """So many decimal places."""
    return Cell(f"{value:,.{digits}f}", value, f"#,##0.{'0' * digits}")


def amount(value: float | None, unit: str) -> Cell:
    """A need or limit: bytes as MB, bits a second as Mbit/s or Gbit/s, else three significant digits.

    Excel keeps bytes and bits: its format alone divides them.
    """
    if value is None:
        return Cell("unknown")
    if unit == "bytes":
        return Cell(f"{value / _MEGA:,.1f} MB", value, '#,##0.0,," MB"')
    if unit == "bits per second":
        if value < _GIGA_FROM:
            return Cell(f"{value / _MEGA:,.2f} Mbit/s", value, '#,##0.00,," Mbit/s"')
        return Cell(f"{value / 1e9:,.1f} Gbit/s", value, '#,##0.0,,," Gbit/s"')
    return number(value, unit)


def given(value: Any) -> Cell:
    """An input or assumption: a number, an interval as `mid (low – high)`, a text, or nothing."""
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if isinstance(value, Mapping):
        return Cell(assumed(value), float(value["mid"]), "General",
                    bounds=(float(value["low"]), float(value["high"])))
    if isinstance(value, int | float):
        return Cell(plain(value), float(value), "General")
    if isinstance(value, list | tuple):
        return Cell(", ".join(given(each).text for each in value))
    return Cell("" if value is None else str(value))


def _places(value: float, significant: int) -> int:
    """Decimal places of a figure with so many significant digits."""
    if value == 0.0:
        return 0
    return min(max(significant - 1 - math.floor(math.log10(abs(value))), 0), 9)


def _trimmed(value: float) -> str:
    """At least cents, at most six places."""
    whole, _, places = f"{value:,.6f}".partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"
