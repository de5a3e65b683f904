"""What a load test has to put into the keyspace, from the medians of a demand."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_inputs import EXAMPLE, as_toml, changed

from amply_capacity.errors import BadDemand
from amply_capacity.plan.working_set import working_set
from amply_capacity.traffic.working_set import WorkingSet


def of(tmp_path: Path, changes: dict[str, object]) -> WorkingSet:
    file = tmp_path / "demand.toml"
    file.write_text(as_toml(changed(changes)))
    return working_set(file)


def test_the_example_fills_what_its_peak_hour_holds() -> None:
    found = working_set(EXAMPLE)
    assert (found.users, found.organisations) == (25_000, 2_083)  # 12 users to an organisation
    assert found.api_keys == 3_124  # 1.5 to an organisation
    assert found.sessions_per_user == 5.5
    assert found.stale_share == pytest.approx(8 / 13.5)
    assert found.results == 30_000  # 25,000 users x 0.4 an hour x 3 at the peak, kept for an hour
    assert (found.node_type, found.reserved_memory_percent) == ("cache.t3.micro", 25.0)


def test_there_are_never_more_counters_than_api_keys_nor_entries_than_organisations(tmp_path: Path) -> None:
    busy = of(tmp_path, {"activity.requests_per_user_hour": 10_000})
    assert (busy.counters, busy.cached) == (busy.api_keys, busy.organisations)


def test_a_quiet_application_has_few_of_both(tmp_path: Path) -> None:
    # 25,000 users x 0.0288 an hour x 3 = 0.6 requests a second; 60 s and 300 s of their checks and reads.
    quiet = of(tmp_path, {"activity.requests_per_user_hour": 0.0288})
    assert (quiet.counters, quiet.cached) == (round(0.6 * 0.75 * 60), round(0.6 * 0.3 * 300))


def test_without_sessions_nothing_is_stale_and_there_is_always_a_user(tmp_path: Path) -> None:
    none = of(tmp_path, {"users.registered": 0, "users.sessions_per_user": 0,
                         "users.stale_index_members_per_user": 0})
    assert (none.stale_share, none.users, none.organisations, none.api_keys) == (0.0, 1, 1, 2)


def test_a_demand_with_faults_fills_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadDemand, match=r"users\.registered"):
        of(tmp_path, {"users.registered": -1})
