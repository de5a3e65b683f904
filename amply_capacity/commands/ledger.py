"""`amply-capacity ledger`: what was predicted, what was measured, and how often the intervals held the
truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from amply_capacity.commands.answer import Json, print_answer
from amply_capacity.errors import BadInput

if TYPE_CHECKING:
    from amply_capacity.model.ledger import Entry, Score

__all__ = ["ledger"]


def ledger(
    rows: Annotated[bool, typer.Option("--rows", help="Each prediction as well.")] = False,
    since: Annotated[str | None, typer.Option(
        help="Only what was predicted from that day on, YYYY-MM-DD: the models as they are by now.")] = None,
    json_: Json = False,
) -> None:
    """The toolkit's own track record: predicted against measured, so far.

    Example: amply-capacity ledger --rows --since 2026-11-29
    """
    from dataclasses import asdict

    from amply_capacity.files import LEDGER_DIR, OWN_LEDGER_DIR
    from amply_capacity.model.ledger import read_ledgers, scores

    first = _day(since)
    entries = [entry for entry in read_ledgers(LEDGER_DIR, OWN_LEDGER_DIR) if entry.predicted_at >= first]
    judged = scores(entries)
    content: dict[str, Any] = {
        "scores": [asdict(score) for score in judged],
        "predictions": [{**asdict(entry), "inside": entry.is_inside, "relative_error": entry.relative_error}
                        for entry in entries],
    }
    print_answer(json_, content, _text(judged, entries if rows else [], since))


def _day(since: str | None) -> str:
    """As the ledger's times begin, so that they can be compared."""
    from datetime import date

    try:
        return date.fromisoformat(since).isoformat() if since is not None else ""
    except ValueError:
        raise BadInput("--since is no date", got=repr(since), do="give it as YYYY-MM-DD") from None


def _text(judged: list[Score], entries: list[Entry], since: str | None) -> str:
    if not judged and since is not None:
        return f"nothing has been predicted since {since}"
    if not judged:
        return ("nothing has been predicted yet: `locust … --predict-from RUN` predicts a run and scores it, "
                "`make bench` predicts and measures")
    lines = [f"{'':<38} {'measured':>8} {'inside the interval':>20} {'median error':>13} {'bias':>8} "
             f"{'worst':>8} {'open':>5}"]
    for one in judged:
        inside = f"{one.inside} of {one.measured}" if one.measured else "–"
        lines.append(f"{one.quantity:<38} {one.measured:>8} {inside:>20} {_percent(one.median_error):>13} "
                     f"{_percent(one.bias, sign=True):>8} {_percent(one.worst_error):>8} {one.open:>5}")
    measured, inside_all = sum(one.measured for one in judged), sum(one.inside for one in judged)
    if measured:
        wanted = sum(one.confidence * one.measured for one in judged) / measured
        lines.append(f"in all, {inside_all} of {measured} intervals held what was measured "
                     f"({inside_all / measured:.0%}; {wanted:.0%} were to)")
    for entry in entries:
        predicted = entry.predicted
        lines.append(f"{entry.predicted_at[:16]}  {entry.quantity}, {entry.case}: {predicted.mid:,.6g} "
                     f"({predicted.low:,.6g}–{predicted.high:,.6g}) {entry.unit}, "
                     + ("not measured yet" if entry.measured is None else f"measured {entry.measured:,.6g}"))
    return "\n".join(lines)


def _percent(share: float | None, *, sign: bool = False) -> str:
    if share is None:
        return "–"
    return f"{100.0 * share:+.2f} %" if sign else f"{100.0 * share:.2f} %"
