"""The demonstration: traffic that really runs, a crash under load, the notebooks on it, and the report."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from amply_capacity.drill.conduct import hold_drill
from amply_capacity.drill.request import DrillRequest
from amply_capacity.errors import AmplyError, BadInput
from amply_capacity.files import DATA_DIR, REPORTS_DIR, ROOT
from amply_capacity.model.cpu import cpu_us_per_command
from amply_capacity.model.drilled import drilled
from amply_capacity.progress import say
from amply_capacity.report.document import document_of
from amply_capacity.report.files import FORMATS, write_report
from amply_capacity.report.notebook_files import execute, notebooks
from amply_capacity.run.reader import Run, read_run
from amply_capacity.target.program import find_server

__all__ = ["run_demo"]

# Well below what one generator process can send: the recording shows the server, not the generator.
_RATE = 1000
_LOCUST_USERS = 50
# The shortest in which a replica takes over and clients are back: two seconds before the crash, two to three
# of Sentinel's, and one undisturbed. The replica is 40 ms away, as that of the drill that ships.
_DRILL = DrillRequest("crash", topology="replicated", seconds=6, rate=300.0, users=30, population=300,
                      delay_ms=40.0)
_ATTEMPTS = 3


def run_demo(seconds: int, out: Path | None) -> dict[str, Path]:
    """Record, drill, execute, report; the files by name. Raises AmplyError when a stage fails."""
    out = (out or REPORTS_DIR / "demo").resolve()
    demand = DATA_DIR / "demand.example.toml"
    began = time.monotonic()

    def stage(number: int, text: str) -> None:
        say(f"demo  {number}/5  {time.monotonic() - began:5.1f} s  {text}")

    server = find_server()
    stage(1, f"local cluster: {server.engine} {server.version} ({server.allocator})")
    run, drill = (_free_directory(out / name) for name in ("run", "drill"))
    stage(2, f"recording {seconds} s of the mixed scenario, {_RATE:,} operations a second")
    _until_telling(
        run, seconds, lambda longer: _record(run, demand, longer), _tells_of_cpu,
        lambda longer: stage(2, f"the machine was busy with something else: recording again, {longer} s"))
    stage(3, f"drilling {_DRILL.seconds} s: a primary crashes under load, and its replica takes over")
    _until_telling(
        drill, _DRILL.seconds, lambda longer: _drill(drill, demand, longer), _tells_of_clients,
        lambda longer: stage(3, f"clients were not seen to be back: drilling again, {longer} s"))
    stage(4, f"executing {len(notebooks())} notebooks")
    executed = execute(notebooks(), out / "notebooks", run, demand, [drill])
    stage(5, "writing the report")
    written = write_report(document_of([run, drill], demand), out, FORMATS)
    say(f"demo  done {time.monotonic() - began:5.1f} s  open {written[0]}")
    names = ("report", "pdf", "xlsx", "markdown", "json")
    return {**dict(zip(names, written, strict=True)), "run": run, "drill": drill,
            "notebooks": executed[0].parent}


def _until_telling(directory: Path, seconds: int, record: Callable[[int], None],
                   is_telling: Callable[[Run], bool], again: Callable[[int], None]) -> None:
    """Record until the run tells what it is for, each time twice as long; the last one stays as it is."""
    for attempt in range(_ATTEMPTS):
        if attempt:
            again(seconds * 2**attempt)
            _free_directory(directory)
        record(seconds * 2**attempt)
        if is_telling(read_run(directory)):
            return


def _record(run: Path, demand: Path, seconds: int) -> None:
    command = [
        sys.executable, "-m", "locust", "-f", str(ROOT / "loadtests" / "mixed.py"), "--headless",
        "--only-summary", "--loglevel", "WARNING", "--exit-code-on-error", "0",
        "-u", str(_LOCUST_USERS), "-r", str(_LOCUST_USERS), "-t", f"{seconds}s",
        "--arrivals", "poisson", "--rate", str(_RATE), "--demand", str(demand), "--run-dir", str(run),
    ]
    # Locust's summary goes to stderr, so that stdout keeps to the demo's own result.
    done = subprocess.run(command, stdout=sys.stderr.fileno(), check=False)
    if done.returncode != 0:
        raise AmplyError("the recording failed", got=f"locust ended with exit code {done.returncode}",
                         do="read its words above, then run the demo again")


def _drill(run: Path, demand: Path, seconds: int) -> None:
    hold_drill(replace(_DRILL, seconds=seconds, demand=demand, run_dir=run))


def _tells_of_cpu(run: Run) -> bool:
    """Whether the generator got enough of the machine for the run to say what a command costs."""
    return cpu_us_per_command(run) is not None


def _tells_of_clients(run: Run) -> bool:
    """Whether the replica took over in time for the drill to say how soon clients were back."""
    found = drilled(run)
    return found is not None and found.reconnect_seconds is not None


def _free_directory(directory: Path) -> Path:
    """The directory, emptied of an earlier demo's run. Nothing but a run is ever removed."""
    if (directory / "run.json").exists():
        shutil.rmtree(directory)
    elif directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        raise BadInput("the demo's folder holds something else", got=str(directory),
                       do="move it away, or name another with --out")
    return directory
