"""Months in which more is asked for than growth alone explains: a sale, a new customer, a school year."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, ClassVar

import numpy as np
from pydantic import ConfigDict, Field, StrictStr

from amply_capacity.plan.quantity import Positive
from amply_capacity.plan.worlds import Floats, Worlds

__all__ = ["Campaign", "load_factor"]

_STRICT: ConfigDict = {"extra": "forbid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """`[[campaign]]`: from `month` on, for so many months, each user does `load` times as much."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    name: StrictStr
    month: Annotated[str, Field(strict=True, pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
    load: Positive
    months: Annotated[int, Field(strict=True, ge=1, le=120)] = 1

    @property
    def first(self) -> int:
        """Months since year 0."""
        year, month = self.month.split("-")
        return int(year) * 12 + int(month) - 1


def load_factor(campaigns: Sequence[Campaign], start: date, months: int, worlds: Worlds) -> Floats:
    """What each user does over the usual, (worlds, 1 + months): column 0 is the month of `start`.

    Campaigns of one month multiply each other. Outside the horizon a campaign counts for nothing.
    """
    factor = np.ones((worlds.count, months + 1))
    today = start.year * 12 + start.month - 1
    for number, campaign in enumerate(campaigns):
        first = campaign.first - today
        columns = slice(max(first, 0), max(min(first + campaign.months, months + 1), 0))
        drawn = worlds.draw(f"campaign.{number}.{campaign.name}", campaign.load)
        factor[:, columns] *= drawn[:, None]
    return factor
