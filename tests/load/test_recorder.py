from __future__ import annotations

import json
import os
import subprocess
import sys
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
from batches import tables
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.load.recorder import Recorder, to_us


class _Clock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def _at(recorder: Recorder, now: float, label: int, time_us: int) -> None:
    """Record a time as the player does it."""
    if now >= recorder.second_ends:
        recorder.roll(now)
    recorder.samples.append(label + time_us)


def _recorder(limit: int = 2000) -> tuple[Recorder, float]:
    """A recorder whose clock starts at 1000 s, and the offset of that clock from Unix time."""
    recorder = Recorder(limit, _Clock())
    return recorder, recorder._epoch_offset


def test_a_time_belongs_to_the_second_of_its_reply() -> None:
    recorder, offset = _recorder()
    label = recorder.label(("cache", "cached_read", "", "hit", "service"))
    first = recorder.second_ends  # a whole Unix second, on the recorder's clock
    for now in (first - 0.001, first, first + 0.5, first + 0.999, first + 7.75):
        _at(recorder, now, label, 10)
    second = round(first + offset)
    counts = tables(recorder.drain()).requests.groupby("second")["count"].sum().to_dict()
    assert counts == {second - 1: 1, second: 3, second + 7: 1}


def test_a_second_ends_where_the_next_begins() -> None:
    recorder, offset = _recorder()
    recorder.roll(recorder.second_ends)
    assert (recorder.second_ends + offset) == pytest.approx(round(recorder.second_ends + offset), abs=1e-6)


_SAMPLES = st.lists(
    st.tuples(
        st.sampled_from(["validate", "touch", "check"]),
        st.sampled_from(["service", "response"]),
        st.integers(0, 10_000_000),
        st.floats(0.0, 1.5),
    ),
    max_size=60,
)


@given(_SAMPLES, st.integers(1, 10))
def test_what_is_drained_is_what_was_recorded(samples: list[tuple[str, str, int, float]], every: int) -> None:
    recorder, _ = _recorder()
    now, drained, expected = 1000.0, [], {}
    for number, (operation, clock, time_us, pause) in enumerate(samples):
        now += pause
        _at(recorder, now, recorder.label(("sessions", operation, "", "ok", clock)), time_us)
        expected[operation, clock] = expected.get((operation, clock), 0) + 1
        if number % every == 0:
            drained.append(tables(recorder.drain()).requests)
    requests = pd.concat([*drained, tables(recorder.drain()).requests])
    assert requests.groupby(["operation", "clock"])["count"].sum().to_dict() == expected
    assert tables(recorder.drain()).requests.empty


def test_a_lateness_belongs_to_the_time_before_it_and_to_no_other() -> None:
    recorder, _ = _recorder()
    first, second = (recorder.label(*(("sessions", operation, "", "ok", clock)
                                      for clock in ("service", "response", "lateness")))
                     for operation in ("validate", "touch"))
    for sample in (first + 10, second + 20, 3, first + 11, 4, second + 21):
        recorder.samples.append(sample)
    rows = tables(recorder.drain()).requests
    seen = {key: sorted(times.repeat(rows.loc[times.index, "count"]))
            for key, times in rows.groupby(["operation", "clock"])["bucket_us"]}
    assert seen == {("validate", "service"): [10, 11], ("validate", "response"): [10, 15],
                    ("validate", "lateness"): [0, 4], ("touch", "service"): [20, 21],
                    ("touch", "response"): [21, 23], ("touch", "lateness"): [0, 3]}


def test_labels_of_different_kinds_do_not_mix() -> None:
    recorder, _ = _recorder()
    first = recorder.label(("cache", "cached_read", "GET", "ok", "service"))
    second = recorder.label(("cache", "cached_read", "GET", "error", "service"))
    assert recorder.label(("cache", "cached_read", "GET", "ok", "service")) == first
    _at(recorder, 1000.0, first, 2**32 - 1)
    _at(recorder, 1000.0, second, 0)
    rows = tables(recorder.drain()).requests.set_index("outcome")
    assert rows["bucket_us"].to_dict() == {"ok": 2**32 - 1, "error": 0}


