"""The demands whose plans are kept: a dozen that differ in what decides them.

`make baselines` writes their plans anew; the difference then shows what a change has done to decisions.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from plan_inputs import as_toml, changed, evidence_of_a_mixed_run

from amply_capacity.plan.decision import make_plan
from amply_capacity.plan.demand import load_demand

FOLDER = Path(__file__).parent / "baselines"
WORLDS = 400
_DIGITS = 4

DEMANDS: Mapping[str, Mapping[str, object]] = {
    "amply": {},
    "amply, both engines and all terms": {
        "allowed.engines": ["redis", "valkey"],
        "allowed.terms": ["on_demand", "1yr_no", "1yr_partial", "1yr_all", "3yr_no", "3yr_partial",
                          "3yr_all"]},
    "ten times the users": {"users.registered": 250_000},
    "a million users": {"users.registered": 1_000_000},
    "five million users in cluster mode": {"users.registered": 5_000_000, "application.cluster_mode": True,
                                           "users.growth_percent_per_month": 2},
    "no growth": {"users.growth_percent_per_month": 0},
    "shrinking": {"users.growth_percent_per_month": -5},
    "busy and small": {"users.registered": 3_000, "activity.requests_per_user_hour": 4_000},
    "downtime is dear": {"money.usd_per_downtime_minute": 500},
    "Frankfurt": {"cluster.region": "eu-central-1"},
    "São Paulo on valkey": {"cluster.region": "sa-east-1", "cluster.engine": "valkey"},
    "t3 only, half of a micro reserved": {"allowed.node_types": ["cache.t3.*"],
                                          "cluster.reserved_memory_percent": 50},
    "a tight SLO": {"slo.p99_ms.rate_limit": 1.2, "activity.requests_per_user_hour": 60},
}


def summary(changes: Mapping[str, object]) -> dict[str, Any]:
    """What people would notice of a plan, to four digits."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "demand.toml"
        file.write_text(as_toml(changed(dict(changes))))
        demand = load_demand(file)
    made = make_plan([evidence_of_a_mixed_run()], demand, start=date(2026, 11, 23), worlds=WORLDS).as_json()
    months, chosen = made["months"], made["chosen"]
    return _rounded({
        "chosen": {key: chosen[key] for key in ("node_type", "engine", "shards", "replicas", "term",
                                                "usd_per_month", "expected_usd_per_month", "binding")},
        "runner_up": made["runner_up"] and made["runner_up"]["node_type"],
        "replica": {key: made["replica"][key] for key in ("verdict", "probability", "break_even",
                                                          "add_from")},
        "today": {key: made["today"][key] for key in ("node_type", "fits", "short_from")},
        "upgrades": [{key: one[key] for key in ("month", "from", "to", "act_by", "constraint")}
                     for one in made["upgrades"]],
        "months": {months[place]["month"]: {key: months[place][key] for key in (
            "node_type", "usd_low", "usd_mid", "usd_high")} for place in (0, 11, 23, 35)},
        "strategies": {one["name"]: one["usd_total_expected"] for one in made["strategies"]},
    })


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def file_of(name: str) -> Path:
    return FOLDER / f"{name.replace(',', '').replace(' ', '-')}.json"


def main() -> int:
    """Write all of them."""
    FOLDER.mkdir(exist_ok=True)
    for name, changes in DEMANDS.items():
        file_of(name).write_text(json.dumps(summary(changes), indent=1, ensure_ascii=False) + "\n")
        print(file_of(name).name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
