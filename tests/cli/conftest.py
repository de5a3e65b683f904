"""The command line, called as its console script calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from amply_capacity.cli import main
from amply_capacity.files import DATA_DIR


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Stdout as the one JSON object that it has to be."""
        content = json.loads(self.out)
        assert isinstance(content, dict)
        return content

    def assert_refused(self, *words: str) -> None:
        """Exit 2, nothing on stdout, and one paragraph with these words: what, got, do."""
        assert (self.code, self.out) == (2, ""), self
        paragraph = self.err.strip()
        assert paragraph.startswith("amply-capacity: ")
        assert "\n" not in paragraph
        assert " Got: " in paragraph
        assert " Do: " in paragraph
        assert "Traceback" not in paragraph
        for word in words:
            assert word in paragraph, f"{word!r} is not in {paragraph!r}"


@pytest.fixture
def amply(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs `amply-capacity` in this process."""

    def call(*arguments: str | Path) -> Answer:
        monkeypatch.setattr(sys, "argv", ["amply-capacity", *map(str, arguments)])
        code: int | str | None = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        out, err = capfd.readouterr()
        return Answer(int(code or 0), out, err)

    return call


@pytest.fixture
def amply_process() -> Callable[..., Answer]:
    """Runs `amply-capacity` in a process of its own, as a shell does."""

    def call(*arguments: str | Path) -> Answer:
        done = subprocess.run([sys.executable, "-m", "amply_capacity.cli", *map(str, arguments)],
                              capture_output=True, text=True, timeout=120, check=False)
        return Answer(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture(scope="session")
def demand() -> Path:
    return DATA_DIR / "demand.example.toml"
