"""A local stand-in for ElastiCache, CloudWatch and Secrets Manager, for imports of any size.

It answers in the shapes of the services' own models (as botocore ships them), with series that are
composed: days in the shape of the traffic, each metric at its own level. moto does this too, but looks
through all points of all metrics at each question.

`python -m bench.aws_server 50` serves two weeks of 50 clusters until its standard input ends, and prints its
address once all is composed.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from functools import cache, lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from amply_capacity.aws.cloudwatch import window_of
from amply_capacity.aws.metrics import NODE, NODE_PART, Listed, node_queries
from amply_capacity.traffic.arrivals import day_weights

__all__ = ["METRICS", "AwsServer", "Fault", "Region", "cluster", "composed", "fleet"]

Floats = NDArray[np.float64]
Values = Callable[[str, str, str, NDArray[np.int64], int], Floats]
"""Of a node, metric and statistic at these seconds and of that period; NaN where there is none."""

_POINTS_A_PAGE = 100_800
_DAY_S = 86_400
METRICS: Mapping[str, float] = {
    "ActiveDefragHits": 0.0, "AuthenticationFailures": 0.0, "BytesUsedForCache": 2.1e8, "CacheHitRate": 93.0,
    "CacheHits": 60_000.0, "CacheMisses": 4_500.0, "CPUCreditBalance": 250.0, "CPUCreditUsage": 0.4,
    "CPUUtilization": 9.0, "CurrConnections": 120.0, "CurrItems": 310_000.0, "CurrVolatileItems": 285_000.0,
    "DatabaseMemoryUsagePercentage": 52.0, "DatabaseMemoryUsageCountedForEvictPercentage": 51.0,
    "EngineCPUUtilization": 7.0, "ErrorCount": 0.0, "EvalBasedCmds": 0.0, "Evictions": 0.0,
    "FreeableMemory": 1.9e8, "GetTypeCmds": 70_000.0, "GetTypeCmdsLatency": 3.0, "IsMaster": 1.0,
    "KeyBasedCmds": 12_000.0, "MajorPageFaults": 0.0, "MemoryFragmentationRatio": 1.08,
    "NetworkBandwidthInAllowanceExceeded": 0.0, "NetworkBandwidthOutAllowanceExceeded": 0.0,
    "NetworkBytesIn": 9.0e6, "NetworkBytesOut": 1.9e7, "NetworkPacketsIn": 90_000.0,
    "NetworkPacketsOut": 90_000.0, "NewConnections": 3.0, "ProcessedCommands": 101_000.0, "Reclaimed": 900.0,
    "ReplicationBytes": 0.0, "SaveInProgress": 0.0, "SetTypeCmds": 30_000.0, "SetTypeCmdsLatency": 4.0,
    "StringBasedCmds": 88_000.0, "SwapUsage": 0.0,
}
"""Forty of them, each with its mean: of counts a minute's."""
_STEADY = frozenset({"BytesUsedForCache", "CurrItems", "CurrVolatileItems", "FreeableMemory", "IsMaster"})


@dataclass(slots=True)
class Fault:
    """What goes wrong: the next `times` answers to a call.

    `kind` is the code of an error, or `breaks off`, `partial`, `no results`, `lengths differ`.
    """

    call: str
    kind: str
    times: int = 1
    message: str = "as AWS says it"


@dataclass(slots=True)
class Region:
    """What a region holds, in the shapes of the API."""

    clusters: list[dict[str, Any]] = field(default_factory=list)
    groups: list[dict[str, Any]] = field(default_factory=list)
    metrics: Sequence[str] = tuple(METRICS)
    values: Values | None = None
    parameters: Mapping[str, str] = field(default_factory=lambda: {"maxmemory-policy": "volatile-lru"})
    reserved: list[dict[str, Any]] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)


