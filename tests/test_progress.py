from __future__ import annotations

import sys

import pytest

from amply_capacity import progress as module
from amply_capacity.progress import progress, say


def test_in_a_pipe_there_is_a_line_now_and_then_and_one_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LINE_EVERY_SECONDS", 0.0)
    with progress("filling", 3000) as advance:
        advance(1000)
        advance()
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        "filling  1,000 of 3,000",
        "filling  1,001 of 3,000",
        "filling  1,001 done",
    ]
    assert captured.out == ""


def test_quick_work_in_a_pipe_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("filling", 10) as advance:
        for _ in range(10):
            advance()
    assert capsys.readouterr().err == "filling  10 done\n"


def test_work_that_fails_is_not_called_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="mine"), progress("filling", 10):
        raise RuntimeError("mine")
    assert "done" not in capsys.readouterr().err


def test_on_a_terminal_there_is_a_bar_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress("filling", 10) as advance:
        advance(10)
    captured = capsys.readouterr()
    assert "10/10" in captured.err
    assert captured.out == ""


def test_what_is_said_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    say("hello")
    assert capsys.readouterr() == ("", "hello\n")
