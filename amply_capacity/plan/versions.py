"""Engine versions on ElastiCache: which run at all, on which node types, and how long they are supported.

Sources: AWS, "Versions with ElastiCache Extended Support" and "ElastiCache Extended Support charges" (copies
of 2026); Redis OSS ends at 7.1 there, Valkey begins at 7.2.
"""

from __future__ import annotations

import re
from datetime import date

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.errors import BadInput

__all__ = ["parsed_version", "support_year", "version_faults"]

Version = tuple[int, ...]

_NEWEST_REDIS = (7, 1)
_OLDEST_REDIS = (4,)
_OLDEST_VALKEY = (7, 2)
_YEAR_STARTS = {
    4: (date(2026, 2, 1), date(2027, 2, 1), date(2028, 2, 1), date(2029, 2, 1)),
    5: (date(2026, 2, 1), date(2027, 2, 1), date(2028, 2, 1), date(2029, 2, 1)),
    6: (date(2027, 2, 1), date(2028, 2, 1), date(2029, 2, 1), date(2030, 2, 1)),
}
"""By major version of Redis OSS the first days of Extended Support's years 1, 2, 3, and of what follows."""


def parsed_version(text: str) -> Version | None:
    """`5.0.6` as (5, 0, 6), `7` as (7,); None for what is no version."""
    return tuple(map(int, text.split("."))) if re.fullmatch(r"\d{1,3}(\.\d{1,3}){0,2}", text) else None


def support_year(version: Version, month: date) -> int | None:
    """The year of Extended Support, 1 to 3, in which that version of Redis OSS is then; 0 before it.

    None where its support has ended altogether, and AWS upgrades what still runs it. For versions whose end
    of support is not announced it is 0.
    """
    starts = _YEAR_STARTS.get(version[0], ())
    year = sum(month >= start for start in starts)
    return None if year == 4 else year


def version_faults(engine: str, text: str, node: NodeType | None, month: date | None) -> list[BadInput]:
    """Why that version of that engine cannot be billed on that node type in that month."""
    version = parsed_version(text)
    if version is None:
        return [BadInput("the engine version is none", got=repr(text), do="give it as 7.1 or 5.0.6")]
    oldest, name = (_OLDEST_REDIS, "Redis OSS") if engine == "redis" else (_OLDEST_VALKEY, "Valkey")
    if version < oldest[:len(version)]:
        return [BadInput(f"ElastiCache runs no {name} {text}", got=f"its oldest is {_text(oldest)}",
                         do=f"take {_text(oldest)} or newer")]
    if engine == "redis" and version[:2] > _NEWEST_REDIS:
        return [BadInput(f"ElastiCache runs no Redis OSS {text}", got=f"its newest is {_text(_NEWEST_REDIS)}",
                         do="take 7.1 or older, or engine valkey")]
    faults = []
    minimum = None if node is None else parsed_version(node.engines.get(engine, ""))
    if node is not None and minimum is not None and version < minimum[:len(version)]:
        faults.append(BadInput(f"{node.name} runs no {name} {text}",
                               got=f"it needs {_text(minimum)} or newer",
                               do="take a newer version, or a node type of an older generation"))
    if engine == "redis" and version[0] in _YEAR_STARTS:
        if month is None:
            faults.append(BadInput(f"what {name} {text} costs depends on the month", got="no month",
                                   do="give the month that is billed"))
        elif support_year(version, month) is None:
            last = _YEAR_STARTS[version[0]][-1]
            faults.append(BadInput(f"{name} {text} no longer runs then", got=f"the month {month:%Y-%m}",
                                   do=f"take a month before {last:%Y-%m}, or a newer version"))
    return faults


def _text(version: Version) -> str:
    return ".".join(map(str, version))
