"""Makers of runs, demands and plans, each taking what is to be different."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from plan_inputs import as_toml, changed, evidence_of_a_mixed_run

from amply_capacity.model.evidence import Evidence
from amply_capacity.plan.decision import Plan, make_plan
from amply_capacity.plan.demand import Demand, load_demand


@pytest.fixture
def evidence() -> Callable[..., Evidence]:
    """Makes a run's evidence, with fields changed by name."""
    return evidence_of_a_mixed_run


@pytest.fixture
def demand(tmp_path: Path) -> Callable[..., Demand]:
    """Reads the example demand, with values changed by dotted path."""
    count = iter(range(10_000))

    def make(changes: dict[str, object] | None = None) -> Demand:
        file = tmp_path / f"demand-{next(count)}.toml"
        file.write_text(as_toml(changed(changes or {})))
        return load_demand(file)

    return make


@pytest.fixture
def plan(evidence: Callable[..., Evidence], demand: Callable[..., Demand]) -> Callable[..., Plan]:
    """Makes a draft for the example demand with changes; fewer worlds than usual keep the tests quick."""

    def make(changes: dict[str, object] | None = None, *, worlds: int = 500, seed: int = 1,
             is_draft: bool = True) -> Plan:
        return make_plan([evidence()], demand(changes), start=date(2026, 11, 23), worlds=worlds, seed=seed,
                         is_draft=is_draft)

    return make


@pytest.fixture
def whole_plan(plan: Callable[..., Plan]) -> Callable[..., Plan]:
    """Makes one with its strategies and what decides it."""
    return partial(plan, is_draft=False)
