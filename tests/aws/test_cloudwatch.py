"""CloudWatch's points: 500 series a call, page after page, whole or not at all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from aws_here import clients
from botocore.stub import Stubber

from amply_capacity.aws.cloudwatch import Series, Window, list_metrics, read_series, window_of
from amply_capacity.aws.metrics import Query, node_queries
from amply_capacity.errors import AmplyError, BadInput
from bench.aws_server import METRICS, AwsServer, Fault, composed, fleet

WINDOW = Window(1_795_000_000 // 300 * 300, 1_795_000_000 // 300 * 300 + 86_400, 300)


def cloudwatch() -> Any:
    return clients().cloudwatch


def query(metric: str, statistic: str = "Average", node: str = "amply-000") -> Query:
    return Query(node, metric, (("CacheClusterId", node), ("CacheNodeId", "0001")), statistic, metric)


def test_all_metrics_of_a_region_are_listed_over_all_pages(server: AwsServer) -> None:
    server.regions = fleet(30)
    found = list_metrics(cloudwatch())
    assert len(found) == 30 * len(METRICS)
    assert server.asked == ["ListMetrics"] * 3
    assert {one.name for one in list_metrics(cloudwatch(), "amply-002")} == set(METRICS)
    assert {one.node for one in list_metrics(cloudwatch(), "amply-002")} == {"amply-002"}


def test_500_series_are_one_call_of_many_pages_and_come_as_they_were_sent(server: AwsServer) -> None:
    listed = list_metrics(cloudwatch())
    queries = [one for node in ("amply-000", "amply-001", "amply-002")
               for one in node_queries(node, listed, 300)]
    longer = Window(WINDOW.start_s, WINDOW.start_s + 14 * 86_400, 300)
    server.asked.clear()
    points: list[int] = []
    found = read_series(cloudwatch(), queries, longer, points.append)
    assert server.largest_question == len(queries) > 140
    assert len(server.asked) == len(points) > 5
    assert sum(points) == len(queries) * longer.points
    seconds = np.arange(longer.start_s, longer.end_s, 300)
    for one, series in zip(queries, found, strict=True):
        assert np.array_equal(series.seconds, seconds)
        assert np.array_equal(series.values, composed(one.node, one.metric, one.statistic, seconds, 300))


def test_gaps_stay_gaps(server: AwsServer) -> None:
    def with_gap(node: str, metric: str, statistic: str, seconds: Any, period_s: int) -> Any:
        return np.where((seconds - seconds[0]) // 3_600 == 5, np.nan, 1.0)

    assert not isinstance(server.regions, dict)
    server.regions.values = with_gap
    (series,) = read_series(cloudwatch(), [query("CurrItems")], WINDOW)
    assert len(series.seconds) == WINDOW.points - 12
    assert np.diff(series.seconds).max() == 3_900


@pytest.mark.parametrize("kind", ["partial", "lengths differ"])
def test_a_half_answered_series_is_asked_for_again_alone(server: AwsServer, kind: str) -> None:
    server.faults.append(Fault("GetMetricData", kind))
    found = read_series(cloudwatch(), [query("CurrItems"), query("IsMaster")], WINDOW)
    assert [len(one.seconds) for one in found] == [WINDOW.points] * 2
    assert len(server.asked) == 2


def test_what_stays_half_answered_is_named(server: AwsServer) -> None:
    server.faults.append(Fault("GetMetricData", "partial", times=9))
    with pytest.raises(AmplyError, match=r"in part.*CurrItems of amply-000: PartialData, 3 times.*again"):
        read_series(cloudwatch(), [query("CurrItems")], WINDOW)


def test_a_page_without_results_is_half_an_answer(server: AwsServer) -> None:
    server.faults.append(Fault("GetMetricData", "no results", times=2))
    assert len(read_series(cloudwatch(), [query("CurrItems")], WINDOW)) == 1
    server.faults.append(Fault("GetMetricData", "no results", times=3))
    with pytest.raises(AmplyError, match=r"in part.*CurrItems of amply-000: a page without results, 3 times"):
        read_series(cloudwatch(), [query("CurrItems")], WINDOW)


def test_a_list_that_ends_in_the_middle_is_asked_for_again(server: AwsServer) -> None:
    server.faults.append(Fault("ListMetrics", "breaks off", times=2))
    assert len(list_metrics(cloudwatch(), "amply-000")) == len(METRICS)
    server.faults.append(Fault("ListMetrics", "breaks off", times=3))
    with pytest.raises(AmplyError, match=r"ListMetrics in part.*a page without metrics.*again later"):
        list_metrics(cloudwatch(), "amply-000")


def test_a_page_that_breaks_off_and_a_busy_service_are_asked_again_by_the_client(server: AwsServer) -> None:
    server.faults += [Fault("GetMetricData", "breaks off"), Fault("GetMetricData", "ThrottlingException")]
    (series,) = read_series(cloudwatch(), [query("CurrItems")], WINDOW)
    assert len(series.seconds) == WINDOW.points
    assert len(server.asked) == 3


def answers(*pages: dict[str, Any]) -> list[Series]:
    """What two queries give where botocore's Stubber answers so."""
    made = cloudwatch()
    with Stubber(made) as stubber:
        for page in pages:
            stubber.add_response("get_metric_data", page)
        return read_series(made, [query("CurrItems"), query("IsMaster")], WINDOW)


def result(number: int, seconds: list[int], code: str = "Complete") -> dict[str, Any]:
    times = [datetime.fromtimestamp(second, UTC) for second in seconds]
    return {"Id": f"q{number}", "Label": "x", "Timestamps": times, "Values": [float(one) for one in seconds],
            "StatusCode": code}


def test_answers_that_boto3_has_read_itself_give_the_same(server: AwsServer) -> None:
    first = {"MetricDataResults": [result(0, [900, 600], "PartialData")], "NextToken": "more"}
    second = {"MetricDataResults": [result(0, [300]), result(1, [])]}
    items, master = answers(first, second)
    assert items.seconds.tolist() == [300, 600, 900], "in order, whatever the answer's is"
    assert items.values.tolist() == [300.0, 600.0, 900.0]
    assert len(master.seconds) == 0, "no data is an answer"


def test_a_series_of_another_account_is_no_gap(server: AwsServer) -> None:
    with pytest.raises(AmplyError, match=r"does not allow cloudwatch:GetMetricData for CurrItems.*account"):
        answers({"MetricDataResults": [result(0, [], "Forbidden"), result(1, [])]})


def test_the_last_days_end_with_the_last_whole_period() -> None:
    window = window_of(14, 300, 1_795_000_123.4)
    assert window.end_s == 1_795_000_123 // 300 * 300
    assert window.points == 14 * 288


@pytest.mark.parametrize(("days", "period_s", "words"), [
    (16, 60, "15 days.*--period 300"), (64, 300, "63 days.*--period 3600"), (0, 300, "1 to 63 days"),
    (500, 3_600, "455 days"), (1, 30, "no such period.*60, 300, 3600"),
])
def test_a_period_that_cloudwatch_does_not_keep_is_refused(days: int, period_s: int, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        window_of(days, period_s, 1_795_000_000.0)
