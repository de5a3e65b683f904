"""What redis-benchmark printed, in its three forms; the samples are of redis-benchmark 7.0.15."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from amply_capacity.errors import BadInput
from amply_capacity.run.benchmark_file import PIPELINED, parse_benchmark, read_benchmark
from amply_capacity.target.cluster import Cluster

REPORT = """\
SET: rps=0.0 (overall: -nan) avg_msec=-nan (overall: -nan)\r                                    \r\
====== SET ======
  5000 requests completed in 0.04 seconds
  20 parallel clients
  3 bytes payload
  keep alive: 1
  host configuration "save": 
  host configuration "appendonly": no
  multi-thread: no

Latency by percentile distribution:
0.000% <= 0.023 milliseconds (cumulative count 1)
100.000% <= 4.495 milliseconds (cumulative count 5000)

Summary:
  throughput summary: 119047.62 requests per second
  latency summary (msec):
          avg       min       p50       p95       p99       max
        0.110     0.016     0.095     0.143     0.271     4.495
====== GET ======
  5000 requests completed in 0.04 seconds
  20 parallel clients
  3 bytes payload
  keep alive: 1

Summary:
  throughput summary: 128205.12 requests per second
  latency summary (msec):
          avg       min       p50       p95       p99       max
        0.099     0.016     0.087     0.159     0.375     1.231


