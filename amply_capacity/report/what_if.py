"""What if: sliders over the demand's numbers, and the decision that follows, while the meeting watches.

Each move draws a draft of few worlds at once, and says that it is one; when the hand rests, all worlds are
planned beside it. Where nobody can move anything (an export, a print), a table of usual questions stands.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from amply_capacity.catalog import prices
from amply_capacity.errors import AmplyError
from amply_capacity.interval import Interval
from amply_capacity.model.evidence import Evidence
from amply_capacity.plan.calibrations import Calibration
from amply_capacity.plan.decision import make_plan
from amply_capacity.plan.demand import Demand
from amply_capacity.report.bought import bought
from amply_capacity.report.document import conclusion
from amply_capacity.report.live import Html, Output, as_text
from amply_capacity.report.money import usd
from amply_capacity.report.quick_figure import cost_path

__all__ = ["STATIC_VARIABLE", "Question", "WhatIf"]

STATIC_VARIABLE = "AMPLY_STATIC_NOTEBOOKS"
"""Set where notebooks are run with nobody before them: then the table is shown."""

DRAFT_WORLDS, WORLDS = 400, 10_000
"""A draft is to follow the hand within 0.3 s; its shares of worlds are within 4 percent points."""
_REST_SECONDS = 0.6
_INSTEAD = "<p>In JupyterLab there are sliders here. What follows is the last answer.</p>"


@dataclass(frozen=True, slots=True)
class Question:
    """What the sliders say; a number stands for the middle of what the demand knows of it."""

    users: float
    growth_percent: float
    peak_to_mean: float
    p99_ms: float
    """The tightest promise; the others keep their distance to it."""
    region: str
    engine: str
    term: str

    @property
    def text(self) -> str:
        """Everything that is asked, in a line."""
        return (f"{self.users:,.0f} users, {self.growth_percent:+g} % a month, peak {self.peak_to_mean:g} "
                f"times the mean, tightest p99 {self.p99_ms:g} ms, {self.region}, {self.engine}, "
                f"{self.term.replace('_', ' ')}")

    @classmethod
    def of(cls, demand: Demand) -> Question:
        """What the demand says."""
        return cls(demand.users.registered.mid, demand.users.growth_percent_per_month.mid,
                   demand.activity.peak_to_mean.mid, demand.slo.p99_ms.tightest_ms, demand.cluster.region,
                   demand.cluster.engine, demand.cluster.term)

    def put_to(self, demand: Demand) -> Demand:
        """The demand with these numbers; each keeps how sure it is."""
        users, activity, slo, cluster = demand.users, demand.activity, demand.slo, demand.cluster
        growth = users.growth_percent_per_month
        shift = self.growth_percent - growth.mid
        promised = self.p99_ms / demand.slo.p99_ms.tightest_ms
        tasks = demand.connections.tasks
        if demand.connections.grow_with_users and users.registered.mid > 0.0:
            tasks = tasks.scaled(self.users / users.registered.mid)
        return replace(
            demand,
            users=replace(users, registered=_moved(users.registered, self.users),
                          growth_percent_per_month=Interval(
                              max(growth.low + shift, -99.0), max(growth.mid + shift, -99.0),
                              max(growth.high + shift, -99.0), growth.confidence)),
            activity=replace(activity, peak_to_mean=_at_least_one(
                _moved(activity.peak_to_mean, self.peak_to_mean))),
            connections=replace(demand.connections, tasks=tasks),
            slo=replace(slo, p99_ms=replace(slo.p99_ms, **{
                name: getattr(slo.p99_ms, name).scaled(promised)
                for name in ("sessions", "rate_limit", "cache", "celery_results")})),
            cluster=replace(cluster, region=self.region, engine=self.engine, term=self.term),
            allowed=replace(demand.allowed, engines=[self.engine], terms=[self.term]),  # type: ignore[list-item]
        )


class WhatIf:
    """The sliders and what follows from them; Jupyter shows it as it is.

    The answer is an output beside the sliders, no widget: a saved or exported notebook holds the last one.
    """

    def __init__(self, evidence: Evidence, demand: Demand, calibrations: Sequence[Calibration] = ()) -> None:
        self.question = Question.of(demand)
        self._evidence, self._demand, self._calibrations = evidence, demand, calibrations
        self._moves = 0
        self._waiting: asyncio.TimerHandle | None = None
        self._shown: Output | None = None

    def answer(self, question: Question, worlds: int) -> str:
        """The decision and its costs as HTML; a sentence where there is none."""
        is_draft = worlds < WORLDS
        try:
            made = self._plan(question, worlds)
        except AmplyError as error:
            return (f'<p style="color:#b34700;max-width:62em"><b>{as_text(str(error))}</b></p>'
                    f"{_small(question.text)}")
        note = f"draft of {worlds:,} worlds" if is_draft else f"{worlds:,} worlds"
        return (f'<p style="font-size:1.15em;margin:.4em 0;max-width:56em"><b>'
                f"{as_text(conclusion(made))}</b></p>{cost_path(made)}"
                f"{_small(f'{question.text}. {note}, run {self._evidence.run_id}.')}")

    def rest_on(self, evidence: Evidence) -> str:
        """Another run was picked: what is asked is answered from that."""
        self._evidence = evidence
        return self.move()

    def move(self, **changes: Any) -> str:
        """A slider was moved: the draft at once, the whole plan when the hand rests; the draft's HTML."""
        self.question = replace(self.question, **changes)
        self._moves += 1
        drawn = self.answer(self.question, DRAFT_WORLDS)
        self._show(drawn)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel: nobody rests a hand
            return drawn
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = loop.call_later(_REST_SECONDS, self._refine, loop, self._moves)
        return drawn

    def table(self) -> str:
        """Usual questions with their answers, as HTML."""
        rows = []
        for words, question in _usual(Question.of(self._demand)):
            try:
                made = self._plan(question, WORLDS // 5)
            except AmplyError as error:
                rows.append(f"<tr><td>{words}</td><td colspan=4>{as_text(error.what)}</td></tr>")
                continue
            chosen, last = made["chosen"], made["months"][-1]
            upgrade = made["upgrades"][0]["month"] if made["upgrades"] else "none"
            rows.append(f"<tr><td>{words}</td><td>{as_text(bought(chosen))}</td>"
                        f"<td>{as_text(usd(chosen['usd_per_month']))}</td><td>{upgrade}</td><td>{as_text(usd(last['usd_mid']))}</td></tr>")
        return (f"<table><caption>From run {as_text(self._evidence.run_id)}</caption><thead>"
                "<tr><th>What if</th><th>Run</th><th>USD a month now</th><th>Next upgrade</th>"
                f"<th>USD in the last month</th></tr></thead><tbody>{''.join(rows)}</tbody></table>")

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if os.environ.get(STATIC_VARIABLE):
            display(Html(self.table()))
            return
        from amply_capacity.report.controls import box

        sliders = box(asdict(self.question), prices.regions(), prices.ENGINES, prices.TERMS, self.move)
        display({**dict(sliders._repr_mimebundle_()), "text/html": _INSTEAD}, raw=True)
        self._shown = Output(Html(""))
        self.move()

    def _plan(self, question: Question, worlds: int) -> dict[str, Any]:
        start = datetime.fromisoformat(self._evidence.recorded_at).date()
        return make_plan([self._evidence], question.put_to(self._demand), start=start, worlds=worlds,
                         calibrations=self._calibrations, is_draft=True).as_json()

    def _show(self, drawn: str) -> None:
        if self._shown is not None:
            self._shown.show(Html(drawn))

    def _refine(self, loop: asyncio.AbstractEventLoop, move: int) -> None:
        """All worlds, in a thread; told only if nothing was moved meanwhile."""
        done = loop.run_in_executor(None, self.answer, self.question, WORLDS)
        done.add_done_callback(lambda found: self._show(found.result()) if move == self._moves else None)


def _small(words: str) -> str:
    return f'<p style="opacity:.75;font-size:.85em">{as_text(words)}</p>'


def _usual(now: Question) -> list[tuple[str, Question]]:
    double, half = now.growth_percent * 2.0, now.growth_percent / 2.0
    return [
        ("as the demand says", now),
        ("twice the users", replace(now, users=2.0 * now.users)),
        ("ten times the users", replace(now, users=10.0 * now.users)),
        (f"growth of {double:g} % a month", replace(now, growth_percent=double)),
        (f"growth of {half:g} % a month", replace(now, growth_percent=half)),
        (f"a peak of {2.0 * now.peak_to_mean:g} times the mean",
         replace(now, peak_to_mean=2.0 * now.peak_to_mean)),
        (f"a p99 of {now.p99_ms / 2.0:g} ms", replace(now, p99_ms=now.p99_ms / 2.0)),
        *((f"on {engine}", replace(now, engine=engine)) for engine in prices.ENGINES if engine != now.engine),
    ]


def _moved(known: Interval, middle: float) -> Interval:
    """The same shape around another middle."""
    return known.scaled(middle / known.mid) if known.mid > 0.0 else Interval.exact(middle)


def _at_least_one(known: Interval) -> Interval:
    return Interval(max(known.low, 1.0), max(known.mid, 1.0), max(known.high, 1.0), known.confidence)


