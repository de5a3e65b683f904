"""Plans of recorded runs and demand files, as they lie on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from amply_capacity.model.digest import digest
from amply_capacity.model.evidence import Evidence
from amply_capacity.plan.calibrations import read_calibrations
from amply_capacity.plan.decision import Plan, make_plan
from amply_capacity.plan.demand import load_demand
from amply_capacity.run.reader import Run

__all__ = ["plan_of_evidence", "plan_of_runs"]


def plan_of_runs(runs: Sequence[Run], demand: Path, *, worlds: int = 10_000, seed: int = 1,
                 is_draft: bool = False) -> Plan:
    """Raises BadDemand, and as `make_plan` does."""
    return plan_of_evidence([digest(run) for run in runs], demand, worlds=worlds, seed=seed,
                            is_draft=is_draft)


def plan_of_evidence(evidences: Sequence[Evidence], demand: Path, *, worlds: int, seed: int,
                     is_draft: bool = False) -> Plan:
    """Its months begin after the newest run's date; as `plan_of_runs`."""
    newest = max(datetime.fromisoformat(evidence.recorded_at) for evidence in evidences)
    return make_plan(evidences, load_demand(demand), start=newest.date(), worlds=worlds, seed=seed,
                     calibrations=read_calibrations(), is_draft=is_draft)
