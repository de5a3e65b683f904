"""Relative speeds of the node families, and what engines are published to gain."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from amply_capacity.catalog.cpu_speed import (
    family_speeds,
    published_gains,
    read_family_speeds,
    version_numbers,
)
from amply_capacity.catalog.files import CATALOG_DIR
from amply_capacity.catalog.nodes import node_types
from amply_capacity.errors import BadInput, UnknownName

HEADER = "family,relative_to,processor,low,mid,high,basis,rests_on,source,as_of\n"
REFERENCE = "r6g,host,Graviton2,1.0,1.25,1.67,guess,a guess,nobody,2026\n"


def test_every_family_of_the_node_types_has_a_figure_with_what_it_rests_on() -> None:
    speeds = family_speeds()
    assert set(speeds) == {node.family for node in node_types()}
    for one in speeds.values():
        assert one.basis in {"published", "same processor", "guess"}
        assert one.rests_on and one.source and one.as_of  # noqa: PT018 - one claim: nothing is blank
        assert one.source.startswith("http") == (one.basis != "guess")


def test_a_figure_stands_after_the_one_that_it_is_relative_to() -> None:
    seen: set[str] = set()
    for family, one in family_speeds().items():
        assert one.relative_to is None if not seen else one.relative_to in seen
        seen.add(family)


def test_an_up_to_figure_is_the_end_of_the_interval_and_no_gain_the_other() -> None:
    graviton3 = family_speeds()["r7g"].cpu_ratio
    assert graviton3.low == pytest.approx(1 / 1.28, abs=1e-4)
    assert graviton3.high == 1.0
    assert family_speeds()["r4"].cpu_ratio.mid == pytest.approx(1.2), "about 20 % is a middle"


def test_every_step_is_log_normal_with_its_median_in_the_middle() -> None:
    for one in family_speeds().values():
        if one.relative_to is not None:
            middle = math.sqrt(one.cpu_ratio.low * one.cpu_ratio.high)
            assert one.cpu_ratio.mid == pytest.approx(middle, rel=2e-4), one.family


def test_all_faults_of_the_file_stand_in_one_paragraph(tmp_path: Path) -> None:
    file = tmp_path / "cpu_speed.csv"
    file.write_text(HEADER + REFERENCE + "r7g,r9g,G,0.8,0.9,1.0,published,x,http://x,2026\n"
                    "t3,r6g,X,0,0.9,1.0,guess,x,x,2026\nr5,r6g,X,0.9,0.8,1.0,guess,x,x,2026\n"
                    "m5,r6g,X,0.9,1.0,1.1,rumour,x,x,2026\nm6g,host,X,0.9,1.0,1.1,guess,x,x,2026\n")
    with pytest.raises(BadInput) as refused:
        read_family_speeds(file)
    for line in range(3, 8):
        assert f"line {line}: " in str(refused.value)
    assert "'r9g'" in str(refused.value)


def test_an_empty_file_of_speeds_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "cpu_speed.csv"
    file.write_text(HEADER)
    with pytest.raises(BadInput, match="no rows"):
        read_family_speeds(file)
    assert read_family_speeds(CATALOG_DIR / "cpu_speed.csv") == family_speeds()


@pytest.mark.parametrize(("node", "engine", "version", "percents"), [
    ("cache.t3.micro", "redis", "7.1", []),
    ("cache.r6g.large", "redis", "7.0.7", []),
    ("cache.r6g.xlarge", "redis", "5.0.5", []),
    ("cache.r6g.xlarge", "redis", "5.0.6", [83.0]),
    ("cache.r6g.xlarge", "redis", "6.2.6", [83.0, None]),
    ("cache.r6g.xlarge", "redis", "7.1", [83.0, None, 72.0]),
    ("cache.r6g.2xlarge", "redis", "7.1", [83.0, None, 72.0, 100.0]),
    ("cache.m5.2xlarge", "redis", "7.1", [83.0, None, 72.0]),
    ("cache.m5.4xlarge", "redis", "7.1", [83.0, None, 72.0, 100.0]),
    ("cache.r8g.xlarge", "valkey", "8.1", [83.0, None, 72.0, 230.0]),
    ("cache.r8g.xlarge", "valkey", "7.2", [83.0, None, 72.0]),
])
def test_gains_are_those_of_the_engine_the_version_and_the_size(
        node: str, engine: str, version: str, percents: list[float | None]) -> None:
    gains = published_gains(node, engine, version)
    assert [gain.throughput_up_to_percent for gain in gains] == percents
    assert all(gain.source and gain.as_of and gain.conditions for gain in gains)


def test_a_size_whose_cores_are_not_known_gets_no_gain_that_hangs_on_them() -> None:
    assert 100.0 not in {gain.throughput_up_to_percent
                         for gain in published_gains("cache.m8g.16xlarge", "redis", "7.1")}


def test_versions_are_numbers_and_node_types_are_known() -> None:
    assert version_numbers("7.0.15") > version_numbers("7.0.4")
    with pytest.raises(BadInput, match="no engine version"):
        version_numbers("seven")
    with pytest.raises(UnknownName):
        published_gains("cache.t3.macro", "redis", "7.0")
