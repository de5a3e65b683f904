"""The store of calibrations, and what a plan reads of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from amply_capacity.errors import BadInput, UnknownName
from amply_capacity.model.node_speed import Observation, cpu_factor
from amply_capacity.plan.calibrations import (
    Calibration,
    add_calibration,
    node_cpu_factor,
    read_calibrations,
)


def calibration(node: str = "cache.t3.micro", said: str = "a", **changes: Any) -> Calibration:
    figures = {"node_cpu_us_per_command": 12.0}
    observed = Observation("t3", 1.2, 0.1, False, "two CPU clocks", figures, ("a note",))
    return Calibration(**{"node_type": node, "observation": observed, "inputs": {"node": said, "host": "h"},
                          "host": "x86_64, 2 cores", "server": "redis 7.0.7", **changes})


def test_without_observations_the_factor_is_the_prior_of_the_family() -> None:
    assert node_cpu_factor("cache.t3.micro", ()) == cpu_factor("t3")
    assert node_cpu_factor("cache.r8g.large") == cpu_factor("r8g")
    with pytest.raises(UnknownName):
        node_cpu_factor("cache.t3.macro")


def test_what_was_stored_narrows_it(tmp_path: Path) -> None:
    assert read_calibrations(tmp_path / "absent") == ()
    new = calibration()
    path = add_calibration(new, (), tmp_path / "store")
    assert path == tmp_path / "store" / "calibrations.jsonl"
    read = read_calibrations(tmp_path / "store")
    assert read == (new,)
    before, after = (node_cpu_factor("cache.t3.small", seen)
                     for seen in ((), [one.observation for one in read]))
    assert before.low < after.low < after.high < before.high


def test_lines_are_added_and_carry_what_they_were_made_from(tmp_path: Path) -> None:
    for said in ("a", "b"):
        add_calibration(calibration(said=said), read_calibrations(tmp_path), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "calibrations.jsonl").read_text().splitlines()]
    assert [line["inputs"]["node"] for line in lines] == ["a", "b"]
    assert len({line["inputs_sha256"] for line in lines}) == 2
    assert set(lines[0]) >= {
        "made_at", "node_type", "family", "factor", "noise", "censored", "versions", "host"}


def test_the_same_observation_is_not_counted_twice(tmp_path: Path) -> None:
    add_calibration(calibration(), (), tmp_path)
    with pytest.raises(BadInput, match="counted before"):
        add_calibration(calibration("cache.t3.small"), read_calibrations(tmp_path), tmp_path)
    assert len(read_calibrations(tmp_path)) == 1


def test_two_hosts_do_not_mix_and_an_unknown_one_may(tmp_path: Path) -> None:
    add_calibration(calibration(), (), tmp_path)
    stored = read_calibrations(tmp_path)
    with pytest.raises(BadInput, match="x86_64, 2 cores there, arm64, 8 cores here"):
        add_calibration(calibration(said="b", host="arm64, 8 cores"), stored, tmp_path)
    add_calibration(calibration(said="c", host=None), stored, tmp_path)


def test_every_faulty_line_is_named_in_one_paragraph(tmp_path: Path) -> None:
    sound = calibration().as_json()
    faulty = [{**sound, "factor": -1}, {**sound, "noise": "small"}, {**sound, "censored": "no"},
              {**sound, "family": "r7g"}, {**sound, "node_type": "cache.t3.macro"}, [],
              {name: value for name, value in sound.items() if name != "reason"}]
    lines = [json.dumps(sound), "{", *map(json.dumps, faulty)]
    (tmp_path / "calibrations.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(BadInput) as refused:
        read_calibrations(tmp_path)
    words = str(refused.value)
    assert "line 1:" not in words
    for number in range(2, 10):
        assert f"calibrations.jsonl, line {number}: " in words
    assert "its factor is -1" in words
    assert "it lacks 'reason'" in words


def test_a_store_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "calibrations.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="cannot be read"):
        read_calibrations(tmp_path)


def test_a_store_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(BadInput, match="cannot be written"):
        add_calibration(calibration(), (), tmp_path / "store")
