"""`amply-capacity predict memory`: the bill of a file or of a demand, and refusals in one paragraph."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from amply_capacity.files import EXAMPLE_RUN
from amply_capacity.run.keyspace import Shape, write_keyspace

MICRO = 402_653_184
OF_RUN = ("predict", "memory", "--run", EXAMPLE_RUN)


@pytest.fixture
def keyspace(tmp_path: Path) -> Path:
    file = tmp_path / "keyspace.csv"
    write_keyspace(file, [Shape("session:", "string", 100_000, 36, 490, None, None, 604_800.0),
                          Shape("user_sessions:", "set", 40_000, 26, None, 2, 28, None),
                          Shape("events:", "stream", 3, 12, None, 5_000, 120, None)])
    return file


def test_the_answer_has_the_keys_of_the_contract(amply_process: Callable, keyspace: Path) -> None:
    answer = amply_process("predict", "memory", "--keyspace", keyspace, "--json")
    assert (answer.code, answer.err) == (0, "")
    found = answer.json
    assert set(found) >= {"used_memory_bytes", "low", "high", "items", "peaks", "unevictable_bytes", "notes"}
    assert found["low"] <= found["used_memory_bytes"] <= found["high"]
    assert sum(item["bytes"] for item in found["items"]) == pytest.approx(found["used_memory_bytes"], abs=10)
    assert sum(item["share"] for item in found["items"]) == pytest.approx(1.0, abs=1e-4)
    assert all(set(item) >= {"what", "bytes", "low", "high", "keys", "evictable"} for item in found["items"])
    lasting = sum(item["bytes"] for item in found["items"] if not item["evictable"])
    assert lasting == pytest.approx(found["unevictable_bytes"], abs=10)


def test_an_unknown_allocator_is_redis_own_within_bounds_that_hold_debians(
        amply: Callable, keyspace: Path) -> None:
    auto, bundled, debian = (
        amply("predict", "memory", "--keyspace", keyspace, "--allocator", name, "--json").json
        for name in ("auto", "bundled", "debian"))
    assert auto["used_memory_bytes"] == bundled["used_memory_bytes"] < debian["used_memory_bytes"]
    assert auto["low"] == bundled["low"]
    assert auto["high"] == debian["high"]
    assert any("allocator is not known" in note for note in auto["notes"])
    assert not any("allocator" in note for note in debian["notes"])


def test_what_was_never_run_says_so(amply: Callable, keyspace: Path) -> None:
    options = ("predict", "memory", "--keyspace", keyspace, "--engine", "valkey")
    unverified = amply(*options, "--engine-version", "8.0", "--json").json
    assert unverified["verified_on"] is None
    assert any(note.startswith("UNVERIFIED: the sizes of valkey 8.0") for note in unverified["notes"])
    assert "(UNVERIFIED)" in amply(*options, "--engine-version", "8.0").out.splitlines()[0]
    verified = amply(*options, "--json").json
    assert verified["verified_on"] == "valkey 8.1.1"
    assert verified["used_memory_bytes"] < unverified["used_memory_bytes"]


@pytest.mark.parametrize(("limit", "policy", "evicts", "fails"), [
    ("200mb", "volatile-lru", False, False), ("60mb", "volatile-lru", True, False),
    ("5mb", "volatile-lru", True, True), ("5mb", "allkeys-lru", True, False),
    ("60mb", "noeviction", False, True)])
def test_a_maxmemory_that_is_too_small_says_what_follows(
        amply: Callable, keyspace: Path, limit: str, policy: str, evicts: bool, fails: bool) -> None:
    options = ("predict", "memory", "--keyspace", keyspace, "--maxmemory", limit, "--policy", policy)
    room = amply(*options, "--json").json["headroom"]
    assert (room["evicts_now"], room["writes_fail_now"]) == (evicts, fails)
    words = "writes fail" if fails else "keys are evicted" if evicts else "it fits"
    assert words in amply(*options).out


def test_options_add_their_lines(amply: Callable, keyspace: Path) -> None:
    options = ("predict", "memory", "--keyspace", keyspace, "--json")
    plain = {item["what"] for item in amply(*options).json["items"]}
    full = amply(*options, "--connections", 50, "--idle-connections", 30, "--replicas", 1, "--cluster-mode",
                 "--latency-tracking", "--node-type", "cache.t3.micro", "--writes-per-second", 100).json
    assert {item["what"] for item in full["items"]} - plain >= {
        "50 busy connections", "30 idle connections", "replication backlog",
        "cluster mode and its map of slots", "latency histograms, one a command",
        "room for 20,000 clients (maxclients)"}
    where = {peak["where"] for peak in full["peaks"]}
    assert where == {
        "counted for eviction", "in used_memory, not counted for eviction", "outside used_memory"}
    assert full["headroom"]["maxmemory_bytes"] == MICRO


def test_a_demand_says_when_memory_is_full_and_what_the_leak_costs(amply: Callable, demand: Path) -> None:
    found = amply(*OF_RUN, "--demand", demand, "--json").json
    outlook = found["outlook"]
    assert outlook["maxmemory_bytes"] == MICRO
    assert date.fromisoformat(outlook["memory_full"]["mid"]) > date(2026, 11, 23)
    assert outlook["memory_full"] == outlook["evictions_start"]
    leaking, mended = (found[which]["writes_fail"]["probability_within_horizon"]
                       for which in ("outlook", "outlook_with_fix"))
    assert mended < 0.02
    assert leaking > mended
    assert len(found["months"]) == 37
    assert found["months"][0]["used_mid"] == found["used_memory_bytes"]
    assert found["leak"]["index_bytes_per_user"] > 216.0
    assert {check["what"] for check in found["checks"]} == {
        "sessions", "counters", "cached", "results", "user_sessions"}


def test_users_replace_those_of_the_demand(amply: Callable, demand: Path) -> None:
    few, many = (amply(*OF_RUN, "--demand", demand, "--users", users, "--json").json
                 for users in (2_500, 25_000))
    assert (few["users"], many["users"]) == (2_500, 25_000)
    assert few["used_memory_bytes"] < 0.2 * many["used_memory_bytes"]
    assert many["used_memory_bytes"] == amply(*OF_RUN, "--demand", demand, "--json").json["used_memory_bytes"]


def test_for_a_person_the_lines_stand_in_columns_with_shares(amply: Callable, demand: Path) -> None:
    lines = amply(*OF_RUN, "--demand", demand).out.splitlines()
    assert lines[0].startswith("used_memory of 25,000 users: ")
    session = next(line for line in lines if line.endswith("session:* (string)"))
    total = next(line for line in lines if line.endswith("  used_memory"))
    assert session.index("%") == total.index("%")
    assert "100.0%" in total
    text = "\n".join(lines)
    for words in ("evictions start", "writes fail", "The leak:", "with EXPIRE user_sessions:"):
        assert words in text


@pytest.mark.parametrize(("options", "words"), [
    ((), ["neither --keyspace nor --run"]),
    (("--keyspace", "a.csv", "--run", "b"), ["both --keyspace and --run"]),
    (("--run", "b"), ["--run without --demand"]),
    (("--keyspace", "a.csv", "--demand", "d.toml", "--users", "5"), ["--demand with", "--users with"]),
    (("--run", "b", "--demand", "d", "--users", "0"), ["--users 0"]),
    (("--keyspace", "a.csv", "--allocator", "tcmalloc", "--policy", "lru", "--engine", "keydb",
      "--connections", "-1", "--maxmemory", "much", "--reserved-memory-percent", "100", "--engine-version",
      "seven", "--lost-expires-per-day", "-2"),
     ["'tcmalloc'", "'lru'", "'keydb'", "--connections -1", "'much'", "--reserved-memory-percent 100",
      "'seven'", "--lost-expires-per-day -2"]),
    (("--keyspace", "a.csv", "--writes-per-second", "nan"), ["--writes-per-second nan"]),
])
def test_all_faults_of_the_options_stand_in_one_paragraph(
        amply: Callable, options: tuple[str, ...], words: list[str]) -> None:
    amply("predict", "memory", *options).assert_refused(*words)


@pytest.mark.parametrize(("content", "words"), [
    ("prefix,type\n", ["not the header"]),
    ("prefix,type,count,key_bytes,value_bytes,members,member_bytes,ttl_s\na:,string,x,3,,,,\nb:,tree,1,1,,,,\n",
     ["line 2", "line 3", "'tree'"]),
])
def test_a_keyspace_file_with_faults_is_refused(
        amply: Callable, tmp_path: Path, content: str, words: list[str]) -> None:
    file = tmp_path / "keyspace.csv"
    file.write_text(content)
    amply("predict", "memory", "--keyspace", file).assert_refused(*words)


def test_a_file_a_run_or_a_node_type_that_is_not_there_is_refused(
        amply: Callable, tmp_path: Path, demand: Path, keyspace: Path) -> None:
    amply("predict", "memory", "--keyspace", tmp_path / "none.csv").assert_refused("none.csv")
    amply("predict", "memory", "--run", tmp_path, "--demand", demand).assert_refused("no run.json")
    amply(*OF_RUN, "--demand", tmp_path / "none.toml").assert_refused("none.toml")
    amply("predict", "memory", "--keyspace", keyspace, "--node-type", "cache.t3.macro").assert_refused(
        "cache.t3.micro")


def test_a_run_without_accesses_is_refused(amply: Callable, tmp_path: Path, demand: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(EXAMPLE_RUN, run)
    file = run / "accesses.parquet"
    pd.read_parquet(file).iloc[:0].to_parquet(file)
    amply("predict", "memory", "--run", run, "--demand", demand).assert_refused(
        "does not show every class", "sessions, counters, cached, results, indexes of sessions")
