"""What the cells of the notebooks call: the session of a run and a demand, and the track record."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from amply_capacity.catalog import prices
from amply_capacity.catalog.nodes import node_type
from amply_capacity.errors import AmplyError, BadInput, BadRun
from amply_capacity.files import DATA_DIR, EXAMPLE_RUN, LEDGER_DIR, OWN_LEDGER_DIR
from amply_capacity.model.digest import digest
from amply_capacity.model.ledger import Entry, read_ledgers
from amply_capacity.plan.calibrations import read_calibrations
from amply_capacity.plan.demand import Demand, load_demand
from amply_capacity.plan.demand_needs import needs
from amply_capacity.plan.measured import measured
from amply_capacity.plan.workload import workload
from amply_capacity.plan.worlds import Worlds
from amply_capacity.report import throughput_figure
from amply_capacity.report.credits_figure import credit_week
from amply_capacity.report.document import conclusion, plan_of
from amply_capacity.report.hit_rate_figure import hit_rate_of
from amply_capacity.report.ledger_figure import track_record_text
from amply_capacity.report.live import Live
from amply_capacity.report.look import Picture
from amply_capacity.report.notebook_files import DEMAND_VARIABLE, RUN_VARIABLE
from amply_capacity.report.opening import Opening, cautions
from amply_capacity.report.production_tables import NoPlan, summary_markdown
from amply_capacity.report.run_picker import RunPicker
from amply_capacity.report.throughput import ThroughputQuestion, throughput_of
from amply_capacity.report.what_if import WhatIf
from amply_capacity.run.reader import Run, all_runs, newest_or_example, read_run

__all__ = ["Session", "Text", "TrackRecord", "open_ledger", "open_session"]

_WORLDS = 2_000
_MOST_RUNS = 30
_SIZES = ("micro", "small", "medium", "large", "xlarge")
_BURSTABLE = ("cache.t3.micro", "cache.t4g.micro", "cache.t3.small", "cache.t4g.small", "cache.t3.medium",
              "cache.t4g.medium")


@dataclass
class Session:
    """What a notebook works on: a run, a demand file, and the plan that follows from them."""

    run: Run
    demand: Path

    @cached_property
    def plan(self) -> dict[str, Any]:
        """The run's plan as JSON; of production one that says why there is none. Raises as `plan_of`."""
        if self.run.is_production:
            return NoPlan(self.run)
        return plan_of([self.run.directory], self.demand).as_json()

    def _repr_html_(self) -> str | None:
        opening = self.opening()
        return opening._repr_html_() if isinstance(opening, Opening) else None

    def _repr_markdown_(self) -> str:
        return self.opening()._repr_markdown_()

    def opening(self) -> Opening | Text:
        """The decision in a sentence or three, and why to read it with care; or why there is none."""
        if self.run.is_production:
            return _of_production(self.run)
        try:
            plan = self.plan
        except BadRun as error:
            return _not_drawn(error)
        return Opening(conclusion(plan), self._origin,
                       cautions(self.run, plan["chosen"]["engine"], _today()))

    def run_summary(self) -> Opening | Text:
        """What the run was, in a sentence."""
        if self.run.is_production:
            return _of_production(self.run)
        manifest, evidence = self.run.manifest, digest(self.run)
        done = sum(latency.operations for latency in evidence.latency.values())
        hit = "" if evidence.hit_rate is None else (
            f" {100 * evidence.hit_rate:.1f} % of the cached reads were hits.")
        return Opening(
            f"{done:,} operations in {evidence.seconds:.0f} s ({manifest['arrivals']} arrivals) on "
            f"{evidence.server}; the run is {self.run.verdict}.{hit}",
            f"{self._origin} Seed {manifest['seed']}.",
            cautions(self.run, load_demand(self.demand).cluster.engine, _today()))

    def draw(self, what: Callable[..., object], **options: object) -> None:
        """Show a figure, table or text in this cell, and again when another run is picked.

        `what` is handed the run or the plan, where it has a parameter of that name. Where it cannot be drawn
        from this run, that is said instead.
        """
        self._live.draw(what, **options)

    def pick_run(self) -> RunPicker:
        """A list of the runs recorded here, and the example; what was drawn follows the one picked."""
        recorded = [run for run in all_runs() if not run.is_imported][:_MOST_RUNS]
        return RunPicker([*recorded, read_run(EXAMPLE_RUN)], self.run, self.choose)

    def choose(self, run: str | Path, then: Callable[[], object] = lambda: None) -> None:
        """Take another run, draw again what was drawn, and call `then`.

        Raises BadRun for what is none, or has no measured phase; all is then as it was.
        """
        chosen = read_run(run)
        if not chosen.is_production:
            digest(chosen)
        self.run = chosen
        for made in ("plan", "throughput"):
            self.__dict__.pop(made, None)
        self._live.redraw(then)

    @cached_property
    def _live(self) -> Live:
        return Live({"run": lambda: self.run, "plan": lambda: self.plan}, _not_drawn, (BadRun, BadInput))

    @property
    def _origin(self) -> str:
        recorded = str(self.run.manifest["started_at"])[:10]
        ours = ", the example that ships" if self.run.directory.resolve() == EXAMPLE_RUN else ""
        return f"Run {self.run.name}, recorded {recorded}{ours}; demand {self.demand.name}."

    def hit_rates(self, month: int = 0) -> Picture | Text:
        """The peak hour's hit rate and evictions at every node type's memory, so many months from today.

        A sentence, where the run does not show every class of keys.
        """
        try:
            return hit_rate_of(self.run, self.demand, month)
        except BadRun as error:
            return _not_drawn(error)

    @cached_property
    def throughput(self) -> dict[str, Any]:
        """The answer of `predict throughput` at the demand's objectives, for the node types of a meeting.

        Raises BadRun for a run that cannot answer.
        """
        demand = load_demand(self.demand)
        with contextlib.redirect_stderr(io.StringIO()):  # its progress is no result of a cell
            return throughput_of([str(self.run.directory)],
                                 ThroughputQuestion(None, self.demand, _of_a_meeting(demand)))

    def load_curve(self) -> Picture | Text:
        """Response times against load, as predicted from the run."""
        return self._of_throughput(throughput_figure.load_curve)

    def throughput_notes(self) -> Picture | Text:
        """What the throughput's answer says of its own weakness."""
        return self._of_throughput(lambda answer: Text("\n\n".join(
            f"> **Read with care:** {note}" for note in answer["notes"]) or "Nothing weakens this answer."))

    def command_cost(self) -> Picture | Text:
        """CPU of each command."""
        return self._of_throughput(throughput_figure.command_cost)

    def binding(self) -> Picture | Text:
        """Which limit binds which node type, month by month."""
        return self._of_throughput(lambda answer: throughput_figure.binding(answer, self._today))

    def what_if(self) -> WhatIf | Text:
        """Sliders over the demand, and the decision that follows from it and the run, or why there is none.
        """
        try:
            asked = WhatIf(digest(self.run), load_demand(self.demand), read_calibrations())
        except BadRun as error:
            return _not_drawn(error)
        self._live.follow("what if", lambda: asked.rest_on(digest(self.run)))
        return asked

    def silent_throttling(self) -> Picture | Text:
        """From which load on today's node type is throttled though no alarm fires."""
        return self._of_throughput(
            lambda answer: Text(throughput_figure.silent_throttling(answer, self._today)))

    def credit_week(self, month: int | None = None) -> Picture | Text:
        """CPU credits over a week so many months from today, the plan's last month without.

        In the world of which 5 % have more load; on the slower of T3 and T4g.
        """
        demand = load_demand(self.demand)
        worlds, start = Worlds(_WORLDS, correlated=demand.correlated), date.fromisoformat(self.plan["start"])
        try:
            need = needs(demand, measured([digest(self.run)]), workload(demand, worlds, start), worlds,
                         read_calibrations())
        except BadRun as error:
            return _not_drawn(error)
        nodes = [node_type(name) for name in _BURSTABLE]
        host = need.host_cores("cpu_credits")[:, -1 if month is None else month]
        cores = max(float(np.quantile(host * need.cpu_factor[node.family], 0.95)) for node in nodes)
        return credit_week(nodes, cores, float(np.median(need.day_peak_to_mean)),
                           float(np.median(need.weekend_to_weekday)))

    @property
    def _today(self) -> str:
        return str(self.plan["demand"]["cluster"]["node_type"])

    def _of_throughput(self, show: Callable[[dict[str, Any]], Picture | Text]) -> Picture | Text:
        try:
            return show(self.throughput)
        except (BadRun, BadInput) as error:
            return _not_drawn(error)


