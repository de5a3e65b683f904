"""What a run's keys look like: lengths from its accesses, bytes beside what its pre-fill measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from synthetic_run import prefill

from amply_capacity.model.allocator import BUNDLED, DEBIAN
from amply_capacity.model.layout import Layout
from amply_capacity.model.members import IndexShape
from amply_capacity.model.shapes import checks, shapes_of
from amply_capacity.run.reader import Run, read_run


def access(op: str, key_class: str, key: int, value_bytes: float | None,
           key_bytes: int = 36) -> dict[str, Any]:
    return {"time_s": 1.0, "op": op, "key_hash": key, "key_class": key_class, "key_bytes": key_bytes,
            "value_bytes": value_bytes, "ttl_s": None, "sampling_rate": 1.0}


def with_accesses(run: Run, rows: list[dict[str, Any]]) -> Run:
    run.__dict__["accesses"] = pd.DataFrame(rows)
    return run


def test_a_key_counts_once_with_its_last_known_size(make_run: Callable[..., Run]) -> None:
    run = with_accesses(make_run(), [
        *(access("get", "session", 1, 400.0) for _ in range(50)), access("setex", "session", 1, 430.0),
        access("get", "session", 2, 500.0), access("get", "session", 3, None),
        access("del", "session", 2, None)])
    found = shapes_of(run).classes["sessions"]
    assert found.keys_seen == 2
    assert {(shape.value_bytes, shape.count) for shape in found.shapes} == {(430.0, 0.5), (500.0, 0.5)}
    low, high = (Layout().string_key(36, True, size) for size in (430, 500))
    each = found.bytes_each(Layout())
    assert each.mid == (low + high) / 2
    assert each.low < each.mid < each.high, "two keys are few"


def test_an_index_is_known_by_its_name_and_its_members(make_run: Callable[..., Run]) -> None:
    run = with_accesses(make_run(), [access("sadd", "user_sessions", 1, 28.0, 26),
                                     access("smembers", "user_sessions", 1, 280.0, 26)])
    assert shapes_of(run).index == IndexShape(26.0, 28.0)


def test_what_a_run_does_not_show_is_missing(make_run: Callable[..., Run]) -> None:
    run = with_accesses(make_run(), [access("incr", "rate", 1, None, 37),
                                     access("get", "cache", 2, None, 28)])
    found = shapes_of(run)
    assert set(found.classes) == {"counters"}, "a cached value that was never seen has no size"
    assert found.index is None


@pytest.fixture(scope="module")
def example() -> Run:
    return read_run(Path(__file__).parents[2] / "data" / "examples" / "mixed")


def test_the_lengths_of_a_recording_come_to_what_its_pre_fill_measured(example: Run) -> None:
    found = {check.what: check for check in checks(example, shapes_of(example))}
    assert set(found) == {"sessions", "counters", "cached", "results", "user_sessions"}
    assert all(check.agrees for check in found.values())
    assert found["counters"].computed.mid == found["counters"].measured.mid == 128.0
    # The whole is exact: what one class measured too much while a table was in motion another did too little.
    classes = {one["name"]: one["keys"] for one in example.manifest["prefill"]["classes"]}
    computed = sum(classes[name] * check.computed.mid for name, check in found.items())
    measured = sum(classes[name] * check.measured.mid for name, check in found.items())
    assert computed == pytest.approx(measured, rel=0.003)


def test_another_allocator_is_translated_to_by_the_lengths(example: Run) -> None:
    sessions = shapes_of(example).classes["sessions"]
    debian, bundled = (sessions.bytes_each(Layout(one)).mid for one in (DEBIAN, BUNDLED))
    assert debian - bundled == pytest.approx(24.0, abs=1e-6)


def test_a_check_that_differs_says_so(example: Run) -> None:
    shapes = shapes_of(example)
    sessions = shapes.classes["sessions"]
    longer = replace(sessions, shapes=tuple(replace(one, value_bytes=(one.value_bytes or 0.0) + 200.0)
                                            for one in sessions.shapes))
    found = checks(example, replace(shapes, classes={**shapes.classes, "sessions": longer}))
    assert [check.what for check in found if not check.agrees] == ["sessions"]


def test_a_run_on_another_allocator_than_jemalloc_is_not_checked(make_run: Callable[..., Run]) -> None:
    classes = {"sessions": prefill(1_000, bytes_of_keys=700_000)}
    run = with_accesses(make_run(classes=classes), [access("get", "session", 1, 400.0)])
    assert [check.what for check in checks(run, shapes_of(run))] == ["sessions"]
    libc = with_accesses(make_run(classes=classes, server={}), [access("get", "session", 1, 400.0)])
    libc.manifest["server"]["allocator"] = "libc"  # type: ignore[index]
    assert checks(libc, shapes_of(libc)) == []
