from __future__ import annotations

from collections import Counter
from ipaddress import ip_address
from random import Random

from amply_capacity.traffic.clients import IP_BINDINGS, client_info, ip_binding

CLIENTS = [client_info(random) for random in [Random(3)] for _ in range(4_000)]


def test_every_address_is_valid_and_public_and_some_are_of_version_6() -> None:
    addresses = [ip_address(client["ip_address"]) for client in CLIENTS]
    assert all(address.is_global for address in addresses)
    assert 0.17 < sum(address.version == 6 for address in addresses) / len(addresses) < 0.27


def test_a_client_is_the_same_for_the_same_random_state() -> None:
    assert client_info(Random(7)) == client_info(Random(7))
    assert client_info(Random(7)) != client_info(Random(8))


def test_fingerprints_are_distinct_and_of_32_digits() -> None:
    assert {len(client["fingerprint"]) for client in CLIENTS} == {32}
    assert len({client["fingerprint"] for client in CLIENTS}) == len(CLIENTS)


def test_all_browsers_and_countries_occur_and_the_commonest_leads() -> None:
    browsers = Counter(client["user_agent"] for client in CLIENTS)
    assert len(browsers) >= 12
    assert browsers.most_common(1)[0][0].endswith("Chrome/142.0.0.0 Safari/537.36")
    assert len({client["ip_country"] for client in CLIENTS}) == 11


def test_sessions_are_mostly_bound_to_the_country_and_every_level_occurs() -> None:
    random = Random(1)
    levels = Counter(ip_binding(random) for _ in range(4_000))
    assert set(levels) == set(IP_BINDINGS) == {"none", "country", "subnet", "strict"}
    assert levels["country"] > 0.75 * 4_000
