"""At the end of the tests: a search for the secrets that they seeded, which fails them where one was kept.

Searched are the state directories and the temporary ones of all test processes. These are `conftest.py`'s
hooks.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from seeded import SEEDS, leaks

__all__ = ["pytest_sessionfinish", "pytest_terminal_summary", "pytest_testnodedown"]

_FOUND: list[str] = []


def pytest_sessionfinish(session: pytest.Session) -> None:
    _FOUND.extend(leaks([Path(os.environ["AMPLY_STATE_DIR"])], is_quick=True))
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:  # one of several processes, whose temporary directories lie within the first one's
        output["leaks"], output["seeds"] = _FOUND, [str(path) for path in SEEDS]
        return
    directory = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    _FOUND.extend(leaks([directory], is_quick=True))
    if _FOUND:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """pytest-xdist's: a process has ended, and tells what it knows."""
    output = getattr(node, "workeroutput", None) or {}
    _FOUND.extend(output.get("leaks", ()))
    SEEDS.update(map(Path, output.get("seeds", ())))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _FOUND:
        terminalreporter.section("secrets that were kept", red=True)
        for path in sorted(set(_FOUND)):
            terminalreporter.line(path)
