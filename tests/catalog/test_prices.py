import re
from collections import defaultdict
from statistics import median

import pytest

from amply_capacity.catalog.files import CATALOG_DIR, PriceRow, read_table
from amply_capacity.catalog.nodes import node_types
from amply_capacity.catalog.price_checks import oddities
from amply_capacity.catalog.prices import (
    ENGINES,
    TERMS,
    Price,
    offered,
    price,
    prices,
    regions,
    term_months,
)
from amply_capacity.errors import BadInput, NotOffered, UnknownName

Key = tuple[str, str, str, str]

# Observed: AWS's own Valkey rate there is 0.64 of the Redis one, in two of three 3-year options.
VALKEY_RESERVED_OUTLIER = ("eu-south-1", "cache.r6g.12xlarge")
# Valkey's small hourly reserved rates are rounded to a tenth of a cent, so paying more upfront can cost a
# little more in all; the largest observed is 5.8 %.
MORE_UPFRONT_COSTS_AT_MOST = 1.06

# Within a family, a region's price follows the size, give or take a rounding of the smallest: from 0.85 to
# 1.12 of the family's median. Extended Support taken for a node would be at 0.8 or 1.6, durability at 0.18.
LIKE_ITS_FAMILY = (0.84, 1.2)
# Observed so, by AWS' own price-page feed and, where it has the price, by the dump: AWS' oddities, and ours
# only in that the other engine's price was inferred from one.
UNLIKE_THEIR_FAMILY = {
    # The on-demand price is 1.27 times that of half an xlarge.
    ("ca-central-1", "cache.r4.large"): {"on_demand"},
    # A one-year upfront fee below that of the 12xlarge.
    **{(region, "cache.r6g.16xlarge"): {"1yr_all"} for region in (
        "ca-central-1", "ca-west-1", "eu-north-1", "eu-west-2", "us-gov-east-1", "us-gov-west-1")},
    # Every reservation is 1.67 times that of half a 2xlarge.
    ("sa-east-1", "cache.r6gd.xlarge"): {term for term in TERMS if term != "on_demand"},
    # The one of VALKEY_RESERVED_OUTLIER.
    ("eu-south-1", "cache.r6g.12xlarge"): {"3yr_no", "3yr_all"},
}


@pytest.fixture(scope="module")
def table() -> dict[Key, Price]:
    return {(p.region, p.engine, p.node_type, p.term): p for p in prices()}


def test_todays_prices_are_the_known_ones() -> None:
    assert price("us-east-1", "redis", "cache.t3.micro").hourly_usd == 0.017
    assert price("us-east-1", "redis", "cache.t3.small").hourly_usd == 0.034
    assert price("us-east-1", "valkey", "cache.t3.micro").hourly_usd == 0.0136


def test_newest_reading_of_us_east_1_stands() -> None:
    found = price("us-east-1", "redis", "cache.t3.micro")
    assert (found.as_of, found.inferred, found.basis) == ("2026-10-02", False, "")
    assert "AWS Price List API" in found.source


def test_on_demand_has_no_upfront_fee() -> None:
    on_demand = [found for found in prices() if found.term == "on_demand"]
    assert len(on_demand) > 3_000
    assert {found.upfront_usd for found in on_demand} == {0.0}
    assert all(found.hourly_usd == found.effective_hourly_usd for found in on_demand)


def test_reservation_is_known_with_its_split() -> None:
    found = price("us-east-1", "redis", "cache.r7g.large", "1yr_partial")
    assert (found.hourly_usd, found.upfront_usd) == (0.071, 623.493)


def test_catalog_covers_35_regions_both_engines_and_every_term() -> None:
    assert len(regions()) == 35
    assert list(regions()) == sorted(regions())
    assert {found.engine for found in prices()} == set(ENGINES)
    assert {found.term for found in prices()} == set(TERMS)
    assert {(region, engine) for region in regions() for engine in ENGINES} == {
        (found.region, found.engine) for found in prices()}


def test_every_price_has_a_source_a_date_and_a_positive_rate() -> None:
    for found in prices():
        assert found.source, found
        assert re.fullmatch(r"20\d\d-\d\d-\d\d|undated", found.as_of), found
        assert found.effective_hourly_usd > 0.0, found


