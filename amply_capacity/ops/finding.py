"""A finding, the rule that found it, and where that rule is from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from amply_capacity.ops.circumstances import Circumstances
from amply_capacity.ops.configuration import Configuration, Place

__all__ = ["SEVERITIES", "Check", "Finding", "Hit", "Rule", "Severity", "Source"]

Severity: TypeAlias = Literal["error", "warning", "advice"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "advice")
"""error: AWS refuses it, or the application does something else than it says. warning: it works, until it
matters. advice: it works, and could cost or risk less."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a rule rests on, and as of when that was so."""

    title: str
    address: str
    as_of: str
    """`undated` where the page has no date."""

    def __str__(self) -> str:
        return ", ".join(part for part in (self.title, self.address, self.as_of) if part)


@dataclass(frozen=True, slots=True)
class Hit:
    """What a check found: one fault at one place."""

    what: str
    """What was found, and what follows from it."""
    fix: str
    """Exactly what to write."""
    place: Place
    severity: Severity | None = None
    """Instead of the rule's."""
    source: Source | None = None
    """Instead of the rule's, where figures have a source of their own."""


Check: TypeAlias = Callable[[Configuration, Circumstances], Iterator[Hit]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A check under its name."""

    name: str
    severity: Severity
    source: Source
    check: Check

    def findings(self, configuration: Configuration, circumstances: Circumstances) -> Iterator[Finding]:
        for hit in self.check(configuration, circumstances):
            yield Finding(self.name, hit.severity or self.severity, hit.what, hit.fix,
                          str(hit.source or self.source), hit.place)


@dataclass(frozen=True, slots=True)
class Finding:
    """What an audit says of one fault."""

    rule: str
    severity: Severity
    what: str
    fix: str
    source: str
    place: Place

    def as_json(self) -> dict[str, Any]:
        return {"rule": self.rule, "severity": self.severity, "what": self.what, "fix": self.fix,
                "source": self.source, "where": {"line": self.place.line, "path": self.place.path}}
