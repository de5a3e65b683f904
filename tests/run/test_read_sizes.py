from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from monitored import Monitored

from amply_capacity.run import read_sizes
from amply_capacity.run.imports import import_monitor
from amply_capacity.target.cluster import Cluster

Imported = Callable[[str], pd.DataFrame]


@pytest.fixture
def imported(tmp_path: Path) -> Imported:
    """Imports the text of a capture; its accesses."""
    def make(text: str) -> pd.DataFrame:
        path = tmp_path / "monitor.txt"
        path.write_text(text)
        directory = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        import_monitor(path, directory, lambda _: None)
        return pd.read_parquet(directory / "accesses.parquet")

    return make


def lines(*commands: tuple[float, str]) -> str:
    return "".join(f"{1000 + at:.6f} [0 127.0.0.1:1] {text}\n" for at, text in commands)


def reads(accesses: pd.DataFrame) -> list[tuple[float | None, float | None]]:
    """Size and TTL of each get, None where it has none."""
    rows = accesses[accesses["op"] == "get"]
    return [(None if size != size else size, None if ttl != ttl else ttl)
            for size, ttl in zip(rows["value_bytes"], rows["ttl_s"], strict=True)]


SET = '"SETEX" "cache:a" "60" "four"'
GET = '"GET" "cache:a"'


def test_a_read_has_size_and_ttl_of_the_write_before_it_else_of_the_next(imported: Imported) -> None:
    found = imported(lines((0, GET), (20, SET), (30, GET), (40, '"SET" "cache:a" "sixsix"'), (50, GET)))
    assert reads(found) == [(4, 60), (4, 60), (6, float("inf"))]


def test_a_read_of_a_key_that_is_never_written_stays_unknown(imported: Imported) -> None:
    assert reads(imported(lines((0, GET), (1, '"SET" "cache:b" "x"')))) == [(None, None)]


@pytest.mark.parametrize("end", [(61.0, '"PING"'), (1.0, '"DEL" "cache:a"'), (1.0, '"EXPIRE" "cache:a" "5"')])
def test_a_read_of_a_key_that_is_gone_has_none(imported: Imported, end: tuple[float, str]) -> None:
    assert reads(imported(lines((0, SET), end, (62, GET), (80, SET)))) == [(None, None)]


def test_a_read_that_a_write_follows_at_once_missed(imported: Imported) -> None:
    found = imported(lines((0, GET), (0.5, SET), (10, GET), (11, GET), (70, GET), (70.5, SET)))
    assert reads(found) == [(None, None), (4, 60), (4, 60), (None, None)]


def test_a_read_before_the_client_asks_for_the_ttl_hit(imported: Imported) -> None:
    found = imported(lines((0, GET), (0.1, '"TTL" "cache:a"'), (0.2, SET),
                           (1, GET), (1.1, '"SET" "cache:a" "v" "XX"')))
    assert reads(found) == [(4, 60), (4, 60)]
    assert set(found["op"]) == {"get", "setex", "set"}


def test_a_class_whose_keys_are_written_after_every_read_is_written_back_not_filled(
        imported: Imported) -> None:
    back = [(number, text) for number in range(10) for text in (GET, SET)]
    assert reads(imported(lines(*back))) == [(4, 60)] * 10
    hits = [(0, GET), (0, SET), *((number, GET) for number in range(1, 9)), (9, GET), (9, SET)]
    assert reads(imported(lines(*hits))) == [(None, None), *[(4, 60)] * 8, (None, None)]


def test_the_replies_of_a_real_server_are_found_again(
        redis_client: Any, redis_cluster: Cluster, imported: Imported,
        monkeypatch: pytest.MonkeyPatch) -> None:
    """Cached reads, sessions that are touched, deletions: all that MONITOR leaves unsaid is told right."""
    draw = random.Random(4)
    text, replied = "", []
    with Monitored(redis_cluster.endpoint.port) as monitored:

        def call(*command: Any) -> Any:
            nonlocal text
            shown, (reply,) = monitored.capture([command])
            text += shown.decode() + "\n"
            if command[0] == "GET":
                replied.append(None if reply is None else len(reply))
            return reply

        sessions = 0
        for _ in range(600):
            cached, session = f"cache:{draw.randrange(12)}", f"session:{draw.randrange(sessions or 1)}"
            match draw.choice(("read", "read", "read", "drop", "create", "validate", "touch", "end")):
                case "read":
                    if call("GET", cached) is None:
                        call("SETEX", cached, 300, "\0" * draw.randrange(50))
                case "drop":
                    call("DEL", cached)
                case "create":
                    call("SETEX", f"session:{sessions}", 600, "s" * draw.randrange(1, 50))
                    sessions += 1
                case "validate" if sessions:
                    call("GET", session)
                case "touch" if sessions:
                    if (value := call("GET", session)) is not None:
                        call("SETEX", session, call("TTL", session), value)
                case "end":
                    call("DEL", session)
    assert None in replied
    assert [size for size, _ in reads(imported(text))] == replied
    monkeypatch.setattr(read_sizes, "_AT_ONCE", 100)
    assert [size for size, _ in reads(imported(text))] == replied
