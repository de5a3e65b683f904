from __future__ import annotations

from collections import Counter
from random import Random
from time import time
from typing import Any

import gevent
import msgpack
import numpy as np
import pandas as pd
import pytest
from batches import tables

from amply_capacity.load import messages
from amply_capacity.load.counts import Merger, counted, dense, sparse
from amply_capacity.load.recorder import Recorder
from amply_capacity.load.wire import CLOCKS, TIME_BITS, TIME_MASK
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


def _wait_until_taken(recorder: Recorder) -> None:
    with gevent.Timeout(10.0):
        while recorder.samples:
            gevent.sleep(0.01)


def _summed(requests: pd.DataFrame, by: list[str]) -> dict[Any, int]:
    return requests.groupby(by)["count"].sum().to_dict()


@pytest.mark.parametrize("lateness", [0.0, 0.4, 1.0])
def test_what_is_merged_while_it_comes_is_what_came(lateness: float) -> None:
    """Whether a recorder is drained or merged bit by bit, the rows are the same: of a kind that is only known
    after the first merging too."""
    plain, worker = Recorder(clock=time), Recorder(clock=time)
    merger = Merger(worker)
    try:
        expected: Counter[tuple[str, int]] = Counter()
        for piece in range(4):
            for recorder in (plain, worker):
                recorder.roll(1000.5 + piece // 2)  # two of each second, merged one after the other
                counts = _record(recorder, Random(piece), 300, lateness)
                if piece == 1:
                    recorder.samples.append(recorder.label(("cache", "late", "", "miss", "service")) + 9)
            expected += counts
            _wait_until_taken(worker)
        merged, drained = merger.merged(worker.drain()), plain.drain()
    finally:
        merger.stop()
    assert not merged.seconds
    requests = tables(merged).requests
    all_but_the_count = [name for name in requests.columns if name != "count"]
    assert _summed(requests, all_but_the_count) == _summed(tables(drained).requests, all_but_the_count)
    assert not requests.duplicated(all_but_the_count).any()
    assert (requests.use_case == "cache").any()
    known = requests[(requests.use_case == "sessions") & (requests.command == "")]
    assert _summed(known, ["clock", "bucket_us"]) == expected


def test_a_report_grows_with_the_kinds_of_times_not_with_their_number() -> None:
    sizes = []
    for operations in (20_000, 200_000):
        recorder = Recorder()
        merger = Merger(recorder)
        rng = Random(3)
        label = recorder.label(*_KINDS)
        for _ in range(operations):
            recorder.samples.append(label + int(rng.lognormvariate(5.0, 0.5)))
        data: dict[str, Any] = {}
        messages.pack(merger.merged(recorder.drain()), data)
        merger.stop()
        sizes.append(len(msgpack.packb(data)))
    assert sizes[1] < 1.3 * sizes[0]
    assert sizes[1] < 10_000  # of 1.6 MB of samples


def test_a_report_says_each_time_once() -> None:
    recorder = Recorder()
    merger = Merger(recorder)
    try:
        found = []
        for expected in (5, 0, 2):
            for _ in range(expected):
                recorder.samples.append(recorder.label(*_KINDS) + 70)
            _wait_until_taken(recorder)
            requests = tables(merger.merged(recorder.drain())).requests
            found.append(int(requests.loc[requests.command == "GET", "count"].sum()))
    finally:
        merger.stop()
    assert found == [5, 0, 2]


def test_a_merger_that_is_stopped_leaves_the_samples_where_they_are() -> None:
    recorder = Recorder()
    merger = Merger(recorder)
    merger.stop()
    recorder.samples.append(recorder.label(*_KINDS) + 70)
    gevent.sleep(0.12)
    assert len(recorder.take_samples()) == 1


def test_counts_travel_to_who_knows_more_labels() -> None:
    recorder = Recorder()
    _record(recorder, Random(5), 500, 0.5)
    counts = counted(recorder.samples, recorder.label_count)
    arrived = dense(sparse(counts), recorder.label_count + 3)
    assert (arrived[:recorder.label_count] == counts).all()
    assert not arrived[recorder.label_count:].any()


def test_the_longest_times_have_their_bucket() -> None:
    label = 1 << TIME_BITS
    recorder = Recorder()
    recorder.samples.extend([label + TIME_MASK, TIME_MASK, label, label + 1, 1])
    counts = counted(recorder.samples, 2)
    assert counts[0].sum() == 0
    for place, expected in enumerate(([TIME_MASK, 0, 1], [TIME_MASK, 0, 2], [TIME_MASK, 0, 1])):
        found = upper_us(counts[1, place].nonzero()[0])
        assert sorted(found.tolist()) == sorted(_upper(us) for us in expected), CLOCKS[place]
