"""The figure of a week's credits says who is throttled, and shades when."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from amply_capacity.catalog.nodes import node_type
from amply_capacity.errors import BadInput
from amply_capacity.report.credits_figure import credit_week

NODES = [node_type(f"cache.t3.{size}") for size in ("micro", "small", "medium")]


def test_the_claim_says_who_is_throttled_for_how_long() -> None:
    picture = credit_week(NODES, 0.22, 3.0, 0.4)
    assert picture.claim == ("At 0.22 cores t3.micro is throttled 21 h a week, which loses 19 % of the work; "
                             "t3.small and t3.medium never")
    root = ET.fromstring(picture.svg)
    assert root.get("aria-label") == picture.claim
    assert picture == credit_week(NODES, 0.22, 3.0, 0.4)


def test_types_of_the_same_credits_share_a_panel() -> None:
    assert credit_week(NODES[1:], 0.45, 2.5).claim == (
        "At 0.45 cores t3.small and t3.medium are throttled 29 h a week, which loses 13 % of the work")


def test_throttled_stretches_are_hatched_and_others_have_none() -> None:
    throttled, calm = (credit_week(NODES[:1], cores, 3.0).svg for cores in (0.25, 0.1))
    assert throttled.count("<pattern ") >= 1
    assert "<pattern " not in calm


def test_little_and_nothing_are_said_as_such() -> None:
    assert credit_week(NODES, 0.1, 3.0).claim == (
        "At 0.1 cores t3.micro, t3.small and t3.medium are never throttled")
    assert credit_week(NODES[:1], 0.176, 3.0, 0.5).claim == (
        "At 0.18 cores t3.micro is throttled under 1 h a week, which loses under 1 % of the work")


def test_a_new_node_may_start_empty() -> None:
    assert "never" in credit_week(NODES[:1], 0.1, 3.0, start_balance=0.0).claim


def test_without_nodes_or_without_credits_nothing_is_drawn() -> None:
    with pytest.raises(BadInput, match="no node type to draw"):
        credit_week([], 0.1, 2.0)
    with pytest.raises(BadInput, match="has no CPU credits"):
        credit_week([node_type("cache.m7g.large")], 0.1, 2.0)
