from __future__ import annotations

from array import array
from collections import Counter
from random import Random
from time import time

import numpy as np
import pandas as pd
import pytest
from batches import tables

from amply_capacity.load.counts import TIME_BITS, TIME_MASK, counted, dense, sparse
from amply_capacity.load.recorder import Recorder
from amply_capacity.load.wire import CLOCKS, packed
from amply_capacity.run.histogram import bucket_upper_us, upper_us

_KINDS = [("sessions", "validate", "GET", "hit", "service"), ("sessions", "validate", "", "hit", "service"),
          ("sessions", "validate", "", "hit", "response"), ("sessions", "validate", "", "hit", "lateness")]


def _record(recorder: Recorder, rng: Random, operations: int, lateness: float) -> Counter[tuple[str, int]]:
    """Operations of several kinds, of which that share was late; what each clock should have counted."""
    expected: Counter[tuple[str, int]] = Counter()
    for _ in range(operations):
        name = rng.choice("abcdefgh")
        kinds = tuple((use_case, name, command, outcome, clock)
                      for use_case, _, command, outcome, clock in _KINDS)
        service_us, late_us = int(rng.lognormvariate(5.0, 2.0)), 0
        recorder.samples.append(recorder.label(*kinds) + service_us)
        if rng.random() < lateness:
            late_us = 1 + int(rng.lognormvariate(4.0, 2.0))
            recorder.samples.append(late_us)
        for clock, us in (("service", service_us), ("response", service_us + late_us), ("lateness", late_us)):
            expected[clock, _upper(us)] += 1
    return expected


def _upper(us: int) -> int:
    return int(bucket_upper_us(np.array([us]))[0])


@pytest.mark.parametrize("lateness", [0.0, 0.4, 1.0])
def test_what_is_merged_while_it_comes_is_what_came(lateness: float) -> None:
    """Counted at once or bit by bit, the rows are the same: of a kind that is only known later too."""
    whole, merged = Recorder(clock=time), Recorder(clock=time)
    expected: Counter[tuple[str, int]] = Counter()
    for piece in range(4):
        for recorder in (whole, merged):
            recorder.roll(1000.5 + piece // 2)  # two pieces of each second
            counts = _record(recorder, Random(piece), 300, lateness)
            if piece == 1:
                recorder.samples.append(recorder.label(("cache", "late", "", "miss", "service")) + 9)
        expected += counts
        merged.merge()
        assert not merged.samples
    requests, at_once = tables(merged.drain()).requests, tables(whole.drain()).requests
    pd.testing.assert_frame_equal(requests, at_once)
    assert (requests.use_case == "cache").any()
    known = requests[(requests.use_case == "sessions") & (requests.command == "")]
    assert known.groupby(["clock", "bucket_us"])["count"].sum().to_dict() == expected


def test_a_batch_grows_with_the_kinds_of_times_not_with_their_number() -> None:
    sizes = []
    for operations in (20_000, 200_000):
        recorder, rng = Recorder(), Random(3)
        label = recorder.label(*_KINDS)
        for _ in range(operations):
            recorder.samples.append(label + int(rng.lognormvariate(5.0, 0.5)))
        sizes.append(len(packed(recorder.drain())))
    assert sizes[1] < 1.3 * sizes[0]
    assert sizes[1] < 10_000  # of 1.6 MB of samples


def test_a_batch_says_each_time_once() -> None:
    recorder = Recorder()
    found = []
    for expected in (5, 0, 2):
        for _ in range(expected):
            recorder.samples.append(recorder.label(*_KINDS) + 70)
        recorder.merge()
        requests = tables(recorder.drain()).requests
        found.append(int(requests.loc[requests.command == "GET", "count"].sum()))
    assert found == [5, 0, 2]


def test_counts_travel_to_who_knows_more_labels() -> None:
    recorder = Recorder()
    _record(recorder, Random(5), 500, 0.5)
    counts = counted(recorder.samples, 9)  # 8 kinds, and no label
    arrived = dense(sparse(counts), 12)
    assert (arrived[:9] == counts).all()
    assert counts.any(axis=(1, 2)).tolist() == [False] + [True] * 8
    assert not arrived[9:].any()


def test_the_longest_times_have_their_bucket() -> None:
    label = 1 << TIME_BITS
    counts = counted(array("q", [label + TIME_MASK, TIME_MASK, label, label + 1, 1]), 2)
    assert counts[0].sum() == 0
    for place, expected in enumerate(([TIME_MASK, 0, 1], [TIME_MASK, 0, 2], [TIME_MASK, 0, 1])):
        found = upper_us(counts[1, place].nonzero()[0])
        assert sorted(found.tolist()) == sorted(_upper(us) for us in expected), CLOCKS[place]
