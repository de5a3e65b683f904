"""Which series of a node are asked for, and in which column of a run each lands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.aws.metrics import Listed, Query, is_count, node_queries

NODE = (("CacheClusterId", "amply-001"), ("CacheNodeId", "0001"))


def listed(name: str, *more: tuple[str, str], without_part: bool = False) -> Listed:
    return Listed(name, tuple(sorted((*(NODE[:1] if without_part else NODE), *more))))


def asked(*found: Listed, period_s: int = 300) -> dict[str, str]:
    """Statistic by column."""
    return {query.column: query.statistic for query in node_queries("amply-001", found, period_s)}


def test_counts_are_summed_and_states_averaged() -> None:
    assert asked(listed("CacheHits"), listed("GetTypeCmds"), listed("CurrItems"), listed("IsMaster")) == {
        "CacheHits": "Sum", "GetTypeCmds": "Sum", "CurrItems": "Average", "IsMaster": "Average"}


def test_what_limits_a_node_is_asked_for_with_its_extreme_where_a_period_hides_it() -> None:
    found = (listed("CPUUtilization"), listed("FreeableMemory"))
    assert asked(*found) == {"CPUUtilization": "Average", "CPUUtilization.Maximum": "Maximum",
                             "FreeableMemory": "Average", "FreeableMemory.Minimum": "Minimum"}
    assert asked(*found, period_s=60) == {"CPUUtilization": "Average", "FreeableMemory": "Average"}


def test_latencies_come_with_their_p99() -> None:
    assert asked(listed("SuccessfulReadRequestLatency")) == {
        "SuccessfulReadRequestLatency": "Average", "SuccessfulReadRequestLatency.p99": "p99"}


def test_a_metric_that_is_not_known_is_imported_as_its_average() -> None:
    assert asked(listed("NewIn2027")) == {"NewIn2027": "Average"}


def test_the_nodes_own_series_is_taken_before_the_clusters() -> None:
    both = (listed("CurrItems"), listed("CurrItems", without_part=True))
    for order in (both, both[::-1]):
        (query,) = node_queries("amply-001", order, 60)
        assert query.dimensions == NODE
    (alone,) = node_queries("amply-001", both[1:], 60)
    assert alone.dimensions == NODE[:1]


def test_of_data_tiering_memory_has_the_plain_name_and_the_disk_its_own() -> None:
    found = [listed("CurrItems", ("Tier", tier)) for tier in ("Memory", "SSD")]
    queries = {query.column: dict(query.dimensions)["Tier"] for query in node_queries("amply-001", found, 60)}
    assert queries == {"CurrItems": "Memory", "CurrItems.SSD": "SSD"}


def test_other_nodes_and_other_kinds_of_series_are_left_out() -> None:
    others = [Listed("CurrItems", (("CacheClusterId", "amply-002"), ("CacheNodeId", "0001"))),
              Listed("CacheHits", (("clusterId", "serverless"),)),
              listed("GlobalDatastoreReplicationLag", ("GlobalReplicationGroupId", "g"))]
    assert node_queries("amply-001", others, 300) == ()
    assert others[1].node is None


def test_a_sum_becomes_a_rate_and_nothing_else_does() -> None:
    assert Query("n", "CacheHits", (), "Sum", "CacheHits").per_second(300) == pytest.approx(1 / 300)
    assert Query("n", "CurrItems", (), "Average", "CurrItems").per_second(300) == 1.0


@given(st.sampled_from(["StringBasedCmds", "NetworkBandwidthInAllowanceExceeded", "CPUCreditUsage"]))
def test_a_count_is_known_by_its_name_or_its_ending(name: str) -> None:
    assert is_count(name)
    assert not is_count(f"{name}Latency")
