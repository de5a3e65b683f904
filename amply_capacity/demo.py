"""The demonstration: traffic that really runs, a run, the notebooks on it, and the report."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from amply_capacity.errors import AmplyError, BadInput
from amply_capacity.files import DATA_DIR, REPORTS_DIR, ROOT
from amply_capacity.model.cpu import cpu_us_per_command
from amply_capacity.progress import say
from amply_capacity.report.document import document_of
from amply_capacity.report.files import FORMATS, write_report
from amply_capacity.report.notebook_files import execute, notebooks
from amply_capacity.run.reader import read_run
from amply_capacity.target.program import find_server

__all__ = ["run_demo"]

# Well below what one generator process can send: the recording shows the server, not the generator.
_RATE = 1000
_LOCUST_USERS = 50
_MORE_ATTEMPTS = 2


def run_demo(seconds: int, out: Path | None) -> dict[str, Path]:
    """Record, execute, report; the files by name. Raises AmplyError when a stage fails."""
    out = (out or REPORTS_DIR / "demo").resolve()
    demand = DATA_DIR / "demand.example.toml"
    began = time.monotonic()

    def stage(number: int, text: str) -> None:
        say(f"demo  {number}/4  {time.monotonic() - began:5.1f} s  {text}")

    server = find_server()
    stage(1, f"local cluster: {server.engine} {server.version} ({server.allocator})")
    run = _free_directory(out / "run")
    stage(2, f"recording {seconds} s of the mixed scenario, {_RATE:,} operations a second")
    _record(run, demand, seconds)
    for attempt in range(1, _MORE_ATTEMPTS + 1):
        if _is_telling(run):
            break
        run, longer = _free_directory(out / "run"), seconds * 2**attempt
        stage(2, f"the machine was busy with something else: recording again, {longer} s")
        _record(run, demand, longer)
    stage(3, f"executing {len(notebooks())} notebooks")
    executed = execute(notebooks(), out / "notebooks", run, demand)
    stage(4, "writing the report")
    written = write_report(document_of([run], demand), out, FORMATS)
    say(f"demo  done {time.monotonic() - began:5.1f} s  open {written[0]}")
    names = ("report", "pdf", "xlsx", "markdown", "json")
    return {**dict(zip(names, written, strict=True)), "run": run, "notebooks": executed[0].parent}


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


def _is_telling(run: Path) -> bool:
    """Whether the generator got enough of the machine for the run to say what a command costs."""
    return cpu_us_per_command(read_run(run)) is not None


def _free_directory(directory: Path) -> Path:
    """The directory, emptied of an earlier demo's run. Nothing but a run is ever removed."""
    if (directory / "run.json").exists():
        shutil.rmtree(directory)
    elif directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        raise BadInput("the demo's folder holds something else", got=str(directory),
                       do="move it away, or name another with --out")
    return directory
