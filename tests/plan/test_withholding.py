"""Thin evidence is not decided upon, and the run that would settle it is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from amply_capacity.interval import Interval
from amply_capacity.model.evidence import Evidence
from amply_capacity.plan.decision import make_plan
from amply_capacity.plan.demand import Demand
from amply_capacity.report.document import conclusion

Demands = Callable[..., Demand]
Runs = Callable[..., Evidence]


def test_sessions_of_unknown_size_are_withheld_and_a_longer_run_is_asked_for(
        demand: Demands, evidence: Runs) -> None:
    asked = demand({"users.registered": 120_000})
    known = evidence()
    rough = replace(known, footprint=replace(known.footprint,
                                             session_bytes=Interval(150.0, 700.0, 4_000.0)))
    firm, thin = (make_plan([one], asked, start=date(2026, 11, 23), worlds=2_000, seed=1)
                  for one in (known, rough))
    assert firm.withheld is None
    assert thin.withheld is not None
    assert "session bytes" in thin.withheld.reason
    assert "record a longer run" in thin.withheld.settled_by
    said = conclusion(thin.as_json())
    assert said.startswith("Not to be decided yet: session bytes is known so roughly")
    assert "On what is known so far: Run " in said
    assert not conclusion(firm.as_json()).startswith("Not to be decided")
