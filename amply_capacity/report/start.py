"""The entry of the capacity meeting: what is known, which notebook answers which question, and the runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from amply_capacity.errors import BadRun
from amply_capacity.files import EXAMPLE_RUN
from amply_capacity.report import tables
from amply_capacity.report.bought import bought, is_serverless
from amply_capacity.report.document import month_text
from amply_capacity.report.ledger_figure import track_record_text
from amply_capacity.report.live import Html, as_text
from amply_capacity.report.money import usd
from amply_capacity.report.notebooks import Session, Text, open_ledger, open_session
from amply_capacity.report.opening import Opening
from amply_capacity.report.run_list import listed, run_row

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

__all__ = ["Question", "Start", "open_start"]

MOST_RUNS = 12
_LEFT = 'style="text-align:left;vertical-align:top"'
_RECORD = "locust -f loadtests/mixed.py --headless -u 50 -r 50 -t 60s --arrivals poisson --rate 1000"


@dataclass(frozen=True, slots=True)
class Question:
    """A notebook's file, what it is asked, and what it answers today."""

    notebook: str
    title: str
    asked: str
    answer: str


@dataclass(frozen=True, slots=True)
class Start:
    """What the meeting begins with: the session of the chosen run, and the runs that are there."""

    session: Session
    rows: Sequence[Mapping[str, Any]]
    """As `runs list` shows them, newest first, so many at most; and the chosen one, wherever it lies."""
    has_own_run: bool

    def opening(self) -> Opening | Text:
        """The decision; where no run is there yet, that the example stands in, and how to record one."""
        found = self.session.opening()
        if isinstance(found, Text) or self.has_own_run:
            return found
        return replace(found, cautions=(
            "no run has been recorded in this checkout yet: this is the example that ships with the toolkit, "
            f"recorded on another machine. Record your own with `{_RECORD}`, then run this notebook again",
            *found.cautions))

    def questions(self) -> Html:
        """Each notebook, with what it answers today."""
        rows = "".join(
            f'<tr><td {_LEFT}><a href="{one.notebook}"><b>{one.title.replace(" ", "&nbsp;")}</b></a></td>'
            f"<td {_LEFT}>{as_text(one.asked)}</td><td {_LEFT}>{as_text(one.answer)}</td></tr>"
            for one in self.answered())
        heads = "".join(f"<th {_LEFT}>{name}</th>" for name in ("Notebook", "Question", "Answer today"))
        return Html(f'<table style="font-size:1.05em"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>'
                    "</table>")

    def answered(self) -> Iterator[Question]:
        """The questions of the notebooks, in their order."""
        yield Question("01_run_review.ipynb", "Run review", "What was recorded, and can it be believed?",
                       _review(run_row(self.session.run)))
        for file, title, asked, answer in (
            ("02_node_sizing.ipynb", "Node sizing", "Which node type carries the demand, and what binds?",
             _sizing),
            ("03_replica_decision.ipynb", "Replica decision", "Is a replica worth its price?", _replica),
            ("04_cost_projection.ipynb", "Cost projection", "What does it cost, and when is the upgrade?",
             _cost),
        ):
            try:
                words = answer(self.session.plan)
            except BadRun as error:
                words = f"No answer: {error.what}."
            yield Question(file, title, asked, words)
        yield Question("05_prediction_check.ipynb", "Prediction check", "How good were the predictions?",
                       track_record_text(open_ledger().entries))

    def runs(self) -> Styler:
        """The runs at a glance, with the chosen one marked."""
        return tables.runs(self.rows, str(self.session.run.directory.resolve()))


def open_start() -> Start:
    """The start of $AMPLY_RUN or the newest run, and $AMPLY_DEMAND; raises as `open_session`."""
    session, rows = open_session(), listed(MOST_RUNS)
    directory = session.run.directory.resolve()
    is_own = directory != EXAMPLE_RUN or any(row["operations_per_second"] is not None for row in rows)
    if str(directory) not in [row["directory"] for row in rows]:
        rows.append(run_row(session.run) | {"directory": str(directory)})
    return Start(session, rows, is_own)


def _review(row: Mapping[str, Any]) -> str:
    if row["operations_per_second"] is None:
        return f"An import: {row['note']}."
    p99 = "" if row["p99_ms"] is None else f", p99 {row['p99_ms']:.3g} ms"
    return (f"A {row['verdict']} run of {row['scenario']}: {row['operations_per_second']:,.0f} operations/s"
            f"{p99}.")


def _sizing(plan: Mapping[str, Any]) -> str:
    chosen = plan["chosen"]
    withheld = "Not to be decided yet. So far: " if plan["withheld"] else ""
    if is_serverless(chosen):
        return f"{withheld}{bought(chosen)}, which has no node that could be too small."
    left = "" if chosen["headroom_percent"] is None else f", {chosen['headroom_percent']:.0f} % of it left"
    return (f"{withheld}{bought(chosen)}. Tightest is "
            f"{chosen['binding'].replace('_', ' ')}{left} in {month_text(plan['fits_in_month'])}.")


def _replica(plan: Mapping[str, Any]) -> str:
    replica = plan["replica"]
    return (f"{replica['verdict'].capitalize()}: it saves more than it costs in "
            f"{100.0 * replica['probability']:.0f} % of the worlds.")


def _cost(plan: Mapping[str, Any]) -> str:
    last = plan["months"][-1]
    then = "an unknown amount" if last["usd_mid"] is None else usd(last["usd_mid"])
    upgrade = (f"the next upgrade comes in {month_text(plan['upgrades'][0]['month'])}" if plan["upgrades"]
               else "no upgrade is in sight")
    return (f"{usd(plan['chosen']['usd_per_month'])} a month now, {then} in {month_text(last['month'])} "
            f"(median world); {upgrade}.")
