"""What a notebook begins with: its conclusion, what that rests on, and why to read it with care."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from amply_capacity.catalog.price_age import age_in_words
from amply_capacity.model.digest import digest
from amply_capacity.report.live import as_text
from amply_capacity.report.markdown import escaped
from amply_capacity.run.reader import Run

__all__ = ["OLD_DAYS", "Opening", "banner", "cautions"]

OLD_DAYS = 90
"""A quarter: capacity meetings are held once in each, so an older run was there at an earlier one."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A conclusion with its banner; Jupyter shows it as it is. Every text in it is shown as text."""

    conclusion: str
    origin: str
    cautions: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        return ('<p style="font-size:1.4em;line-height:1.4;font-weight:600;max-width:58em;'
                f'margin:.2em 0 .5em">{as_text(self.conclusion)}</p>'
                f'<p style="margin:.2em 0;opacity:.8">{as_text(self.origin)}</p>{banner(self.cautions)}')

    def _repr_markdown_(self) -> str:
        return (f"**{escaped(self.conclusion)}**\n\n{escaped(self.origin)}"
                + "".join(f"\n\n> **Read with care:** {escaped(one)}" for one in self.cautions))


def cautions(run: Run, engine: str, today: date) -> tuple[str, ...]:
    """Why what follows from a run is to be read with care, for a cluster of that engine, on that day.

    The run is partial or generator-bound, or was disturbed (as its evidence says); it is older than 90 days;
    or its server was of another engine. Of an import its age alone. Empty where nothing is to be said.
    """
    found = [] if run.is_imported else list(digest(run).warnings)
    recorded = datetime.fromisoformat(str(run.manifest["started_at"])).astimezone(UTC).date()
    days = (today - recorded).days
    if days > OLD_DAYS:
        found.append(f"the run is old: it was recorded {age_in_words(days)}, on {recorded.isoformat()}, and "
                     f"traffic changes: record it again")
    measured = "" if run.is_imported else str(run.manifest["server"]["engine"])
    if measured and measured != engine:
        found.append(f"the run was made on {measured}, and the plan is for {engine}: bytes per key and CPU "
                     "per command of that engine are not measured")
    return tuple(found)


def banner(found: tuple[str, ...]) -> str:
    """The cautions as one box of HTML, legible on light and dark; nothing where there are none."""
    if not found:
        return ""
    items = "".join(f'<li style="margin:.15em 0">{_sentence(one)}</li>' for one in found)
    return ('<div role="note" style="margin:.8em 0;padding:.6em 1em;max-width:76em;'
            'border-left:6px solid #d55e00;background:#fff4ea;color:#1b2733"><b>⚠ Read with care</b>'
            f'<ul style="margin:.3em 0 0;padding-left:1.3em">{items}</ul></div>')


def _sentence(words: str) -> str:
    """With a capital, a full stop, and what stands in backticks as code."""
    text = as_text(f"{words[:1].upper()}{words[1:].rstrip('.')}.")
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
