import pytest

from amply_capacity.catalog.nodes import node_type, node_types
from amply_capacity.errors import BadInput, UnknownName


def test_todays_node_has_the_documented_facts() -> None:
    micro = node_type("cache.t3.micro")
    assert (micro.family, micro.vcpu, micro.memory_bytes) == ("t3", 2, 512 * 2**20)
    assert (micro.maxmemory_bytes, micro.maxclients) == (536_870_912, 20_000)
    assert (micro.network_baseline_gbps, micro.network_burst_gbps) == (0.064, 5.0)
    assert (micro.cpu_credits_per_hour, micro.cpu_credits_max) == (12, 288)
    assert micro.cpu_baseline_percent_per_vcpu == 10.0
    assert micro.is_burstable
    assert micro.new_clusters
    assert not micro.is_graviton


def test_a_quarter_is_reserved_by_default_and_half_on_advice() -> None:
    micro = node_type("cache.t3.micro")
    assert micro.usable_bytes() == 384 * 2**20
    assert micro.usable_bytes(50.0) == 256 * 2**20
    assert micro.usable_bytes(0.0) == micro.maxmemory_bytes


@pytest.mark.parametrize("percent", [-1.0, 100.0, float("nan")])
def test_impossible_reserve_is_refused(percent: float) -> None:
    with pytest.raises(BadInput, match="reserved-memory-percent"):
        node_type("cache.t3.micro").usable_bytes(percent)


def test_unknown_node_type_offers_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"cache\.t3\.micro.*all 94"):
        node_type("t3.micro")


def test_only_t_types_are_burstable_and_all_three_credit_facts_come_together() -> None:
    for node in node_types():
        assert node.is_burstable == node.family.startswith("t"), node.name
        credits = (node.cpu_credits_per_hour, node.cpu_credits_max, node.cpu_baseline_percent_per_vcpu)
        assert (None in credits) is not node.is_burstable, node.name


def test_a_day_of_credits_is_the_most_that_a_node_keeps() -> None:
    for node in node_types():
        if node.cpu_credits_per_hour is not None:
            assert node.cpu_credits_max == 24 * node.cpu_credits_per_hour, node.name


def test_baseline_earns_the_credits_of_an_hour() -> None:
    for node in node_types():
        if node.cpu_baseline_percent_per_vcpu is not None and node.cpu_credits_per_hour is not None:
            assert node.vcpu is not None
            earned = node.vcpu * 60 * node.cpu_baseline_percent_per_vcpu / 100
            assert earned == node.cpu_credits_per_hour, node.name


def test_facts_that_no_source_gives_are_none_and_never_zero() -> None:
    without_vcpu = {node.family for node in node_types() if node.vcpu is None}
    assert without_vcpu == {"m8g", "c8gn"}
    for node in node_types():
        figures = (node.vcpu, node.ssd_bytes, node.network_baseline_gbps, node.network_burst_gbps,
                   node.replica_output_buffer_bytes, node.cpu_credits_per_hour)
        assert 0 not in figures, node.name


def test_only_r6gd_has_data_tiering() -> None:
    assert {node.family for node in node_types() if node.has_data_tiering} == {"r6gd"}


def test_newest_families_run_valkey_only() -> None:
    assert {node.family for node in node_types() if "redis" not in node.engines} == {"m8g", "r8g", "c8gn"}
    assert all(node.engines["valkey"] == "7.2" for node in node_types())
    assert node_type("cache.r6gd.xlarge").engines["redis"] == "6.2"


def test_only_t2_makes_no_new_clusters() -> None:
    assert {node.family for node in node_types() if not node.new_clusters} == {"t2"}


def test_advertised_memory_and_maxmemory_agree_but_for_one_retired_type() -> None:
    apart = {node.name for node in node_types() if abs(node.memory_bytes / node.maxmemory_bytes - 1) > 0.002}
    # 0.555 GiB advertised, 555 MiB of maxmemory: AWS's own two pages take the prefix differently.
    assert apart == {"cache.t2.micro"}


def test_every_node_type_has_source_and_date_and_they_come_smallest_first() -> None:
    nodes = node_types()
    assert len(nodes) == 94
    assert all(node.source and node.as_of for node in nodes)
    assert [n.maxmemory_bytes for n in nodes] == sorted(n.maxmemory_bytes for n in nodes)
