"""`amply-capacity profile`: a keyspace file, one JSON object or a table, and refusals that leave no file."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from seeded import seeded

from amply_capacity.run.keyspace import read_keyspace
from amply_capacity.target import cluster as clusters
from amply_capacity.target.process import free_port
from amply_capacity.target.sampled_key import COMMANDS

FAST = ("--commands-per-second", "1000000")


@pytest.fixture
def port(plain_redis: Callable[..., int]) -> int:
    """Of a server with 3,000 sessions and 1,000 rate keys, ten of them without a TTL."""
    port = plain_redis("--maxmemory", "64mb", "--maxmemory-policy", "volatile-lru")
    with redis.Redis(port=port) as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(3000):
            pipeline.set(f"session:ses_{number:022}", "x" * (400 + number % 90), ex=604_800)
        for number in range(1000):
            pipeline.set(f"rate:api:key_{number:022}", 5, ex=None if number % 100 == 0 else 600)
        pipeline.execute()
    return port


@pytest.fixture
def url(port: int) -> str:
    return f"redis://127.0.0.1:{port}/0"


def test_the_answer_and_the_file_say_the_same(amply: Callable, url: str, tmp_path: Path) -> None:
    out = tmp_path / "keyspace.csv"
    answer = amply("profile", url, "--out", out, "--sample", "0.5", *FAST, "--json")
    assert answer.code == 0
    content = answer.json
    assert (content["keyspace"], content["keys"], content["scanned"]) == (str(out), 4000, 4000)
    assert 1800 < content["sampled"] < 2200
    assert content["vanished"] == 0
    groups = {(group["prefix"], group["ttl_s"]): group for group in content["prefixes"]}
    assert set(groups) == {("session:", 604_800.0), ("rate:api:", 600.0), ("rate:api:", None)}
    for group in groups.values():
        assert group["count_low"] <= group["count"] <= group["count_high"]
        assert group["bytes_low"] <= group["bytes_each"] <= group["bytes_high"]
    rows = read_keyspace(out)
    for (prefix, ttl_s), group in groups.items():
        of_group = sum(row.count for row in rows if (row.prefix, row.ttl_s) == (prefix, ttl_s))
        assert of_group == pytest.approx(group["count"], abs=0.6)
    finding = content["findings"][0]
    assert (finding["kind"], finding["examples"]) == ("lost-ttl", ["rate:api:…"])
    assert finding["count_low"] <= 10 <= finding["count_high"]
    server = content["server"]
    assert (server["url"], server["role"], server["maxmemory_policy"]) == (url, "primary", "volatile-lru")
    assert server["maxmemory"] == 64 * 1024**2
    assert server["used_memory"] > server["used_memory_startup"] > 0
    assert server["databases"] == {"db0": {"keys": 4000, "expires": 3990}}
    assert server["commands_called"] >= server["latency_histograms"] > 5
    if server["allocator"]:
        check = content["check"]
        assert check["low"] <= check["predicted"] <= check["high"]
        assert abs(check["error_percent"]) < 2.0


def test_people_get_a_table_and_names_only_when_they_want_them(
        amply: Callable, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer = amply("profile", url, *FAST)
    assert answer.code == 0
    first, _, head, *rows = answer.out.splitlines()
    assert "primary" in first
    assert "4,000 keys, all names read, 4,000 keys looked at" in first
    table = [head, *rows[:3]]
    assert [line.split()[0] for line in table] == ["prefix", "session:*", "rate:api:*", "rate:api:*"]
    assert {len(line) for line in table} == {len(head)}
    assert "7 d" in rows[0]
    assert "finding: 10 keys of rate:api:* (int) have no TTL" in answer.out
    assert "key_00" not in answer.out
    assert answer.out.splitlines()[-1] == "written to keyspace.csv"
    assert read_keyspace(Path("keyspace.csv"))
    named = amply("profile", url, *FAST, "--show-names")
    assert "rate:api:key_0000000000000000000100" in named.out


def test_a_local_cluster_goes_by_its_name(amply: Callable, tmp_path: Path) -> None:
    with clusters.throw_away(maxmemory_bytes=32 * 1024**2, with_password=True) as cluster:
        out = tmp_path / "keyspace.csv"
        amply("profile", cluster.name, "--out", out).assert_refused("holds no keys")
        assert not out.exists()


def test_a_file_that_is_there_is_replaced_as_a_whole(amply: Callable, url: str, tmp_path: Path) -> None:
    out = tmp_path / "keyspace.csv"
    out.write_text("old\n" * 10_000)
    assert amply("profile", url, "--out", out, *FAST).code == 0
    assert "old" not in out.read_text()
    assert [path.name for path in tmp_path.iterdir() if path.suffix in {".csv", ".tmp"}] == ["keyspace.csv"]


def test_a_place_that_cannot_be_written_to_is_refused_before_a_key_is_looked_at(
        amply: Callable, tmp_path: Path) -> None:
    nobody = f"redis://127.0.0.1:{free_port()}"
    amply("profile", nobody, "--out", tmp_path).assert_refused("--out is no file", str(tmp_path))
    amply("profile", nobody, "--out", tmp_path / "no" / "k.csv").assert_refused("no such folder")


def test_options_that_are_none_are_refused_together(amply: Callable, url: str) -> None:
    amply("profile", url, "--sample", "2", "--keys", "0", "--names", "0", "--commands-per-second", "0",
          ).assert_refused("4 inputs are wrong", "--sample 2", "--keys 0", "--names 0",
                           "--commands-per-second 0")
    amply("profile", url, "--sample", "nan").assert_refused("--sample nan")


def test_what_is_no_redis_is_refused(amply: Callable) -> None:
    amply("profile", f"redis://127.0.0.1:{free_port()}").assert_refused("nothing answers at")
    amply("profile", "http://127.0.0.1:1").assert_refused("'http'", "redis://")
    amply("profile", "no-such-cluster").assert_refused("'no-such-cluster'")


def test_a_user_who_may_not_read_is_told_what_to_ask_for_and_that_is_enough(
        amply: Callable, port: int, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPLY_REDIS_USERNAME", "reader")
    monkeypatch.setenv("AMPLY_REDIS_PASSWORD", seeded("hush"))
    with redis.Redis(port=port) as client:
        client.acl_setuser("reader", enabled=True, passwords=[f"+{seeded('hush')}"], keys=["*"],
                           commands=[f"+{command}" for command in COMMANDS])
        allowed = amply("profile", url, "--out", tmp_path / "k.csv", *FAST, "--json")
        assert allowed.code == 0
        # MEMORY MALLOC-STATS is not among them: the allocator is told from what the keys take.
        unrestricted = client.memory_malloc_stats()
        assert allowed.json["server"]["allocator"] == (
            "debian" if b"Quantum size: 16" in unrestricted else
            "bundled" if b"Quantum size: 8" in unrestricted else None)
        for command in COMMANDS[1:9]:
            client.execute_command("ACL SETUSER", "reader", f"-{command}")
            refused = amply("profile", url, "--out", tmp_path / "none.csv", *FAST)
            refused.assert_refused("may not read a profile", command.partition("|")[0], "+memory|usage", "~*")
            assert "hush-hush" not in refused.err
            client.execute_command("ACL SETUSER", "reader", f"+{command}")
        client.execute_command("ACL SETUSER", "reader", "resetkeys", "~session:*")
        amply("profile", url, "--out", tmp_path / "none.csv", *FAST).assert_refused("may not read a profile")
    assert not (tmp_path / "none.csv").exists()


def test_an_interrupt_leaves_the_file_as_it_was(url: str, tmp_path: Path) -> None:
    out = tmp_path / "keyspace.csv"
    out.write_text("as it was\n")
    running = subprocess.Popen(
        [sys.executable, "-m", "amply_capacity.cli", "profile", url, "--out", str(out),
         "--commands-per-second", "20"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with redis.Redis.from_url(url) as client:
        deadline = time.monotonic() + 30.0
        while "cmdstat_scan" not in client.info("commandstats"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    said, complaint = running.communicate(timeout=30)
    assert running.returncode not in {0, 2}
    assert said == ""
    assert "Traceback" not in complaint
    assert out.read_text() == "as it was\n"
    assert [path.name for path in tmp_path.iterdir() if path.suffix in {".csv", ".tmp"}] == ["keyspace.csv"]
