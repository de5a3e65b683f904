"""How long the report takes in all five formats, from the example run and from one stretched to an hour."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from amply_capacity.files import DATA_DIR, EXAMPLE_RUN
from amply_capacity.report.files import FORMATS

__all__ = ["table"]

_DEMAND = DATA_DIR / "demand.example.toml"
_HOUR_SECONDS, _ALLOWED_SECONDS, _ALLOWED_PDF_SECONDS, _REPEATS = 3_600, 10.0, 2.0, 3
_LONGEST_SECONDS = 300.0
_SECOND, _TIME = "second", "time_s"


def table() -> str:
    """Seconds of the whole command: median, least and most; and of each part, once, to see where they go."""
    with tempfile.TemporaryDirectory() as scratch:
        hour = _stretched(Path(scratch) / "hour")
        lines = [f"the report, seconds: its parts once, the whole {_REPEATS} times, median (least-most)",
                 f"{'':<22} {'example, 1 minute':>26} {'stretched, 1 hour':>26} {'allowed':>8}"]
        parts = [_parts(run) for run in (EXAMPLE_RUN, hour)]
        for name in parts[0]:
            allowed = f"{_ALLOWED_PDF_SECONDS:g}" if name == "pdf" else ""
            lines.append(f"{name:<22} {parts[0][name]:>26.2f} {parts[1][name]:>26.2f} {allowed:>8}")
        whole = [[_whole(run, Path(scratch) / "out") for _ in range(_REPEATS)] for run in (EXAMPLE_RUN, hour)]
        lines.append(f"{'amply-capacity report':<22} {_spread(whole[0]):>26} {_spread(whole[1]):>26} "
                     f"{_ALLOWED_SECONDS:>8g}")
        sizes = ", ".join(f"{name} {(Path(scratch) / 'out' / f'report.{name}').stat().st_size / 1e3:,.0f} kB"
                          for name in FORMATS)
        return "\n".join([*lines, f"from the hour: {sizes}"])


def _stretched(directory: Path) -> Path:
    """The example's measured phase again and again: tables that grow with traffic are those of an hour."""
    directory.mkdir()
    events = pd.read_parquet(EXAMPLE_RUN / "events.parquet")
    phases = events[events["kind"] == "phase"]
    begins = int(phases.loc[phases["name"] == "measured", _TIME].iloc[0])
    length = int(phases.loc[phases["name"] == "ended", _TIME].iloc[-1]) - begins
    rounds = _HOUR_SECONDS // length + 1
    for name, when in (("requests", _SECOND), ("server", _SECOND), ("accesses", _TIME)):
        frame = pd.read_parquet(EXAMPLE_RUN / f"{name}.parquet")
        inside = frame[frame[when].between(begins, begins + length, inclusive="left")]
        before = frame[frame[when] < begins]
        longer = pd.concat([before, *(inside.assign(**{when: inside[when] + number * length})
                                      for number in range(rounds))])
        longer.to_parquet(directory / f"{name}.parquet", index=False)
    ended = (events["kind"] == "phase") & (events["name"] == "ended")
    events.assign(time_s=events[_TIME] + ended * (rounds - 1.0) * length).to_parquet(
        directory / "events.parquet", index=False)
    for name in ("commands.parquet", "run.json"):
        (directory / name).write_bytes((EXAMPLE_RUN / name).read_bytes())
    return directory


def _parts(run: Path) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-m", "bench.report", str(run)], capture_output=True,
                          text=True, check=True, timeout=_LONGEST_SECONDS)
    seconds: dict[str, float] = json.loads(done.stdout)
    return seconds


def _whole(run: Path, out: Path) -> float:
    began = time.perf_counter()
    command = [sys.executable, "-m", "amply_capacity.cli", "report", "--run", str(run), "--demand",
               str(_DEMAND), "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True, timeout=_LONGEST_SECONDS)
    return time.perf_counter() - began


def _spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f}-{max(seconds):.2f})"


def _timed(run: str) -> None:
    """Each part by itself; the first to import a library pays for that. Figures are drawn once for all."""
    from amply_capacity.report.document import document_of
    from amply_capacity.report.drawing import Pictures
    from amply_capacity.report.html import render_html
    from amply_capacity.report.markdown import render_markdown
    from amply_capacity.report.pdf import render_pdf
    from amply_capacity.report.workbook import render_workbook

    seconds: dict[str, float] = {}

    def timed(name: str, made: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = made()
        seconds[name] = time.perf_counter() - began
        return result

    document = timed("run, models and plan", lambda: document_of([run], _DEMAND))
    pictures = Pictures(document)
    timed("figures", lambda: (pictures.of_plan, pictures.of_runs))
    timed("html", lambda: render_html(document, pictures))
    timed("pdf", lambda: render_pdf(document, pictures))
    timed("xlsx", lambda: render_workbook(document))
    timed("md", lambda: render_markdown(document))
    print(json.dumps(seconds))


if __name__ == "__main__":
    _timed(sys.argv[1])
