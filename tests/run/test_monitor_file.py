from __future__ import annotations

import math
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monitored import Monitored

from amply_capacity.errors import BadInput
from amply_capacity.run import text_file
from amply_capacity.run.monitor_command import CutOff, arguments, byte_count, unescaped
from amply_capacity.run.monitor_file import MonitorFile
from amply_capacity.target.cluster import Cluster

NOW = "1700000000.000000"


@pytest.fixture(scope="module")
def monitored(redis_cluster: Cluster) -> Iterator[Monitored]:
    with Monitored(redis_cluster.endpoint.port) as both:
        yield both


def accesses(monitor: MonitorFile) -> list[tuple[Any, ...]]:
    """Op, key, bytes of the key and of the value, and TTL of each access, in order."""
    found: list[tuple[Any, ...]] = []
    for columns, _ in monitor.blocks():
        names = ("op", "key", "key_bytes", "value_bytes", "ttl_s")
        found += zip(*(columns[name].to_pylist() for name in names), strict=True)
    return found


def captured(path: Path, *commands: str, database: int = 0) -> MonitorFile:
    """A capture of commands as MONITOR writes them."""
    lines = "".join(f"{NOW} [{database} 127.0.0.1:52114] {command}\n" for command in commands)
    path.write_text(f"OK\n{lines}")
    return MonitorFile(path)


def faults(path: Path) -> str:
    with pytest.raises(BadInput) as raised:
        accesses(MonitorFile(path))
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    return str(raised.value)


KEY = st.binary(min_size=1, max_size=12).filter(lambda key: not key.startswith(b"end-of-capture"))
VALUE = st.one_of(st.binary(max_size=20), st.sampled_from(
    [b'" "', b'x" ', b"\\", b'a\\" "', b"\r\n\t\a\b\0", b'{"a": 1}', b"\\x41"]))
TTL = st.integers(1, 10**6)
COMMAND = st.one_of(
    st.tuples(st.sampled_from(["GET", "get", "INCR", "DECR", "SMEMBERS", "SCARD"]), KEY),
    st.tuples(st.just("SET"), KEY, VALUE), st.tuples(st.just("setex"), KEY, TTL, VALUE),
    st.tuples(st.just("SET"), KEY, VALUE, st.just("EX"), TTL), st.tuples(st.just("PSETEX"), KEY, TTL, VALUE),
    st.tuples(st.just("EXPIRE"), KEY, TTL), st.tuples(st.just("SADD"), KEY, VALUE, VALUE),
    st.tuples(st.just("SREM"), KEY, VALUE), st.tuples(st.sampled_from(["DEL", "UNLINK", "MGET"]), KEY, KEY),
    st.tuples(st.just("MSET"), KEY, VALUE, KEY, VALUE))


