"""A month's bill: lines that each bear the source and date of their price, and what the bill cannot say.

Amounts are exact decimals until a line is rounded to a hundredth of a cent; a sum is that of the lines as
they are printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

__all__ = ["HOURS_PER_MONTH", "Absent", "Bill", "BillLine", "ServerlessBill", "exact", "line", "plain",
           "rounded", "total_usd"]

HOURS_PER_MONTH = 730
"""AWS's own convention: a month is 730 hours, and an upfront fee is spread over 12 or 36 months."""


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line of a monthly bill; `usd` is rounded to a hundredth of a cent."""

    what: str
    quantity: float
    unit: str
    usd: float
    source: str
    as_of: str
    usd_per_unit: float | None = None
    """The price that `quantity` is multiplied by."""


@dataclass(frozen=True, slots=True)
class Absent:
    """A figure that was asked for and is in no line, since no source says its price."""

    what: str
    reason: str

    def as_json(self) -> dict[str, str]:
        return {"what": self.what, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Bill:
    """What a cluster of nodes costs in one month, and in `notes` what this bill leaves out."""

    region: str
    engine: str
    node_type: str
    shards: int
    replicas: int
    """Per shard."""
    term: str
    lines: tuple[BillLine, ...]
    notes: tuple[str, ...]
    absent: tuple[Absent, ...] = ()

    @property
    def usd_per_month(self) -> float:
        """The sum of the lines as they are printed."""
        return total_usd(self.lines)

    def as_json(self) -> dict[str, Any]:
        """The object that `amply-capacity cost --json` prints."""
        return _head(self.lines) | {
            "kind": "nodes",
            "region": self.region,
            "engine": self.engine,
            "node_type": self.node_type,
            "shards": self.shards,
            "replicas": self.replicas,
            "term": self.term,
        } | _tail(self.notes, self.absent)


@dataclass(frozen=True, slots=True)
class ServerlessBill:
    """What a serverless cache costs in one month."""

    region: str
    engine: str
    gb: float
    """Data held, on the average of the month, in units of 2^30 bytes."""
    ecpus_per_second: float
    lines: tuple[BillLine, ...]
    notes: tuple[str, ...]
    absent: tuple[Absent, ...] = ()

    @property
    def usd_per_month(self) -> float:
        """The sum of the lines as they are printed."""
        return total_usd(self.lines)

    def as_json(self) -> dict[str, Any]:
        """The object that `amply-capacity cost --serverless --json` prints."""
        return _head(self.lines) | {
            "kind": "serverless",
            "region": self.region,
            "engine": self.engine,
            "gb": self.gb,
            "ecpus_per_second": self.ecpus_per_second,
        } | _tail(self.notes, self.absent)


def line(what: str, quantity: Decimal | int, unit: str, usd_per_unit: Decimal, source: str, as_of: str,
         usd: Decimal | None = None) -> BillLine:
    """The line of so many units at that price; `usd` where the price is a fraction that has no end."""
    shown = int(quantity) if quantity == int(quantity) else float(quantity)
    total = quantity * usd_per_unit if usd is None else usd
    return BillLine(what, shown, unit, rounded(total), source, as_of, float(round(usd_per_unit, 10)))


def total_usd(lines: Iterable[BillLine]) -> float:
    """The sum of the lines as they are printed."""
    return float(sum((exact(one.usd) for one in lines), Decimal()))


def exact(number: float) -> Decimal:
    """The decimal number that was written in a file or typed, free of the binary fraction's error."""
    return Decimal(repr(float(number)))


def rounded(usd: Decimal) -> float:
    """To a hundredth of a cent, halves up."""
    return float(usd.quantize(Decimal("0.0001"), ROUND_HALF_UP))


def plain(number: float | Decimal) -> str:
    """All digits of a number, without an exponent."""
    return format((number if isinstance(number, Decimal) else exact(number)).normalize(), "f")


def _head(lines: Sequence[BillLine]) -> dict[str, Any]:
    keys = BillLine.__slots__
    return {"usd_per_month": total_usd(lines), "lines": [{key: getattr(one, key) for key in keys}
                                                         for one in lines]}


def _tail(notes: Sequence[str], absent: Sequence[Absent]) -> dict[str, Any]:
    return {"hours_per_month": HOURS_PER_MONTH, "notes": list(notes),
            "absent": [one.as_json() for one in absent]}