def test_only_one_source_is_undated() -> None:
    undated = {found.source.partition("/")[0] for found in prices() if found.as_of == "undated"}
    assert undated == {"Netflix-Skunkworks"}


def test_inferred_prices_say_how_they_came_about() -> None:
    inferred = [found for found in prices() if found.inferred]
    assert inferred
    assert all("INFERRED" in found.basis for found in inferred)
    assert not any("INFERRED" in found.basis + found.source for found in prices() if not found.inferred)


def test_effective_rate_is_hourly_plus_upfront_over_the_term() -> None:
    hours = {None: 1, 12: 8_760, 36: 26_280}
    checked = 0
    for found in prices():
        if found.hourly_usd is None or found.upfront_usd is None:
            assert found.hourly_usd is found.upfront_usd is None, found
            assert found.term in ("1yr_partial", "3yr_partial"), found
            continue
        effective = found.hourly_usd + found.upfront_usd / hours[term_months(found.term)]
        assert effective == pytest.approx(found.effective_hourly_usd, rel=1e-4), found
        checked += 1
    assert checked > 16_000


def test_every_reservation_is_cheaper_than_on_demand(table: dict[Key, Price]) -> None:
    reserved = [found for found in table.values() if found.term != "on_demand"]
    dearer = [
        found for found in reserved
        if found.effective_hourly_usd
        >= table[found.region, found.engine, found.node_type, "on_demand"].effective_hourly_usd
    ]
    assert len(reserved) > 13_000
    assert dearer == []


def test_no_price_of_the_file_is_there_twice_or_contradicts_another() -> None:
    rows = read_table(PriceRow, CATALOG_DIR / "prices.csv")
    assert len({row[:4] for row in rows}) == len(rows)
    assert oddities(rows) == []


def test_no_add_on_stands_for_a_node_which_would_show_beside_its_family() -> None:
    families: dict[tuple[str, ...], list[Price]] = defaultdict(list)
    for found in prices():
        families[found.region, found.engine, found.node_type.split(".")[1], found.term].append(found)
    unlike: dict[tuple[str, str], set[str]] = defaultdict(set)
    low, high = LIKE_ITS_FAMILY
    for members in families.values():
        middle = median(map(usd_per_large, members))
        for found in members:
            if not low <= usd_per_large(found) / middle <= high:
                unlike[found.region, found.node_type].add(found.term)
    assert unlike == UNLIKE_THEIR_FAMILY


def usd_per_large(found: Price) -> float:
    """The price for the size of a large: AWS counts sizes in halves and doubles of it."""
    size = found.node_type.rsplit(".", 1)[1]
    larges = {"micro": 0.125, "small": 0.25, "medium": 0.5, "large": 1.0}.get(size)
    return found.effective_hourly_usd / (larges or 2.0 * int(size.removesuffix("xlarge") or 1))


def test_three_years_are_cheaper_than_one(table: dict[Key, Price]) -> None:
    compared = 0
    for (region, engine, node_type, term), one in table.items():
        three = table.get((region, engine, node_type, term.replace("1yr", "3yr")))
        if term.startswith("1yr") and three is not None:
            assert three.effective_hourly_usd < one.effective_hourly_usd, (one, three)
            compared += 1
    assert compared > 6_000


def test_paying_more_upfront_never_costs_much_more(table: dict[Key, Price]) -> None:
    for (region, engine, node_type, term), less in table.items():
        for part, more_part in (("no", "partial"), ("partial", "all"), ("no", "all")):
            years, _, option = term.partition("_")
            more = table.get((region, engine, node_type, f"{years}_{more_part}"))
            if option != part or more is None:
                continue
            if (engine, region, node_type) == ("valkey", *VALKEY_RESERVED_OUTLIER) and more_part == "partial":
                continue
            limit_usd = less.effective_hourly_usd * MORE_UPFRONT_COSTS_AT_MOST
            assert more.effective_hourly_usd <= limit_usd, (less, more)


def test_valkey_costs_a_fifth_less_than_redis_on_demand(table: dict[Key, Price]) -> None:
    pairs = [(found, table[region, "redis", node_type, term])
             for (region, engine, node_type, term), found in table.items()
             if engine == "valkey" and term == "on_demand" and (region, "redis", node_type, term) in table]
    assert len(pairs) == 1_706
    for valkey, redis in pairs:
        expected_usd = 0.8 * redis.effective_hourly_usd
        assert valkey.effective_hourly_usd == pytest.approx(expected_usd, abs=1e-9), valkey