def cluster(name: str, node_type: str = "cache.t3.micro", **more: Any) -> dict[str, Any]:
    """A cluster of one node as DescribeCacheClusters describes it."""
    return {
        "CacheClusterId": name, "CacheNodeType": node_type, "Engine": "redis", "EngineVersion": "7.1.0",
        "CacheClusterStatus": "available", "NumCacheNodes": 1, "PreferredAvailabilityZone": "us-east-1a",
        "CacheClusterCreateTime": datetime(2025, 3, 1, tzinfo=UTC), "SnapshotRetentionLimit": 7,
        "SnapshotWindow": "03:00-05:00", "PreferredMaintenanceWindow": "sun:05:00-sun:06:00",
        "CacheParameterGroup": {"CacheParameterGroupName": "amply-redis7", "ParameterApplyStatus": "in-sync"},
        "TransitEncryptionEnabled": False, "AtRestEncryptionEnabled": False,
        "CacheNodes": [{"CacheNodeId": "0001", "CacheNodeStatus": "available", "Endpoint": {
            "Address": f"{name}.abc123.0001.use1.cache.amazonaws.com", "Port": 6379}}],
    } | more


def fleet(count: int) -> Region:
    """So many clusters of one node."""
    return Region([cluster(f"amply-{number:03}") for number in range(count)])


