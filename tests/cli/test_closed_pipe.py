"""A reader that goes early, as `head` does: no message, and the exit code is the answer's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from plan_json import plan_file

from amply_capacity.files import ROOT

SOUND = ROOT / "tests" / "ops" / "documents" / "sound.md"


def unread(*arguments: str | Path) -> tuple[int, str]:
    """Exit code and stderr of the command whose stdout nobody reads any more."""
    reads, writes = os.pipe()
    os.close(reads)
    try:
        done = subprocess.run([sys.executable, "-m", "amply_capacity.cli", *map(str, arguments)],
                              stdout=writes, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    finally:
        os.close(writes)
    return done.returncode, done.stderr


@pytest.mark.parametrize("words", [
    ("prices", "show"), ("prices", "show", "--json"), ("cluster", "status", "--json"), ("aws", "policy"),
    ("audit", SOUND)], ids=str)
def test_an_answer_that_nobody_reads_to_its_end_is_no_failure(words: tuple[str | Path, ...]) -> None:
    code, told = unread(*words)
    assert code == 0
    assert not {word for word in ("Traceback", "Exception", "pipe", "Aborted") if word in told}, told


def test_a_template_that_nobody_reads_to_its_end_is_no_failure(tmp_path: Path) -> None:
    assert unread("export", "cloudformation", "--plan", plan_file(tmp_path)) == (0, "")


def test_a_no_stays_a_no_and_bad_input_is_still_told(tmp_path: Path) -> None:
    faulty = tmp_path / "faulty.md"
    faulty.write_text(SOUND.read_text().replace("$37.38", "$39"))
    assert unread("audit", faulty) == (1, "")
    code, words = unread("audit", "none.md")
    assert code == 2
    assert "No such file" in words