def test_reserved_valkey_costs_about_a_fifth_less_but_for_one_node_type(table: dict[Key, Price]) -> None:
    outliers = {}
    for (region, engine, node_type, term), found in table.items():
        redis = table.get((region, "redis", node_type, term))
        if engine == "valkey" and term != "on_demand" and redis is not None:
            ratio = found.effective_hourly_usd / redis.effective_hourly_usd
            if not 0.74 < ratio < 0.86:
                assert (region, node_type) == VALKEY_RESERVED_OUTLIER, found
                outliers[term] = round(ratio, 2)
    assert outliers == {"3yr_no": 0.64, "3yr_all": 0.64}


def test_offered_are_new_known_types_of_that_engine_cheapest_first() -> None:
    known = {node.name: node for node in node_types()}
    for region in regions():
        for engine in ENGINES:
            offers = offered(region, engine)
            assert offers, (region, engine)
            rates_usd = [offer.effective_hourly_usd for offer in offers]
            assert rates_usd == sorted(rates_usd)
            assert all(offer.term == "on_demand" and not offer.inferred for offer in offers)
            assert all(known[offer.node_type].new_clusters for offer in offers)
            assert all(engine in known[offer.node_type].engines for offer in offers)


def test_todays_node_is_among_the_offers_and_previous_generations_are_not() -> None:
    names = {offer.node_type for offer in offered("us-east-1", "redis")}
    assert {"cache.t3.micro", "cache.t4g.micro", "cache.r7g.large"} <= names
    assert not names & {"cache.t2.micro", "cache.m1.small", "cache.r8g.large"}


def test_retired_types_keep_their_price() -> None:
    assert price("us-east-1", "redis", "cache.m1.small").effective_hourly_usd > 0.0


@pytest.mark.parametrize(("names", "nearest"), [
    (("us-east1", "redis", "cache.t3.micro"), "us-east-1"),
    (("us-east-1", "Redis", "cache.t3.micro"), "redis"),
    (("us-east-1", "redis", "cache.t3.mirco"), "cache.t3.micro"),
    (("us-east-1", "redis", "cache.t3.micro", "1yr_none"), "1yr_no"),
])
def test_unknown_name_offers_the_nearest(names: tuple[str, ...], nearest: str) -> None:
    with pytest.raises(UnknownName) as caught:
        price(*names)
    assert nearest in (caught.value.do or "")


def test_all_unknown_names_are_told_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        price("us-east1", "radis", "t3.micro", "2yr_no")
    message = str(caught.value)
    for part in ("unknown region 'us-east1'", "unknown engine 'radis'", "unknown node type 't3.micro'",
                 "unknown term '2yr_no'", "us-east-1", "cache.t3.micro", "3yr_no"):
        assert part in message


def test_type_for_the_other_engine_only_says_so() -> None:
    with pytest.raises(NotOffered, match=r"for valkey only.*engine valkey.*nearest cache\.r7g\.large"):
        price("us-east-1", "redis", "cache.r8g.large")


def test_type_missing_in_a_region_names_near_types_near_regions_and_the_date() -> None:
    with pytest.raises(NotOffered) as caught:
        price("ap-southeast-7", "redis", "cache.m4.large")
    assert caught.value.got == "no price in ap-southeast-7, whose prices are as of 2025-04-24"
    assert "cache.m7g.large" in (caught.value.do or "")
    assert "offers it: ap-southeast-1, ap-southeast-2" in (caught.value.do or "")


def test_type_for_neither_this_engine_nor_this_region_names_what_is_near() -> None:
    with pytest.raises(NotOffered, match=r"valkey only, and not in eu-west-1.*nearest cache\.r7g\.large"):
        price("eu-west-1", "redis", "cache.r8g.large")


def test_retired_type_missing_in_a_region_names_the_smallest_offered_there() -> None:
    with pytest.raises(NotOffered, match=r"nearest cache\.t3\.micro"):
        price("ap-southeast-7", "redis", "cache.m1.small")


def test_term_without_a_price_names_the_terms_that_have_one() -> None:
    with pytest.raises(NotOffered, match="on_demand, 3yr_all"):
        price("us-east-1", "valkey", "cache.r8g.large", "1yr_no")