def composed(node: str, metric: str, statistic: str, seconds: NDArray[np.int64], period_s: int) -> Floats:
    """The series of METRICS, busy by day; the same for the same question."""
    level = METRICS.get(metric, 1.0)
    seed = sum(map(ord, node + metric + statistic))
    noise = np.random.default_rng(seed).lognormal(0.0, 0.05, len(seconds))
    is_flat = metric in _STEADY or not level
    shape = np.ones(len(seconds)) if is_flat else _day()[(seconds % _DAY_S) // 60]
    scale = {"Maximum": 1.3, "Minimum": 0.8}.get(statistic, period_s / 60 if statistic == "Sum" else 1.0)
    values: Floats = level * shape * scale * (1.0 if metric == "IsMaster" else noise)
    return np.round(values) if statistic == "Sum" and metric != "CPUCreditUsage" else values


@lru_cache(maxsize=8)
def _times(start: int, end: int, period: int) -> str:
    return json.dumps(list(range(start, end, period)))


@cache
def _day() -> Floats:
    return day_weights(3.0, 1440)


class AwsServer:
    """Serves until the end of its context. `asked` counts the calls; `faults` may be added at any time."""

    def __init__(self, regions: Mapping[str, Region] | Region, faults: Sequence[Fault] = (), *,
                 denied: Sequence[str] = (), clock_ahead_s: float = 0.0) -> None:
        """A single region answers for whatever region is asked. `denied` are actions, as IAM calls them."""
        self.reset(regions)
        self.faults += faults
        self.denied |= set(denied)
        self.clock_ahead_s = clock_ahead_s
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer._answer(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: its user has words of its own."""

            def date_time_string(self, timestamp: float | None = None) -> str:
                now = timestamp or datetime.now(UTC).timestamp()
                return formatdate(now - outer.clock_ahead_s, usegmt=True)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def reset(self, regions: Mapping[str, Region] | Region) -> None:
        """As new, with these regions."""
        self.regions = regions
        self.faults: list[Fault] = []
        self.denied: set[str] = set()
        self.clock_ahead_s = 0.0
        self.asked: list[str] = []
        self.largest_question = 0
        self.forget()

    def forget(self) -> None:
        """Compose series anew, since a region's values were changed."""
        self._rendered: dict[tuple[Any, ...], tuple[str, str, int]] = {}

    def __enter__(self) -> AwsServer:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        target = handler.headers.get("X-Amz-Target")
        scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/", handler.headers.get("Authorization", ""))
        region_name, service = (scope[1], scope[2]) if scope else ("none", "none")
        service = {"monitoring": "cloudwatch"}.get(service, service)
        if target:
            call, question = target.rpartition(".")[2], json.loads(body)
        else:
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            call, question = form["Action"], form
        self.asked.append(call)
        fault = next((one for one in self.faults if one.call == call and one.times > 0), None)
        if fault is not None:
            fault.times -= 1
        elif f"{service}:{call}" in self.denied:
            fault = Fault(call, "AccessDeniedException" if target else "AccessDenied",
                          message=f"User: u is not authorized to perform: {service}:{call}")
        region = self.regions if isinstance(self.regions, Region) else self.regions.get(region_name, Region())
        error = fault if fault is not None and fault.kind not in _MANNERS else None
        if error is None:
            error, text = self._call(region, call, question, "" if fault is None else fault.kind)
        if error is not None:
            text = _json_error(error) if target else _xml_error(error)
        self._send(handler, text.encode(), 200 if error is None else 400, bool(target),
                   breaks_off=fault is not None and fault.kind == "breaks off")

    def _send(self, handler: BaseHTTPRequestHandler, body: bytes, status: int, is_json: bool, *,
              breaks_off: bool) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", "application/x-amz-json-1.0" if is_json else "text/xml")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:len(body) // 2] if breaks_off else body)
        handler.close_connection = breaks_off

    def _call(self, region: Region, call: str, question: Mapping[str, Any],
              manner: str) -> tuple[Fault | None, str]:
        if call == "GetMetricData":
            return None, self._metric_data(region, question, manner)
        if call == "ListMetrics":
            return None, json.dumps(_listed(region, question))
        if call == "GetSecretValue":
            arn = question["SecretId"]
            if arn not in region.secrets:
                return Fault(call, "ResourceNotFoundException", message="no such secret"), ""
            return None, json.dumps({"ARN": arn, "Name": arn.rpartition(":")[2], "VersionId": "v" * 32,
                                     "SecretString": region.secrets[arn]})
        known: dict[str, tuple[str, list[dict[str, Any]], str | None]] = {
            "DescribeCacheClusters": ("CacheClusters", region.clusters, "CacheClusterId"),
            "DescribeReplicationGroups": ("ReplicationGroups", region.groups, "ReplicationGroupId"),
            "DescribeCacheParameters": ("Parameters", [
                {"ParameterName": name, "ParameterValue": value, "Source": "user", "DataType": "string"}
                for name, value in region.parameters.items()], None),
            "DescribeReservedCacheNodes": ("ReservedCacheNodes", region.reserved, None),
            "DescribeCacheEngineVersions": ("CacheEngineVersions", [
                {"Engine": "redis", "EngineVersion": version} for version in ("6.2", "7.0", "7.1")], None),
        }
        if call not in known:
            return Fault(call, "InvalidAction", message=f"no such call here: {call}"), ""
        key, items, name = known[call]
        wanted = question.get(name) if name else None
        found = [one for one in items if wanted is None or str(one[name or ""]).lower() == wanted.lower()]
        if wanted is not None and not found:
            code = "CacheClusterNotFound" if name == "CacheClusterId" else "ReplicationGroupNotFoundFault"
            return Fault(call, code, message=f"{wanted} is not there"), ""
        return None, _xml(call, {key: found} if manner != "no results" else {})

    def _metric_data(self, region: Region, question: Mapping[str, Any], manner: str) -> str:
        if manner == "no results":
            return "{}"
        queries = question["MetricDataQueries"]
        self.largest_question = max(self.largest_question, len(queries))
        first = int(question.get("NextToken") or 0)
        start, end = int(question["StartTime"]), int(question["EndTime"])
        parts: list[str] = []
        points = 0
        for number in range(first, len(queries)):
            times, values, count = self._series(region, queries[number], start, end)
            if parts and points + count > _POINTS_A_PAGE:
                break
            points += count
            code = "PartialData" if manner == "partial" and number == first else "Complete"
            if manner == "lengths differ" and number == first:
                values = f"[{values.partition(',')[2]}"
            parts.append(f'{{"Id": "{queries[number]["Id"]}", "Label": "x", "StatusCode": "{code}", '
                         f'"Timestamps": {times}, "Values": {values}}}')
        token = f', "NextToken": "{first + len(parts)}"' if first + len(parts) < len(queries) else ""
        return f'{{"MetricDataResults": [{", ".join(parts)}], "Messages": []{token}}}'

    def _series(self, region: Region, query: Mapping[str, Any], start: int, end: int) -> tuple[str, str, int]:
        """Times and values as JSON, and how many; rendered once, so that the serving costs little."""
        stat = query["MetricStat"]
        node = {one["Name"]: one["Value"] for one in stat["Metric"]["Dimensions"]}.get("CacheClusterId", "")
        metric, period = stat["Metric"]["MetricName"], int(stat["Period"])
        return self._render(region, node, metric, stat["Stat"], period, start, end)

    def _render(self, region: Region, node: str, metric: str, statistic: str, period: int, start: int,
                end: int) -> tuple[str, str, int]:
        key = (node, metric, statistic, period, start, end)
        if key not in self._rendered:
            seconds = np.arange(start, end, period)
            values = (region.values or composed)(node, metric, statistic, seconds, period)
            known = ~np.isnan(values)
            times = _times(start, end, period) if known.all() else json.dumps(seconds[known].tolist())
            self._rendered[key] = times, json.dumps(values[known].tolist()), int(known.sum())
        return self._rendered[key]

    def prepare(self, days: int, period_s: int) -> None:
        """Render what the last days of every cluster will be answered with, if it is asked for at once."""
        assert isinstance(self.regions, Region)
        window = window_of(days, period_s, datetime.now(UTC).timestamp())
        for one in self.regions.clusters:
            node = str(one["CacheClusterId"])
            listed = [Listed(name, ((NODE, node), (NODE_PART, "0001"))) for name in self.regions.metrics]
            for query in node_queries(node, listed, period_s):
                self._render(self.regions, node, query.metric, query.statistic, period_s, window.start_s,
                             window.end_s)


_MANNERS = frozenset({"breaks off", "partial", "no results", "lengths differ"})


def _listed(region: Region, question: Mapping[str, Any]) -> dict[str, Any]:
    names = [one["CacheClusterId"] for one in region.clusters]
    names += [member for group in region.groups for member in group["MemberClusters"]]
    wanted = {one["Value"] for one in question.get("Dimensions", ())}
    every = [{"Namespace": "AWS/ElastiCache", "MetricName": metric, "Dimensions": [
        {"Name": "CacheClusterId", "Value": name}, {"Name": "CacheNodeId", "Value": "0001"}]}
        for name in dict.fromkeys(names) if not wanted or name in wanted for metric in region.metrics]
    first = int(question.get("NextToken") or 0)
    page = every[first:first + 500]
    return {"Metrics": page} | ({"NextToken": str(first + 500)} if first + 500 < len(every) else {})


def _json_error(fault: Fault) -> str:
    return json.dumps({"__type": fault.kind, "message": fault.message})


def _xml_error(fault: Fault) -> str:
    return (f"<ErrorResponse><Error><Type>Sender</Type><Code>{escape(fault.kind)}</Code>"
            f"<Message>{escape(fault.message)}</Message></Error><RequestId>0</RequestId></ErrorResponse>")


def _xml(call: str, answer: Mapping[str, Any]) -> str:
    """The answer of a call of ElastiCache, as its model wants it."""
    shape = _elasticache_model().operation_model(call).output_shape
    return (f"<{call}Response><{call}Result>{''.join(_elements(shape, answer))}</{call}Result>"
            f"<ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></{call}Response>")


def _elements(shape: Any, value: Any) -> Iterator[str]:
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield f"<{name}>{''.join(_elements(member, value[name]))}</{name}>"
    elif shape.type_name == "list":
        each = shape.member.serialization.get("name", "member")
        yield from (f"<{each}>{''.join(_elements(shape.member, one))}</{each}>" for one in value)
    elif isinstance(value, bool):
        yield str(value).lower()
    else:
        yield escape(value.isoformat() if isinstance(value, datetime) else str(value))


def _elasticache_model() -> Any:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model("elasticache", "service-2"))


if __name__ == "__main__":
    with AwsServer(fleet(int(sys.argv[1]) if len(sys.argv) > 1 else 50)) as served:
        served.prepare(14, 300)
        print(served.url, flush=True)
        sys.stdin.read()