@dataclass(frozen=True, slots=True)
class Text:
    """Markdown that Jupyter shows as such."""

    markdown: str

    def _repr_markdown_(self) -> str:
        return self.markdown


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """What was predicted and measured so far."""

    entries: Sequence[Entry] = field(repr=False)  # else a notebook keeps them all beside what it shows
    cautions: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        return self._opening()._repr_html_()

    def _repr_markdown_(self) -> str:
        return self._opening()._repr_markdown_()

    def _opening(self) -> Opening:
        dates = sorted(entry.measured_at[:10] for entry in self.entries if entry.measured_at)
        when = f"Measured between {dates[0]} and {dates[-1]}." if dates else "Nothing is measured yet."
        return Opening(track_record_text(self.entries), when, self.cautions)


def open_ledger() -> TrackRecord:
    """The toolkit's own ledger and this checkout's, with what is to be said of the meeting's run.

    Raises BadInput for a ledger that cannot be read, and as `open_session`.
    """
    session = open_session()
    return TrackRecord(read_ledgers(LEDGER_DIR, OWN_LEDGER_DIR), cautions(
        session.run, load_demand(session.demand).cluster.engine, _today()))


def open_session(run: str | Path | None = None, demand: str | Path | None = None) -> Session:
    """The session of a run and a demand file.

    Without them, of $AMPLY_RUN and $AMPLY_DEMAND, else of the newest run (or the example that ships) and the
    example demand. Raises BadRun and BadDemand.
    """
    chosen = run or os.environ.get(RUN_VARIABLE)
    recorded = read_run(chosen) if chosen else newest_or_example()
    path = Path(demand or os.environ.get(DEMAND_VARIABLE) or DATA_DIR / "demand.example.toml")
    load_demand(path)
    return Session(recorded, path)


def _of_production(run: Run) -> Text:
    care = "".join(f"\n\n> **Read with care:** {one}" for one in cautions(run, "", _today()))
    return Text(f"{summary_markdown(run)}{care}")


def _today() -> date:
    return datetime.now(UTC).date()


def _not_drawn(error: AmplyError) -> Text:
    return Text(f"> **Not drawn:** {error}")


def _of_a_meeting(demand: Demand) -> tuple[str, ...]:
    """Of each class (t, m, r, …) and size up to xlarge the cheapest, and today's type; cheapest first."""
    cluster = demand.cluster
    cheapest: dict[tuple[str, str], str] = {}
    names = [offer.node_type for offer in prices.offered(cluster.region, cluster.engine)]
    for name in names:
        _, family, size = name.split(".")
        if size in _SIZES and demand.allowed.allows(name):
            cheapest.setdefault((family[0], size), name)
    chosen = {cluster.node_type, *cheapest.values()}
    return (*(name for name in names if name in chosen), *(chosen - set(names)))
