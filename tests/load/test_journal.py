"""The journal of a load: every operation, every write by its key, and what nobody got an answer to."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from amply_capacity.load.journal import Journal
from amply_capacity.traffic.operation import Command, Operation, Pipeline, play


def _operation(*steps: Any, outcome: str = "ok") -> Operation:
    def steps_of() -> Generator[Any, Any, str]:
        for step in steps:
            _ = yield step
        return outcome

    return steps_of()


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _answer(command: Command) -> Any:
    return 7 if command[0] == "INCR" else "OK"


def test_each_write_stands_by_its_key_with_what_it_wrote_and_when_it_was_answered(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "0.jsonl")
    began = time.time()
    steps = (("GET", "session:a"), ("SETEX", "session:a", 300, "né"), ("INCR", "rate:b"),
             ("EXPIRE", "rate:b", 60), ("SADD", "set", "x", "y"),
             Pipeline((("DEL", "session:a", "session:c"), ("PUBLISH", "ch", "m"))))
    outcome, seen = play(journal.follow("sessions", "mine", _operation(*steps, outcome="hit")), _answer)
    journal.close()
    assert (outcome, seen) == ("hit", steps)
    ((began_s, ended_s, use_case, name, is_ok, key, writes),) = _lines(tmp_path / "0.jsonl")
    assert began - 0.01 <= began_s <= ended_s <= time.time()
    assert (use_case, name, is_ok, key) == ("sessions", "mine", True, "session:a")
    assert [row[:4] for row in writes] == [
        ["SETEX", "session:a", crc32("né".encode()), 300], ["INCR", "rate:b", 7, None],
        ["EXPIRE", "rate:b", None, 60], ["SADD", "set", "x", None], ["SADD", "set", "y", None],
        ["DEL", "session:a", None, None], ["DEL", "session:c", None, None]]
    assert all(sent_s <= answered_s for *_, sent_s, answered_s in writes)


def test_what_ends_without_an_answer_is_written_down_as_unanswered(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "0.jsonl")
    lost = journal.follow("sessions", "create", _operation(("SET", "k", "v"), ("DEL", "k")))
    lost.send(None)
    lost.close()
    never = journal.follow("sessions", "validate", _operation(("GET", "k")))
    never.close()
    under_way = journal.follow("cache", "read", _operation(("SET", "other", "v")))
    under_way.send(None)
    journal.close()
    rows = {name: (is_ok, key, writes) for _, _, _, name, is_ok, key, writes in _lines(tmp_path / "0.jsonl")}
    assert rows["create"][0] is False
    assert [(row[0], row[5]) for row in rows["create"][2]] == [("SET", None)]
    assert rows["validate"] == (False, None, [])
    assert rows["read"][2][0][5] is None


def test_a_fault_of_the_application_passes_and_ends_it(tmp_path: Path) -> None:
    def faulty() -> Generator[Any, Any, str]:
        yield ("GET", "k")
        raise ValueError("no JSON")

    journal = Journal(tmp_path / "0.jsonl")
    followed = journal.follow("sessions", "touch", faulty())
    followed.send(None)
    with pytest.raises(ValueError, match="no JSON"):
        followed.send("{")
    thrown = journal.follow("sessions", "touch", _operation(("GET", "k")))
    thrown.send(None)
    with pytest.raises(KeyError):
        thrown.throw(KeyError("gone"))
    journal.close()
    assert [row[4] for row in _lines(tmp_path / "0.jsonl")] == [False, False]


def test_a_disk_that_is_full_ends_the_journal_and_not_the_load(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(tmp_path / "0.jsonl")

    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        for _ in range(2):
            assert play(journal.follow("s", "o", _operation(("GET", "k"))), _answer)[0] == "ok"
    journal.close()
    assert capsys.readouterr().err.count("the journal ends here") == 1
