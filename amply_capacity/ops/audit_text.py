"""An audit for a terminal."""

from __future__ import annotations

from amply_capacity.ops.audit import Audit

__all__ = ["audit_text"]


def audit_text(audit: Audit) -> str:
    """Each finding with its place, its fix and its source; then how many there are, and what was left out."""
    lines: list[str] = []
    for finding in audit.findings:
        line = "" if finding.place.line is None else f"line {finding.place.line}, "
        lines += [f"{finding.severity:<8} {finding.rule}  ({line}{finding.place.path})",
                  f"  {finding.what}", f"  fix: {finding.fix}", f"  source: {finding.source}", ""]
    counts = ", ".join(f"{number} {_plural(name, number)}" for name, number in audit.counts.items() if number)
    lines.append(f"{audit.origin}: {counts or 'no findings'}")
    lines += [f"not audited: {note}" for note in audit.not_audited]
    lines += [f"assumed: {note}" for note in audit.assumed]
    return "\n".join(lines)


def _plural(name: str, number: int) -> str:
    return name if number == 1 or name == "advice" else f"{name}s"