@pytest.mark.parametrize(
    ("seconds", "us"),
    [
        (0.0, 0),
        (-1.0, 0),
        (1.5e-6, 1),
        (0.25, 250_000),
        (4294.0, 4_294_000_000),
        (1e6, 2**32 - 1),
    ],
)
def test_a_time_never_reaches_into_its_label(seconds: float, us: int) -> None:
    assert to_us(seconds) == us


def test_too_many_accesses_lower_the_sampling_rate() -> None:
    recorder, _ = _recorder(limit=100)
    for number in range(100):
        recorder.access(1000.0, "get", f"session:{number}", 1, None)
    assert recorder.access_below == 1 << 32
    recorder.access(1000.0, "get", "session:100", 1, None)
    assert recorder.access_below == int(0.84 * (1 << 32))
    rates = [row["sampling_rate"] for row in tables(recorder.drain()).accesses]
    assert rates == pytest.approx([1.0] * 100 + [0.84])


def test_the_trace_stays_near_its_bound_whatever_the_traffic() -> None:
    recorder, _ = _recorder(limit=100)
    now = recorder.second_ends
    recorder.roll(now)
    kept = []
    for second in range(4):
        for number in range(5000):
            key = f"session:{second}:{number}"
            if crc32(key.encode()) < recorder.access_below:
                recorder.access(now + second + number / 5000, "get", key, 1, None)
        recorder.roll(now + second + 1)
        kept.append(len(tables(recorder.drain()).accesses))
    assert recorder.access_below < 1 << 32
    assert max(kept[1:]) <= 200
    assert min(kept) > 60


def test_a_new_second_counts_its_accesses_anew() -> None:
    recorder, _ = _recorder(limit=10)
    for second in range(5):
        recorder.roll(recorder.second_ends + second)
        for number in range(10):
            recorder.access(1000.0, "get", f"k{number}", None, None)
    assert recorder.access_below == 1 << 32


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("session:ses_1", "session"),
        ("user_sessions:usr_1", "user_sessions"),
        ("rate:api:key_1", "rate"),
        ("celery-task-meta-0f-1", "celery-task-meta"),
        ("plain", ""),
    ],
)
def test_an_access_says_its_key_by_hash_and_class_only(key: str, kind: str) -> None:
    recorder, offset = _recorder()
    recorder.access(1000.25, "setex", key, 12, 300.0)
    (row,) = tables(recorder.drain()).accesses
    assert row["key_class"] == kind
    assert row["key_hash"] >> 32 == crc32(key.encode())
    assert (row["key_bytes"], row["value_bytes"], row["ttl_s"]) == (len(key), 12, 300.0)
    assert row["time_s"] == pytest.approx(1000.25 + offset)
    assert key not in {value for name, value in row.items() if name != "key_class"}


def test_keys_of_equal_crc_still_differ_in_their_hash() -> None:
    recorder, _ = _recorder()
    rng = np.random.default_rng(1)
    keys = [f"session:ses_{number:024x}" for number in rng.integers(0, 2**62, 2000)]
    for key in keys:
        recorder.access(1000.0, "get", key, None, None)
    assert len({row["key_hash"] for row in tables(recorder.drain()).accesses}) == len(set(keys))


def test_equal_errors_become_one_event_with_their_count() -> None:
    recorder, _ = _recorder()
    for _ in range(3):
        recorder.error("cache", "cached_read", "OOM " + "x" * 500)
    recorder.error("cache", "cached_read", "WRONGTYPE")
    events = {event["name"]: json.loads(event["detail"]) for event in tables(recorder.drain()).events}
    assert events["WRONGTYPE"]["count"] == 1
    (long,) = (name for name in events if name.startswith("OOM"))
    assert len(long) == 160
    assert events[long] == {"use_case": "cache", "operation": "cached_read", "count": 3}
    assert tables(recorder.drain()).events == []


def test_a_generator_does_without_what_makes_tables() -> None:
    """They take 0.2 s and 50 MB to import, in each worker: counting needs neither."""
    program = ("import sys, amply_capacity.load.lifecycle; "
               "print([name for name in ('pandas', 'pyarrow', 'scipy') if name in sys.modules])")
    # A measured process would bring coverage's own imports.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run([sys.executable, "-c", program], check=True, env=environment, capture_output=True,
                          text=True)
    assert done.stdout.split("\n")[0] == "[]"
