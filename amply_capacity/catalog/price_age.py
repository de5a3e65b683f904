"""How old prices are, in words, and from when on that is worth a warning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

__all__ = ["STALE_DAYS", "PriceAge", "age_in_words", "price_age"]

STALE_DAYS = 180
_DAYS_OF_MONTH = 365.25 / 12.0
_REFRESH = "`amply-capacity prices refresh` reads them anew"


@dataclass(frozen=True, slots=True)
class PriceAge:
    """The ages of some prices on one day."""

    prices: int
    undated: int
    stale: int
    """Of those with a date, how many are older than 180 days."""
    oldest: date | None
    newest: date | None
    """None where no price has a date."""
    today: date

    @property
    def text(self) -> str:
        """`prices as of 2025-03-14 (1 year 8 months ago) to 2026-10-02 (57 days ago)`."""
        if self.oldest is None or self.newest is None:
            return "prices of unknown date" if self.prices else "no prices"
        dates = sorted({self.oldest, self.newest})
        undated = f", {self.undated:,} undated" if self.undated else ""
        return "prices as of " + " to ".join(map(self._with_age, dates)) + undated

    @property
    def warning(self) -> str | None:
        """A sentence where a price is older than 180 days or bears no date; None where none is."""
        parts = []
        if self.stale and self.oldest is not None:
            parts.append(f"{self.stale:,} of {self.prices:,} prices are older than {STALE_DAYS} days, "
                         f"the oldest as of {self._with_age(self.oldest)}")
        if self.undated:
            parts.append(f"{self.undated:,} of {self.prices:,} prices bear no date")
        return f"warning: {'; '.join(parts)}: {_REFRESH}" if parts else None

    def _with_age(self, day: date) -> str:
        return f"{day.isoformat()} ({age_in_words(_days(day, self.today))})"


def price_age(as_of: Iterable[str], today: date) -> PriceAge:
    """The age of prices with those dates: ISO, or `undated` as in the table.

    Example: `price_age([p.as_of for p in prices.prices()], date.today()).warning`
    """
    texts = list(as_of)
    dates = [date.fromisoformat(text) for text in texts if text != "undated"]
    return PriceAge(
        prices=len(texts),
        undated=len(texts) - len(dates),
        stale=sum(_days(day, today) > STALE_DAYS for day in dates),
        oldest=min(dates, default=None),
        newest=max(dates, default=None),
        today=today,
    )


def age_in_words(days: int) -> str:
    """`today`, `1 day ago`, `57 days ago`, `8 months ago`, `1 year 8 months ago`."""
    if days == 0:
        return "today"
    if days < 3 * _DAYS_OF_MONTH:
        return f"{_count(days, 'day')} ago"
    years, months = divmod(int(days / _DAYS_OF_MONTH), 12)
    parts = [_count(number, unit) for number, unit in ((years, "year"), (months, "month")) if number]
    return f"{' '.join(parts)} ago"


def _days(day: date, today: date) -> int:
    """A date in the future, by a clock that is wrong here or there, counts as today."""
    return max((today - day).days, 0)


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
