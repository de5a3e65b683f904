from __future__ import annotations

import pyarrow as pa

from amply_capacity.load.overseer import Order, Overseer
from amply_capacity.load.wire import Batch, Limits, Search

_BEGAN = 1000.4


def _rows(second: int, *, response_us: int = 500, count: int = 200, failed: int = 0) -> pa.Table:
    common = {"second": second, "use_case": "cache", "operation": "cached_read", "command": ""}
    rows = [{**common, "outcome": "hit", "clock": clock, "bucket_us": bucket, "count": count}
            for clock, bucket in (("response", response_us), ("service", 300), ("lateness", 50))]
    if failed:
        rows.append({**common, "outcome": "error", "clock": "response", "bucket_us": 100, "count": failed})
    return pa.Table.from_pylist(rows)


def _batch(second: int, offered: int = 200) -> Batch:
    return Batch([], [], offered=[(second, offered)])


def _second(overseer: Overseer, second: int, now_s: float, **rows: int) -> list[Order]:
    overseer.take(_batch(second), _rows(second, **rows), [])
    return list(overseer.look(now_s))


def test_without_a_search_and_limits_there_is_nothing_to_do() -> None:
    assert not Overseer(None, None, "closed", has_workers=False).is_needed


def test_a_search_begins_with_its_first_rate_and_goes_on_to_others_until_it_has_a_knee() -> None:
    overseer = Overseer(Search({"cache": 5.0}, 200.0), None, "poisson", has_workers=False)
    orders = list(overseer.begin(_BEGAN))
    assert (orders[0].rate, orders[0].event and orders[0].event[0]) == (200.0, "began")
    rate, found, rates = 200.0, None, []
    for second in range(1001, 1200):
        slow = rate > 1500.0  # the server's knee
        count = int(rate)
        overseer.take(Batch([], [], offered=[(second, count)]),
                      _rows(second, response_us=9_000 if slow else 900, count=count), [])
        for order in overseer.look(second + 1.03):
            rate = order.rate or rate
            found = order.knee or found
            rates.append(rate)
        if found:
            break
    assert found is not None
    assert max(rates) > 1500.0
    assert found["low"] <= 1500.0 <= found["high"] * 1.05
    assert list(overseer.end("over")) == []


def test_a_second_is_judged_once_all_workers_have_reported_it() -> None:
    limits = Limits(error_share=0.1, p99_ms=None)
    alone, many = (Overseer(None, limits, "closed", has_workers=has) for has in (False, True))
    for overseer, late in ((alone, 0.05), (many, 1.5)):
        list(overseer.begin(_BEGAN))
        stops = []
        for second in range(1001, 1013):
            stops += _second(overseer, second, second + 1.0 + late, count=50, failed=50)
        assert [order.stop for order in stops if order.stop], "ten bad seconds"
    early = Overseer(None, limits, "closed", has_workers=True)
    list(early.begin(_BEGAN))
    assert not [order for second in range(1001, 1010)
                for order in _second(early, second, second + 1.05, count=50, failed=50)]


def test_a_slow_run_is_stopped_once_with_what_was_seen() -> None:
    overseer = Overseer(None, Limits(None, 2.0), "closed", has_workers=False)
    list(overseer.begin(_BEGAN))
    reasons = [order.stop for second in range(1001, 1030)
               for order in _second(overseer, second, second + 1.05, response_us=9_000)]
    assert len(reasons) == 1
    assert "2 ms" in str(reasons[0])


def test_seconds_before_the_phase_are_nobodys_business() -> None:
    overseer = Overseer(None, Limits(0.0, None), "closed", has_workers=False)
    overseer.take(_batch(990), _rows(990, failed=5), [])
    assert list(overseer.look(995.0)) == []


def test_a_search_that_is_cut_off_says_what_it_knows() -> None:
    overseer = Overseer(Search({"cache": 5.0}, 200.0), None, "poisson", has_workers=False)
    list(overseer.begin(_BEGAN))
    (order,) = overseer.end("the run ended")
    assert order.knee is not None
    assert order.knee["reason"] == "the run ended"
    assert (order.knee["low"], order.knee["high"]) == (None, None)


def test_another_load_of_the_web_page_begins_another_search() -> None:
    overseer = Overseer(Search({"cache": 5.0}, 200.0), None, "poisson", has_workers=False)
    for _ in range(2):
        (began,) = overseer.begin(_BEGAN)
        assert (began.rate, began.event and began.event[0]) == (200.0, "began")
        (ended,) = overseer.end("the run ended")
        assert ended.knee is not None
        assert ended.knee["reason"] == "the run ended"


def test_a_search_begins_when_all_clients_are_there() -> None:
    overseer = Overseer(Search({"cache": 5.0}, 200.0), None, "poisson", has_workers=False)
    list(overseer.begin(_BEGAN))
    steps, rate = [], 200.0
    for second, offered in zip(range(1001, 1030), [20, 80, 130, *[200] * 26], strict=True):
        overseer.take(_batch(second, offered if rate == 200.0 else int(rate)), _rows(second), [])
        for order in overseer.look(second + 1.03):
            rate = order.rate or rate
            if order.event and order.event[0] == "step":
                steps.append(order.event[1])
    assert steps[0]["rate_per_second"] == 200.0
    assert not {1001, 1002, 1003} & set(steps[0]["seconds"])


def test_a_second_in_which_a_part_of_the_rate_was_offered_is_of_no_step() -> None:
    overseer = Overseer(Search({"cache": 5.0}, 200.0), None, "poisson", has_workers=False)
    list(overseer.begin(_BEGAN))
    _second(overseer, 1001, 1002.03)
    orders: list[Order] = []
    for second in range(1002, 1014):
        overseer.take(_batch(second, 100 if second % 2 else 200), _rows(second), [])
        orders += overseer.look(second + 1.03)
    steps = [order.event[1] for order in orders if order.event and order.event[0] == "step"]
    assert steps
    assert not {second for step in steps for second in step["seconds"] if second % 2}


def test_a_search_whose_clients_never_were_all_there_says_so() -> None:
    overseer = Overseer(Search({"cache": 5.0}, 200.0), None, "poisson", has_workers=False)
    list(overseer.begin(_BEGAN))
    for second in range(1001, 1010):
        overseer.take(_batch(second, 50), _rows(second), [])
        assert list(overseer.look(second + 1.03)) == []
    (order,) = overseer.end("the run ended")
    assert order.knee is not None
    assert order.knee["reason"] == (
        "the run ended while its clients were still being started: give a higher -r")
    assert order.knee["load_seconds"] == 0
