"""Demands that are well-formed and yet cannot be: a line for each, in the file's own words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from amply_capacity.catalog.prices import term_months
from amply_capacity.interval import Interval
from amply_capacity.plan.faults import nearest
from amply_capacity.plan.worlds import Correlated
from amply_capacity.traffic.sessions import SESSION_TTL_SECONDS

__all__ = ["correlation_faults", "session_faults", "term_faults"]

_DAY_S = 86_400.0


def session_faults(sessions_per_user: Interval, logins_per_user_day: Interval) -> Iterator[str]:
    """A session lives for its TTL, so a user has no more of them than that time's log-ins."""
    days = SESSION_TTL_SECONDS / _DAY_S
    most = days * logins_per_user_day.high
    if sessions_per_user.low > most:
        yield (f"users.sessions_per_user: at least {sessions_per_user.low:g} live sessions, but {days:g} "
               f"days of activity.logins_per_user_day make at most {most:g}, and no session outlives its TTL")


def term_faults(terms: Iterable[str], horizon_months: int) -> Iterator[str]:
    """A reservation has to end within the horizon, or its price cannot be held against anything."""
    for term in terms:
        months = term_months(term)
        if months is not None and months > horizon_months:
            yield (f"allowed.terms: {term} binds for {months} months, plan.horizon_months is "
                   f"{horizon_months}: lengthen the horizon or leave the term out")


def correlation_faults(groups: Sequence[Correlated], numbers: Collection[str]) -> Iterator[str]:
    """`numbers` are those of the demand by their dotted path."""
    seen: set[str] = set()
    for place, group in enumerate(groups):
        names = [name.removeprefix("-") for name in group.inputs]
        for name in names:
            if name not in numbers:
                yield f"correlated.{place}.inputs: unknown number {name!r} ({nearest(name, numbers)})"
            elif name in seen:
                yield f"correlated.{place}.inputs: {name} may stand in one group only, and once"
            seen.add(name)
        if len(names) < 2:
            yield f"correlated.{place}.inputs: name at least two numbers, got {len(names)}"