"""
QUIET = (" \rSET: rps=0.0 (overall: inf) avg_msec=0.128 (overall: 0.128)\r                    \r"
         "SET: 128205.12 requests per second, p50=0.095 msec\n"
         "get key:__rand_int__: 127000.12 requests per second, p50=0.087 msec\n"
         "LPUSH (needed to benchmark LRANGE): 128205.12 requests per second, p50=0.087 msec\n"
         "MSET (10 keys): 102040.82 requests per second, p50=0.119 msec\n\n")
CSV = """\
"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
"SET","128205.12","0.092","0.024","0.095","0.135","0.183","2.519"
"GET","142857.14","0.087","0.016","0.087","0.135","0.167","0.207"
"""
PIPELINED_CSV = """\
"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
"SET","1052631.62","0.120","0.024","0.111","0.199","0.231","2.287"
"""
PIPELINED_REPORT = REPORT.replace("119047.62", "1052631.62").replace("20 parallel", "10 parallel")


def info(cpu: float, commands: int) -> str:
    return (f"# Server\r\nredis_version:7.0.7\r\nvalkey_version:8.0.1\r\nused_cpu_sys:{cpu}\r\n"
            f"used_cpu_user:{2 * cpu}\r\ntotal_commands_processed:{commands}\r\n")


def rates(text: str) -> dict[str, float]:
    return {test.name: test.requests_per_second for test in parse_benchmark(text, "it").tests}


def test_the_long_report_tells_rates_latencies_and_how_it_was_run() -> None:
    found = parse_benchmark(REPORT, "it")
    assert [(test.name, test.requests_per_second, test.mean_ms, test.min_ms, test.p50_ms)
            for test in found.tests] == [("SET", 119047.62, 0.110, 0.016, 0.095),
                                         ("GET", 128205.12, 0.099, 0.016, 0.087)]
    assert (found.clients, found.payload_bytes, found.requests, found.keep_alive) == (20, 3, 5000, 1)
    assert (found.engine, found.version, found.cpu_us_per_command, found.tls) == (None,) * 4
    assert found.us_per_request(["SET"]) == pytest.approx(8.4)
    assert found.us_per_request(["SET", "GET"]) == pytest.approx((8.4 + 7.8) / 2)
    found.need_single_requests()


def test_the_quiet_lines_tell_rates_and_medians_between_their_painted_progress() -> None:
    found = parse_benchmark(QUIET, "it")
    assert rates(QUIET) == {"SET": 128205.12, "get key:__rand_int__": 127000.12, "MSET (10 keys)": 102040.82}
    assert {test.p50_ms for test in found.tests} == {0.095, 0.087, 0.119}
    assert found.clients is None
    found.need_single_requests()


def test_csv_tells_rates_and_latencies() -> None:
    found = parse_benchmark(CSV, "it")
    assert rates(CSV) == {"SET": 128205.12, "GET": 142857.14}
    assert (found.tests[1].mean_ms, found.tests[1].min_ms, found.tests[1].p50_ms) == (0.087, 0.016, 0.087)
    found.need_single_requests()


def test_older_forms_without_latencies_are_read() -> None:
    assert rates('"SET","102459.02"\n"GET","99999.00"\n') == {"SET": 102459.02, "GET": 99999.0}
    assert rates("GET: 102459.02 requests per second\n") == {"GET": 102459.02}
    assert rates("====== GET ======\n  10 parallel clients\n\n99.9% <= 1 milliseconds\n"
                 "102459.02 requests per second\n") == {"GET": 102459.02}
    bare = parse_benchmark("GET: 102459.02 requests per second\n", "it")
    assert bare.in_flight_per_client(bare.tests[0]) is None
    bare.need_single_requests()


@pytest.mark.parametrize("text", [PIPELINED_CSV, PIPELINED_REPORT,
                                  "GET: 1111111.12 requests per second, p50=0.095 msec\n"])
def test_pipelining_is_told_by_littles_law_and_refused(text: str) -> None:
    found = parse_benchmark(text, "bench.txt")
    assert max(found.in_flight_per_client(test) or 0.0 for test in found.tests) >= PIPELINED
    with pytest.raises(BadInput, match=r"bench\.txt was pipelined.*Little's law.*without -P"):
        found.need_single_requests()


def test_clients_that_are_not_stated_are_taken_as_50_and_said_so() -> None:
    found = parse_benchmark(PIPELINED_CSV, "it")
    with pytest.raises(BadInput, match=r"from 50 clients, redis-benchmark's default.*--clients"):
        found.need_single_requests()
    with pytest.raises(BadInput, match=r"from 10 clients\. Do"):
        parse_benchmark(PIPELINED_REPORT, "it").need_single_requests()


def test_a_pasted_command_tells_what_the_output_leaves_out_and_its_password_is_not_kept() -> None:
    line = "user@box:~$ redis-benchmark -h node.internal -a hunter2 -c 20 -d 400 -r 1000 --tls -t set -q\n"
    found = parse_benchmark(line + QUIET, "it")
    assert (found.clients, found.payload_bytes, found.keyspace, found.pipeline, found.tls) == (
        20, 400, 1000, 1, True)
    assert "hunter2" not in repr(found)
    plain = parse_benchmark("/usr/bin/valkey-benchmark -q\n" + QUIET, "it")
    assert (plain.clients, plain.payload_bytes, plain.tls) == (50, 3, False)
    with pytest.raises(BadInput, match="-P 4"):
        parse_benchmark("redis-benchmark -P 4 -q\n" + QUIET, "it").need_single_requests()
    with pytest.raises(BadInput, match="a new connection for every request"):
        parse_benchmark("redis-benchmark -k 0 -q\n" + QUIET, "it").need_single_requests()


def test_info_from_before_and_after_tells_the_cpu_of_a_command() -> None:
    found = parse_benchmark(info(1.0, 1_000) + CSV + info(1.1, 101_000), "it")
    assert found.cpu_us_per_command == pytest.approx(1e6 * 0.3 / 100_000)
    assert (found.engine, found.version) == ("valkey", "8.0.1"), "Valkey tells a redis_version too"
    assert parse_benchmark(CSV + info(1.1, 101_000), "it").cpu_us_per_command is None


@pytest.mark.parametrize(("text", "words"), [
    ("hello\n", ["no line with requests per second"]),
    ("Could not connect to Redis at node:6379: Connection refused\n", ["no line with requests per second"]),
    ("GET: nan requests per second\nSET: inf requests per second, p50=0.1 msec\n"
     "PING: 0.0 requests per second\n",
     ["line 1: GET has no rate but 'nan'", "line 2: SET", "line 3: PING"]),
    ('"GET","fast"\n"SET"\n', ["line 1: GET", "line 2: no rate"]),
    (REPORT.partition("Summary")[0], ["line 1: the report of SET has no throughput"]),
    (info(1.1, 2_000) + CSV + info(1.0, 1_000), ["its counters are lower"]),
    ("used_cpu_sys:much\n" + CSV, ["line 1: used_cpu_sys is 'much'"]),
    ("redis-benchmark -c many -q\n" + CSV, ["line 1: the command is not whole"]),
])
def test_output_that_says_nothing_is_refused_with_all_faults(text: str, words: list[str]) -> None:
    with pytest.raises(BadInput) as refused:
        parse_benchmark(text, "bench.txt")
    assert str(refused.value).startswith("bench.txt is no output of redis-benchmark")
    for word in words:
        assert word in str(refused.value)


def test_a_file_is_read_as_its_text_and_one_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bench.txt"
    file.write_bytes(QUIET.encode())
    assert read_benchmark(file).tests == parse_benchmark(QUIET, "it").tests
    assert read_benchmark(file).sha256 == parse_benchmark(QUIET, "it").sha256
    for content, words in ((b"", "is empty"), (b"\x1f\x8b\x08\x00", "gzip"), (b"\x00\x01\x02", "binary data"),
                           (b"x" * (1 << 21), "longer than 1 MB")):
        file.write_bytes(content)
        with pytest.raises(BadInput, match=words):
            read_benchmark(file)
    with pytest.raises(BadInput, match="No such file"):
        read_benchmark(tmp_path / "absent.txt")


@given(st.text(max_size=200))
@example('"')
@example('redis-benchmark -c "')
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        found = parse_benchmark(text, "it")
    except BadInput:
        return
    assert all(test.requests_per_second > 0.0 for test in found.tests)


@pytest.mark.skipif(shutil.which("redis-benchmark") is None, reason="no redis-benchmark on PATH")
@pytest.mark.parametrize("form", [(), ("-q",), ("--csv",)])
def test_a_real_benchmark_is_read_in_each_form_and_its_pipelining_seen(
        redis_cluster: Cluster, redis_client: Any, form: tuple[str, ...]) -> None:
    def run(*options: str) -> str:
        port = str(redis_cluster.endpoint.port)
        command = ["redis-benchmark", "-p", port, "-t", "set,get", *options, *form]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    single = parse_benchmark(run("-n", "3000", "-c", "10"), "it")
    assert [test.name for test in single.tests] == ["SET", "GET"]
    single.need_single_requests()
    with pytest.raises(BadInput, match="pipelined"):
        parse_benchmark("redis-benchmark -c 10\n" + run("-n", "40000", "-c", "10", "-P", "16"),
                        "it").need_single_requests()
