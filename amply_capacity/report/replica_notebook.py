"""What the notebook on the replica calls: a session whose plan knows what drills have shown."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from amply_capacity.files import DATA_DIR
from amply_capacity.report.document import plan_of
from amply_capacity.report.drill_figure import drill_timelines
from amply_capacity.report.live import Html, as_text
from amply_capacity.report.look import Picture
from amply_capacity.report.notebook_files import DRILLS_VARIABLE
from amply_capacity.report.notebooks import Session, Text, open_session
from amply_capacity.report.opening import Opening
from amply_capacity.report.replica_sentences import beside_the_verdict, headline
from amply_capacity.run.reader import Run, all_runs, read_run

__all__ = ["ReplicaSession", "crash_drills", "open_replica_session"]

_TOPOLOGIES = ("single", "replicated")
_ABOUT = ("setups", "after_failover", "reads", "shards")


@dataclass
class ReplicaSession(Session):
    """As every session, and the drills that narrow what is believed of failures."""

    drills: tuple[Run, ...] = ()

    @cached_property
    def plan(self) -> dict[str, Any]:
        """Of the run and the drills; of production as that of every session."""
        if self.run.is_production:
            return super().plan
        return plan_of([self.run.directory, *(run.directory for run in self.drills)], self.demand).as_json()

    def opening(self) -> Opening | Text:
        """The decision on a replica in one sentence."""
        found = super().opening()
        if isinstance(found, Text):
            return found
        drills = ", ".join(run.name for run in self.drills) or "none"
        return Opening(headline(self.plan), f"{found.origin} Drills: {drills}.", found.cautions)

    def timeline(self) -> Picture:
        """The same crash, without a replica and with one, as the drills recorded it."""
        return drill_timelines(self.drills)

    def beside(self) -> Html:
        """What else is to be known before a replica is bought, or is not."""
        said = beside_the_verdict(self.plan)
        return Html("".join(f'<p style="max-width:58em">{as_text(said[topic])}</p>'
                            for topic in _ABOUT if topic in said))


def open_replica_session(run: str | Path | None = None, demand: str | Path | None = None) -> ReplicaSession:
    """As `open_session`, with the newest drill of a crash on a single node and of one with a replica."""
    session = open_session(run, demand)
    return ReplicaSession(session.run, session.demand, crash_drills())


def crash_drills() -> tuple[Run, ...]:
    """The newest completed ones of this checkout, without a replica and with one, else those that ship.

    Those of $AMPLY_DRILLS come first.
    """
    named = [read_run(name) for name in os.environ.get(DRILLS_VARIABLE, "").split(os.pathsep) if name]
    recorded = [run for run in (*named, *all_runs()) if (drill := run.manifest.get("drill"))
                and drill["drill"] == "crash" and drill["completed"]]
    return tuple(
        next((run for run in recorded if run.manifest["drill"]["topology"] == topology), None)
        or read_run(DATA_DIR / "examples" / f"drill-{topology}") for topology in _TOPOLOGIES)
