"""Does a load test look like production: figure by figure, and the words for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_production import production

from amply_capacity.errors import BadRun
from amply_capacity.files import EXAMPLE_RUN
from amply_capacity.interval import Interval
from amply_capacity.model.likeness import Likeness, PerUser, likeness_of
from amply_capacity.model.likeness_figure import ABOVE, BELOW, LIKE, UNKNOWN, LikenessFigure
from amply_capacity.run.reader import read_run

COMMANDS = 1_500.0 * 300
ALIKE: dict[str, Any] = {
    "ProcessedCommands": COMMANDS, "GetTypeCmds": 0.59 * COMMANDS, "SetTypeCmds": 0.41 * COMMANDS,
    "CacheHits": 899.0, "CacheMisses": 101.0, "EngineCPUUtilization": 6.0, "BytesUsedForCache": 1.46e8,
    "CurrItems": 200_000.0, "CurrVolatileItems": 174_800.0, "NetworkBytesIn": 170.0 * COMMANDS,
    "NetworkBytesOut": 310.0 * COMMANDS,
}
"""As the example's load test, on a node."""


def likeness(directory: Path, per_user: PerUser | None = None, **changes: Any) -> Likeness:
    metrics = {name: value for name, value in (ALIKE | changes).items() if value is not None}
    return likeness_of(read_run(EXAMPLE_RUN), production(directory, {"n": metrics}), per_user)


def verdicts(found: Likeness) -> dict[str, str]:
    return {one.name: one.verdict for one in found.figures}


def test_a_production_like_the_test_is_found_like_it(tmp_path: Path) -> None:
    found = likeness(tmp_path / "run")
    assert set(verdicts(found).values()) == {LIKE}
    assert found.unlike == ()
    assert found.conclusion == "The load test is like production in 7 of 7 figures that both tell."


@pytest.mark.parametrize(("changes", "figure", "verdict"), [
    ({"CacheHits": 500.0, "CacheMisses": 500.0}, "hit rate", ABOVE),
    ({"GetTypeCmds": 0.95 * COMMANDS, "SetTypeCmds": 0.05 * COMMANDS}, "reads among commands", BELOW),
    ({"EngineCPUUtilization": 90.0}, "CPU per command", BELOW),
    ({"EngineCPUUtilization": 0.05}, "CPU per command", ABOVE),
    ({"BytesUsedForCache": 4e8}, "bytes per key", BELOW),
    ({"CurrVolatileItems": 20_000.0}, "keys with a TTL", ABOVE),
    ({"NetworkBytesIn": 2_000.0 * COMMANDS}, "bytes in per command", BELOW),
])
def test_each_difference_is_found_under_its_name_alone(
        tmp_path: Path, changes: dict[str, Any], figure: str, verdict: str) -> None:
    found = likeness(tmp_path / "run", **changes)
    assert verdicts(found)[figure] == verdict
    assert found.unlike == (figure,)
    assert f"it differs in {figure}" in found.conclusion


def test_what_production_does_not_publish_is_not_known_with_the_reason(tmp_path: Path) -> None:
    found = likeness(tmp_path / "run", ProcessedCommands=None, GetTypeCmds=None, SetTypeCmds=None,
                     CurrVolatileItems=None)
    told = verdicts(found)
    assert [name for name, verdict in told.items() if verdict == UNKNOWN] == [
        "reads among commands", "CPU per command", "keys with a TTL", "bytes in per command",
        "bytes out per command"]
    (cpu,) = [one for one in found.figures if one.name == "CPU per command"]
    assert cpu.sentence == "not known, since production does not publish its commands or CPU"
    assert cpu.as_json()["production"] is None


def test_rates_per_user_are_held_against_the_demands(tmp_path: Path) -> None:
    usual = 1_500.0 * 3_600 / 100_000
    alike = PerUser(Interval.exact(100_000.0), Interval(0.8 * usual, usual, 1.3 * usual))
    assert verdicts(likeness(tmp_path / "a", alike))["commands per user"] == LIKE
    timid = PerUser(Interval.exact(100_000.0), Interval(0.1 * usual, 0.2 * usual, 0.3 * usual))
    found = likeness(tmp_path / "b", timid)
    assert verdicts(found)["commands per user"] == BELOW
    sentence = found.figures[0].sentence
    assert "54 an hour in production" in sentence
    assert "-80 %" in sentence


def test_of_hours_that_differ_nine_in_ten_are_the_range(tmp_path: Path) -> None:
    hits = np.tile(np.repeat([850.0, 950.0], 12), 14 * 12)
    found = likeness(tmp_path / "run", CacheHits=hits, CacheMisses=1_000.0 - hits)
    (rate,) = [one for one in found.figures if one.name == "hit rate"]
    assert rate.production is not None
    assert (rate.production.low, rate.production.high) == pytest.approx((85.0, 95.0))
    assert rate.verdict == LIKE


def test_the_answer_in_json_has_every_figure_and_the_conclusion(tmp_path: Path) -> None:
    content = likeness(tmp_path / "run", CacheHits=1.0).as_json()
    assert content["is_alike"] is False
    assert content["conclusion"].endswith("hit rate.")
    assert {"name", "unit", "production", "test", "verdict", "sentence"} == set(content["figures"][0])


def test_another_familys_speed_is_not_made_up(tmp_path: Path) -> None:
    run = production(tmp_path / "run", {"n": ALIKE}, node_type="cache.z9.huge")
    (cpu,) = [one for one in likeness_of(read_run(EXAMPLE_RUN), run).figures if one.name == "CPU per command"]
    assert cpu.verdict == UNKNOWN
    assert "speed of the node's family" in cpu.sentence


def test_small_and_large_differences_have_their_words() -> None:
    def sentence(test: float) -> str:
        return LikenessFigure("x", "", Interval.exact(100.0), Interval.exact(test)).sentence

    assert sentence(104.0).endswith("104 by the load test")
    assert sentence(130.0).endswith(": +30 %")
    assert sentence(50.0).endswith(": -50 %")
    assert sentence(300.0).endswith(": 3 times as much")


def test_two_productions_and_two_tests_are_refused(tmp_path: Path) -> None:
    made = production(tmp_path / "run", {"n": ALIKE})
    with pytest.raises(BadRun, match="no operations"):
        likeness_of(made, made)
    with pytest.raises(BadRun, match="no production import"):
        likeness_of(read_run(EXAMPLE_RUN), read_run(EXAMPLE_RUN))