def expected(command: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    name, key, *rest = str(command[0]).upper(), *command[1:]
    one = {"GET": "get", "INCR": "incr", "DECR": "incr", "SMEMBERS": "smembers", "SCARD": "smembers"}
    if name in one:
        return [(one[name], key, None, None)]
    if name in {"DEL", "UNLINK", "MGET"}:
        return [("get" if name == "MGET" else "del", each, None, None) for each in (key, *rest)]
    if name in {"SADD", "SREM"}:
        return [(name.lower(), key, len(member), None) for member in rest]
    if name == "EXPIRE":
        return [("expire", key, None, float(rest[0]))]
    if name == "MSET":
        return [("set", each, len(value), math.inf) for each, value in ((key, rest[0]), (rest[1], rest[2]))]
    if name == "SET":
        return [("set", key, len(rest[0]), float(rest[2]) if len(rest) > 1 else math.inf)]
    return [("setex", key, len(rest[1]), rest[0] / (1000 if name == "PSETEX" else 1))]


@settings(max_examples=150, deadline=None)
@given(st.lists(COMMAND, min_size=1, max_size=6))
def test_what_a_real_server_shows_is_read_back_as_what_was_sent(
        monitored: Monitored, tmp_path_factory: pytest.TempPathFactory,
        commands: list[tuple[Any, ...]]) -> None:
    path = tmp_path_factory.mktemp("monitor") / "monitor.txt"
    text, _ = monitored.capture(commands)
    path.write_bytes(text)
    monitor = MonitorFile(path)
    found = accesses(monitor)
    assert [(op, key, value, pytest.approx(ttl) if ttl else None) for op, key, _, value, ttl in found] == [
        one for command in commands for one in expected(command)]
    assert all(key_bytes == len(key) for _, key, key_bytes, _, _ in found)
    assert not monitor.left_out


@settings(deadline=None)
@given(st.lists(st.binary(max_size=24), min_size=1, max_size=4))
def test_every_byte_survives_the_servers_escapes(
        monitored: Monitored, words: list[bytes]) -> None:
    text, _ = monitored.capture([("EXISTS", *words)])
    (line,) = text.removeprefix(b"OK\n").splitlines()
    found = arguments(line.partition(b'"EXISTS"')[2])
    assert [unescaped(word) for word in found] == words
    assert [byte_count(word) for word in found] == [len(word) for word in words]


def test_scripts_and_transactions_show_what_they_do_inside_them(monitored: Monitored, tmp_path: Path) -> None:
    path = tmp_path / "monitor.txt"
    script = "redis.call('SET', KEYS[1], ARGV[1]); return redis.call('GET', KEYS[1])"
    text, replies = monitored.capture([
        ("EVAL", script, 1, "k", "four"), ("MULTI",), ("INCR", "n"), ("EXPIRE", "n", 60), ("EXEC",),
        ("MULTI",), ("INCR", "never"), ("DISCARD",)])
    assert replies[0] == b"four"
    path.write_bytes(text)
    monitor = MonitorFile(path)
    assert [(op, key) for op, key, *_ in accesses(monitor)] == [
        ("set", b"k"), ("get", b"k"), ("incr", b"n"), ("expire", b"n")]
    assert set(monitor.keyless) >= {"EVAL", "MULTI", "EXEC"}


def test_a_password_is_not_in_what_is_kept(monitored: Monitored, tmp_path: Path) -> None:
    path = tmp_path / "monitor.txt"
    secret = "hunter2"
    text, _ = monitored.capture([("SET", "a", "1"), ("AUTH", secret), ("HELLO", 2, "AUTH", "u", secret)])
    path.write_bytes(text + b'\n1900000000.1 [0 127.0.0.1:1] "AUTH" "hunter2"\n')
    monitor = MonitorFile(path)
    assert "hunter2" not in repr(accesses(monitor)) + repr(vars(monitor))


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="no redis-cli on PATH")
def test_the_output_of_redis_cli_is_read(
        monitored: Monitored, redis_cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "monitor.txt"
    with open(path, "wb") as out, subprocess.Popen(
            ["redis-cli", "-p", str(redis_cluster.endpoint.port), "MONITOR"], stdout=out) as client:
        deadline = time.monotonic() + 20.0
        while b"SETEX" not in path.read_bytes():
            assert time.monotonic() < deadline
            monitored.capture([("SETEX", 'a"b', 300, b"\x00\xff")])
            time.sleep(0.01)
        client.terminate()
    assert set(accesses(MonitorFile(path))) == {("setex", b'a"b', 3, 2, 300.0)}


@pytest.mark.parametrize(("command", "found"), [
    ('"SET" "k" "abc" "PX" "1500"', [("set", "k", 3, 1.5)]),
    ('"set" "k" "abc" "ex" "10" "nx"', [("set", "k", 3, 10.0)]),
    ('"SET" "k" "abc" "EXAT" "1700000060"', [("set", "k", 3, 60.0)]),
    ('"SET" "k" "abc" "PXAT" "1700000060500" "GET"', [("set", "k", 3, 60.5)]),
    ('"SET" "k" "abc" "KEEPTTL"', [("look", "k", None, None), ("set", "k", 3, None)]),
    ('"SET" "k" "abc" "XX"', [("look", "k", None, None), ("set", "k", 3, math.inf)]),
    ('"SETNX" "k" "abc"', [("set", "k", 3, math.inf)]),
    ('"GETSET" "k" "abc"', [("look", "k", None, None), ("set", "k", 3, math.inf)]),
    ('"GETEX" "k"', [("get", "k", None, None)]),
    ('"GETEX" "k" "EX" "5"', [("get", "k", None, None), ("expire", "k", None, 5.0)]),
    ('"GETEX" "k" "PERSIST"', [("get", "k", None, None), ("expire", "k", None, math.inf)]),
    ('"GETDEL" "k"', [("get", "k", None, None), ("del", "k", None, None)]),
    ('"INCRBY" "k" "5"', [("incr", "k", None, None)]),
    ('"INCRBYFLOAT" "k" "0.5"', [("incr", "k", None, None)]),
    ('"PEXPIRE" "k" "1500"', [("expire", "k", None, 1.5)]),
    ('"EXPIREAT" "k" "1700000030"', [("expire", "k", None, 30.0)]),
    ('"EXPIRE" "k" "0"', [("del", "k", None, None)]),
    ('"EXPIREAT" "k" "1600000000"', [("del", "k", None, None)]),
    ('"PERSIST" "k"', [("expire", "k", None, math.inf)]),
    ('"SISMEMBER" "k" "m"', [("smembers", "k", None, None)]),
    ('"SADD" "k" "a" "bb" ""', [("sadd", "k", 1, None), ("sadd", "k", 2, None), ("sadd", "k", 0, None)]),
    ('"TTL" "k"', [("look", "k", None, None)]),
    ('"GET" ""', [("get", "", None, None)]),
])
def test_a_command_makes_the_accesses_that_a_run_has_ops_for(
        tmp_path: Path, command: str, found: list[tuple[Any, ...]]) -> None:
    read = accesses(captured(tmp_path / "m", command, '"GET" "z"'))
    assert [(op, key.decode(), value, ttl) for op, key, _, value, ttl in read[:-1]] == [
        (op, key, value, pytest.approx(ttl) if ttl is not None else None) for op, key, value, ttl in found]


def test_commands_without_an_op_are_counted_by_name(tmp_path: Path) -> None:
    monitor = captured(tmp_path / "m", *['"HSET" "h" "f" "v"'] * 3, '"lpush" "l" "x"', '"PING"', '"GET" "a"',
                       '"TTL" "a"', '"we ird" "a"')
    assert [op for op, *_ in accesses(monitor)] == ["get", "look"]
    assert monitor.left_out == {"HSET": 3, "LPUSH": 1, "TTL": 1, "other names": 1}
    assert monitor.keyless == {"PING": 1}


@pytest.mark.parametrize("command", [
    '"SETEX" "k" "soon" "v"', '"SETEX" "k" "0" "v"', '"SETEX" "k" "5"', '"SET" "k"', '"SET" "k" "v" "EX"',
    '"SET" "k" "v" "FOR" "5"', '"MSET" "k"', '"EXPIRE" "k"', '"GET"', '"GETEX" "k" "EX"',
    '"GETEX" "k" "X" "5"', f'"EXPIRE" "k" "{"9" * 25}"', '"EXPIRE" "k" "²"'])
def test_a_command_that_redis_refuses_is_counted_and_changes_nothing(tmp_path: Path, command: str) -> None:
    monitor = captured(tmp_path / "m", command, '"GET" "z"')
    assert [key for _, key, *_ in accesses(monitor)] == [b"z"]
    assert list(monitor.left_out) == [command.split('"')[1] + ", refused by Redis"]


@pytest.mark.parametrize("source", ["127.0.0.1:52114", "[::1]:6379", "lua", "unix:/tmp/redis server.sock"])
def test_commands_come_from_any_source(tmp_path: Path, source: str) -> None:
    path = tmp_path / "m"
    path.write_text(f'OK\n{NOW} [0 {source}] "GET" "a"\n')
    assert [key for _, key, *_ in accesses(MonitorFile(path))] == [b"a"]


def test_line_ends_of_windows_greetings_blank_lines_and_the_protocols_plus_are_accepted(
        tmp_path: Path) -> None:
    path = tmp_path / "m"
    lines = ["+OK", "", f'+{NOW} [0 1.1.1.1:1] "GET" "a"', "OK", f'{NOW} [0 1.1.1.1:1] "SET" "b" "x\\r"', ""]
    path.write_text("\r\n".join(lines), newline="")
    assert [(key, value) for _, key, _, value, _ in accesses(MonitorFile(path))] == [(b"a", None), (b"b", 2)]


def test_keys_of_one_name_in_two_databases_are_two(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_text("".join(f'{NOW} [{number} 1.1.1.1:1] "GET" "a"\n' for number in (0, 3, 3, 12)))
    monitor = MonitorFile(path)
    found = accesses(monitor)
    assert len({key for _, key, *_ in found}) == 3
    assert {key_bytes for _, _, key_bytes, *_ in found} == {1}
    assert monitor.databases == {0: 1, 3: 2, 12: 1}


def test_an_expire_nx_only_counts_where_the_key_has_no_ttl_by_one(tmp_path: Path) -> None:
    lines = [(0, '"INCR" "n"'), (0, '"EXPIRE" "n" "60" "NX"'), (30, '"EXPIRE" "n" "60" "NX"'),
             (60, '"EXPIRE" "n" "60" "NX"'), (61, '"DEL" "n"'), (62, '"EXPIRE" "n" "60" "NX"'),
             (63, '"EXPIRE" "n" "60"')]
    path = tmp_path / "m"
    path.write_text("".join(f"{1700000000 + at}.000000 [0 1.1.1.1:1] {text}\n" for at, text in lines))
    (times,) = [columns["time_s"].to_pylist() for columns, _ in MonitorFile(path).blocks()]
    assert [time_s - 1700000000 for time_s in times] == [0, 0, 60, 61, 62, 63]


def test_a_last_line_that_is_cut_off_is_left_out_and_said(tmp_path: Path) -> None:
    whole = f'{NOW} [0 1.1.1.1:1] "SETEX" "a" "300" "v\\"w"'
    path = tmp_path / "m"
    for end in range(1, len(whole)):
        path.write_text(f'{NOW} [0 1.1.1.1:1] "GET" "z"\n{whole[:end]}')
        monitor = MonitorFile(path)
        assert [op for op, *_ in accesses(monitor)] == ["get"]
        assert monitor.is_cut_off or monitor.left_out, whole[:end]
    path.write_text(whole)
    assert accesses(MonitorFile(path)) == [("setex", b"a", 1, 3, 300.0)]


def test_times_that_go_back_are_named_and_equal_ones_are_not(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_text("OK\n" + "".join(f'{at} [0 1.1.1.1:1] "GET" "a"\n' for at in (5.5, 5.5, 5.4, 6.0)))
    assert "line 4: the time goes back from 5.500000 to 5.400000" in faults(path)


def test_lines_that_are_not_monitors_are_named_without_what_stands_in_quotes(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = f'{NOW} [0 1.1.1.1:1] "GET" "a"\n'
    bad = [f'{NOW} [0 1.1.1.1:1] "SETEX" "k" "300" "secret\n', f'{NOW} [0 1.1.1.1:1 "GET" "secret"\n',
           f'x{NOW} [0 1.1.1.1:1] "GET" "secret"\n', "\x00\x01\xff\n"]
    path = tmp_path / "m"
    path.write_bytes(("OK\n" + "".join(good + line for line in bad)).encode("latin-1") + good.encode())
    for size in (64, 4 << 20):
        monkeypatch.setattr(text_file, "_BLOCK_BYTES", size)
        said = faults(path)
        assert [f"line {line}: " in said for line in (3, 5, 7, 9)] == [True] * 4, said
        assert said.count("line ") == 4
        assert "secret" not in said


@pytest.mark.parametrize("text", ["OK\n", "\n\n", "OK"])
def test_a_capture_without_a_command_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m"
    path.write_text(text)
    assert "holds no command" in faults(path)


def test_another_kind_of_file_is_refused_by_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_text("time_s,op,key\n1,get,a\n" * 10)
    assert "line 1: no command as MONITOR prints it, 'time_s,op,key'; line 2: " in faults(path)


@given(st.binary(max_size=60))
def test_no_arguments_whatever_they_are_end_in_another_error_than_that_they_are_cut_off(text: bytes) -> None:
    try:
        words = arguments(text)
    except CutOff:
        return
    for word in words:
        unescaped(word)
        assert byte_count(word) <= len(word)


def test_the_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Read whole, the parts of 40 MB of lines would be several objects of 50 bytes a line and more."""
    script = ("import resource, sys\nfrom pathlib import Path\nimport pandas\n"
              "from amply_capacity.run.monitor_file import MonitorFile\n"
              "for path in sys.argv[1:]:\n"
              "    for columns, _ in MonitorFile(Path(path)).blocks(): pass\n"
              "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n")
    small, large = tmp_path / "small.txt", tmp_path / "large.txt"
    block = "".join(f'{NOW} [0 127.0.0.1:52114] "SETEX" "session:ses_{number:024x}" "604800" "{"x" * 60}"\n'
                    for number in range(60_000))
    small.write_text(block)
    with open(large, "w") as file:
        for _ in range(5):
            file.write(block)
    assert large.stat().st_size > 40e6
    done = subprocess.run([sys.executable, "-c", script, small, large], capture_output=True, text=True,
                          check=True, timeout=120)
    at_small, at_large = map(int, done.stdout.split())
    assert at_large - at_small < 30 * 1024  # kilobytes


