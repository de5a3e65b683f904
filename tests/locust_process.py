"""Runs the locustfiles as a person does: `locust` in a process of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from amply_capacity.files import CLUSTERS_DIR, ROOT
from amply_capacity.target.process import free_port

PATIENCE_SECONDS = 90.0


def start_locust(scenario: str, *options: str, log: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start `locust --headless` on a scenario of ours; its words go into `log`."""
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtests" / f"{scenario}.py"), "--headless"]
    if "--processes" in options:  # Locust's own port is one for all tests that run at the same time
        port = str(free_port())
        options = (*options, "--master-port", port, "--master-bind-port", port)
    with log.open("wb") as words:
        return subprocess.Popen(
            [*command, *options],
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            env=os.environ | environment,
        )


def run_locust(scenario: str, *options: str, log: Path, **environment: str) -> tuple[int, str]:
    """Run it to its end: the exit code and what it said."""
    with start_locust(scenario, *options, log=log, **environment) as process:
        try:
            code = process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()
    return code, log.read_text()


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Return once the condition holds; fail when it does not within the patience of a test."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.05)


@contextlib.contextmanager
def shared_directory(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A directory that all processes of this test session share; one at a time is within."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    directory = base / f"shared-{name}"
    directory.mkdir(exist_ok=True)
    with (base / f"shared-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield directory


def servers_of_ours() -> set[str]:
    """Pids of the processes that work below this test session's directory of clusters."""
    found: set[str] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                directory = Path(os.readlink(entry / "cwd").removesuffix(" (deleted)"))
            except OSError:  # it has ended, or is a zombie
                continue
            if directory.is_relative_to(CLUSTERS_DIR):
                found.add(entry.name)
    return found


def cluster_directories() -> set[str]:
    """Names of the directories that clusters have there."""
    return {path.name for path in CLUSTERS_DIR.iterdir()} if CLUSTERS_DIR.exists() else set()


def operation_counts(requests: pd.DataFrame) -> dict[str, int]:
    """Operations by name, as the run recorded them."""
    own = requests[(requests["command"] == "") & (requests["clock"] == "response")]
    return {str(name): int(count) for name, count in own.groupby("operation")["count"].sum().items()}


def csv_counts(prefix: Path) -> tuple[dict[str, int], int, int]:
    """Locust's own `--csv`: requests by name, their total, and the total of failures."""
    table = pd.read_csv(f"{prefix}_stats.csv").set_index("Name")
    counts = {str(name): int(count) for name, count in table["Request Count"].items() if name != "Aggregated"}
    total = table.loc["Aggregated"]
    return counts, int(total["Request Count"]), int(total["Failure Count"])


def seconds_recorded(run: Path) -> int:
    """Seconds of requests in the parts of a run that is being recorded."""
    part = run / "parts" / "requests.arrows"
    if not part.exists():
        return 0
    seconds: set[int] = set()
    try:
        with pa.ipc.open_stream(part.read_bytes()) as stream:
            for batch in stream:
                seconds |= set(batch.column("second").to_pylist())
    except (pa.ArrowInvalid, OSError):
        pass
    return len(seconds)
