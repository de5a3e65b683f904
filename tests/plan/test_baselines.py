"""Plans of a dozen demands stay what they were; where they change, `make baselines` and the diff say how."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from baseline_demands import DEMANDS, FOLDER, file_of, summary

NEARLY = 0.002


@pytest.mark.parametrize("name", DEMANDS)
def test_the_plan_is_the_one_that_is_kept(name: str) -> None:
    kept = json.loads(file_of(name).read_text())
    found = list(differences(kept, json.loads(json.dumps(summary(DEMANDS[name])))))
    assert not found, f"{name}: run `make baselines` if this is meant:\n" + "\n".join(found)


def test_no_plan_is_kept_of_a_demand_that_is_gone() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {file_of(name).name for name in DEMANDS}


def test_a_change_is_told_by_its_place() -> None:
    assert list(differences({"a": {"b": [1.0, "x"]}, "c": 1}, {"a": {"b": [1.1, "y"]}, "d": 2})) == [
        "a.b.0: 1.0 -> 1.1", "a.b.1: 'x' -> 'y'", "c: 1 -> None", "d: None -> 2"]


def differences(kept: Any, now: Any, place: str = "") -> Iterator[str]:
    """Line by line; numbers may differ by what another processor rounds."""
    if isinstance(kept, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*kept, *now]):
            yield from differences(kept.get(key), now.get(key), f"{place}.{key}".lstrip("."))
    elif isinstance(kept, list) and isinstance(now, list):
        for number in range(max(len(kept), len(now))):
            yield from differences(kept[number] if number < len(kept) else None,
                                   now[number] if number < len(now) else None, f"{place}.{number}")
    elif isinstance(kept, float) and isinstance(now, float | int):
        if abs(kept - now) > NEARLY * abs(kept) + 1e-9:
            yield f"{place}: {kept} -> {now}"
    elif kept != now:
        yield f"{place}: {kept!r} -> {now!r}"
