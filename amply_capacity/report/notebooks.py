"""The notebooks: what their cells call, running them without a screen, and opening them in JupyterLab."""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from amply_capacity.catalog import prices
from amply_capacity.catalog.nodes import node_type
from amply_capacity.disk import on_disk, replacing
from amply_capacity.errors import AmplyError, BadInput, BadRun
from amply_capacity.files import DATA_DIR, LEDGER_DIR, NOTEBOOKS_DIR, OWN_LEDGER_DIR
from amply_capacity.model.digest import digest
from amply_capacity.model.ledger import Entry, read_ledgers
from amply_capacity.plan.calibrations import read_calibrations
from amply_capacity.plan.demand import Demand, load_demand
from amply_capacity.plan.measured import measured
from amply_capacity.plan.needs import needs
from amply_capacity.plan.workload import workload
from amply_capacity.plan.worlds import Worlds
from amply_capacity.report import throughput_figure
from amply_capacity.report.credits_figure import credit_week
from amply_capacity.report.document import conclusion, plan_of
from amply_capacity.report.hit_rate_figure import hit_rate_of
from amply_capacity.report.ledger_figure import track_record_text
from amply_capacity.report.look import Picture
from amply_capacity.report.production_tables import NoPlan, summary_markdown
from amply_capacity.report.throughput import ThroughputQuestion, throughput_of
from amply_capacity.report.what_if import STATIC_VARIABLE, WhatIf
from amply_capacity.run.reader import Run, newest_or_example, read_run

__all__ = ["RUN_VARIABLE", "Session", "Text", "TrackRecord", "execute", "notebooks", "open_lab",
           "open_ledger", "open_session"]

RUN_VARIABLE = "AMPLY_RUN"
DEMAND_VARIABLE = "AMPLY_DEMAND"
_CELL_SECONDS = 120
_AT_ONCE = 2
_STARTS = 3
"""Of a kernel: Jupyter picks its ports before the kernel binds them, and another program may be quicker
(github.com/jupyter/jupyter_client/issues/154)."""
_WORLDS = 2_000
_SIZES = ("micro", "small", "medium", "large", "xlarge")
_BURSTABLE = ("cache.t3.micro", "cache.t4g.micro", "cache.t3.small", "cache.t4g.small", "cache.t3.medium",
              "cache.t4g.medium")


@dataclass(frozen=True)
class Session:
    """What a notebook works on: a run, a demand file, and the plan that follows from them."""

    run: Run
    demand: Path
    plan: dict[str, Any]

    def _repr_markdown_(self) -> str:
        if self.run.is_production:
            return summary_markdown(self.run)
        return (f"**{conclusion(self.plan)}**\n\nRun `{self.run.name}`, demand `{self.demand.name}`."
                f"{self._banner()}")

    @property
    def run_summary(self) -> Text:
        """What the run was, in a sentence."""
        if self.run.is_production:
            return Text(summary_markdown(self.run))
        manifest, evidence = self.run.manifest, digest(self.run)
        done = sum(latency.operations for latency in evidence.latency.values())
        hit = "" if evidence.hit_rate is None else (
            f" {100 * evidence.hit_rate:.1f} % of the cached reads were hits.")
        return Text(
            f"**{done:,} operations in {evidence.seconds:.0f} s ({manifest['arrivals']} arrivals) on "
            f"{evidence.server}; the run is {self.run.verdict}.{hit}**\n\n"
            f"Run `{self.run.name}`, seed {manifest['seed']}.{self._banner()}")

    def hit_rates(self, month: int = 0) -> Picture | Text:
        """The peak hour's hit rate and evictions at every node type's memory, so many months from today.

        A sentence, where the run does not show every class of keys.
        """
        try:
            return hit_rate_of(self.run, self.demand, month)
        except BadRun as error:
            return _not_drawn(error)

    @cached_property
    def throughput(self) -> dict[str, Any]:
        """The answer of `predict throughput` at the demand's objectives, for the node types of a meeting.

        Raises BadRun for a run that cannot answer.
        """
        demand = load_demand(self.demand)
        with contextlib.redirect_stderr(io.StringIO()):  # its progress is no result of a cell
            return throughput_of([str(self.run.directory)],
                                 ThroughputQuestion(None, self.demand, _of_a_meeting(demand)))

    def load_curve(self) -> Picture | Text:
        """Response times against load, as predicted from the run."""
        return self._of_throughput(throughput_figure.load_curve)

    def throughput_notes(self) -> Picture | Text:
        """What the throughput's answer says of its own weakness."""
        return self._of_throughput(lambda answer: Text("\n\n".join(
            f"> **Read with care:** {note}" for note in answer["notes"]) or "Nothing weakens this answer."))

    def command_cost(self) -> Picture | Text:
        """CPU of each command."""
        return self._of_throughput(throughput_figure.command_cost)

    def binding(self) -> Picture | Text:
        """Which limit binds which node type, month by month."""
        return self._of_throughput(lambda answer: throughput_figure.binding(answer, self._today))

    def what_if(self) -> WhatIf:
        """Sliders over the demand, and the decision that follows."""
        return WhatIf([digest(self.run)], load_demand(self.demand), date.fromisoformat(self.plan["start"]),
                      read_calibrations())

    def silent_throttling(self) -> Picture | Text:
        """From which load on today's node type is throttled though no alarm fires."""
        return self._of_throughput(
            lambda answer: Text(throughput_figure.silent_throttling(answer, self._today)))

    def credit_week(self, month: int | None = None) -> Picture | Text:
        """CPU credits over a week so many months from today, the plan's last month without.

        In the world of which 5 % have more load; on the slower of T3 and T4g.
        """
        demand = load_demand(self.demand)
        worlds, start = Worlds(_WORLDS, correlated=demand.correlated), date.fromisoformat(self.plan["start"])
        try:
            need = needs(demand, measured([digest(self.run)]), workload(demand, worlds, start), worlds,
                         read_calibrations())
        except BadRun as error:
            return _not_drawn(error)
        nodes = [node_type(name) for name in _BURSTABLE]
        host = need.host_cores("cpu_credits")[:, -1 if month is None else month]
        cores = max(float(np.quantile(host * need.cpu_factor[node.family], 0.95)) for node in nodes)
        return credit_week(nodes, cores, float(np.median(need.day_peak_to_mean)),
                           float(np.median(need.weekend_to_weekday)))

    @property
    def _today(self) -> str:
        return str(self.plan["demand"]["cluster"]["node_type"])

    def _of_throughput(self, show: Callable[[dict[str, Any]], Picture | Text]) -> Picture | Text:
        try:
            return show(self.throughput)
        except (BadRun, BadInput) as error:
            return _not_drawn(error)

    def _banner(self) -> str:
        warnings = [warning for one in self.plan["evidence"] for warning in one["warnings"]]
        return "".join(f"\n\n> **Read with care:** {warning}" for warning in warnings)


@dataclass(frozen=True, slots=True)
class Text:
    """Markdown that Jupyter shows as such."""

    markdown: str

    def _repr_markdown_(self) -> str:
        return self.markdown


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """What was predicted and measured so far."""

    entries: Sequence[Entry]

    def _repr_markdown_(self) -> str:
        return f"**{track_record_text(self.entries)}**"


def open_ledger() -> TrackRecord:
    """The toolkit's own ledger and this checkout's. Raises BadInput for one that cannot be read."""
    return TrackRecord(read_ledgers(LEDGER_DIR, OWN_LEDGER_DIR))


def open_session(run: str | Path | None = None, demand: str | Path | None = None) -> Session:
    """The session of a run and a demand file.

    Without them, of $AMPLY_RUN and $AMPLY_DEMAND, else of the newest run (or the example that ships) and the
    example demand. Raises BadRun and BadDemand.
    """
    chosen = run or os.environ.get(RUN_VARIABLE)
    recorded = read_run(chosen) if chosen else newest_or_example()
    path = Path(demand or os.environ.get(DEMAND_VARIABLE) or DATA_DIR / "demand.example.toml")
    if recorded.is_production:
        return Session(recorded, path, NoPlan(recorded))
    return Session(recorded, path, plan_of([recorded.directory], path).as_json())


def _not_drawn(error: AmplyError) -> Text:
    return Text(f"> **Not drawn:** {error}")


def _of_a_meeting(demand: Demand) -> tuple[str, ...]:
    """Of each class (t, m, r, …) and size up to xlarge the cheapest, and today's type; cheapest first."""
    cluster = demand.cluster
    cheapest: dict[tuple[str, str], str] = {}
    names = [offer.node_type for offer in prices.offered(cluster.region, cluster.engine)]
    for name in names:
        _, family, size = name.split(".")
        if size in _SIZES and demand.allowed.allows(name):
            cheapest.setdefault((family[0], size), name)
    chosen = {cluster.node_type, *cheapest.values()}
    return (*(name for name in names if name in chosen), *(chosen - set(names)))


def notebooks() -> list[Path]:
    """The toolkit's notebooks, in their order."""
    return sorted(NOTEBOOKS_DIR.glob("[0-9][0-9]_*.ipynb"))


def execute(paths: Sequence[Path], out: Path, run: Path, demand: Path) -> list[Path]:
    """Run notebooks top to bottom in fresh kernels and save the executed copies under `out`; their paths.

    Raises AmplyError naming the notebook and its cell's own error, BadInput where `out` cannot be written and
    DiskFull; the sources are never written to.
    """
    import asyncio

    with on_disk(out):
        out.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {RUN_VARIABLE: str(run.resolve()), DEMAND_VARIABLE: str(demand.resolve()),
                                STATIC_VARIABLE: "1"}

    async def execute_all() -> list[Path]:
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def one(path: Path) -> Path:
            async with at_once:
                return await _execute_one(path, out / path.name, environment)

        return list(await asyncio.gather(*(one(path) for path in paths)))

    return asyncio.run(execute_all())


async def _execute_one(path: Path, target: Path, environment: Mapping[str, str]) -> Path:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    try:
        notebook = nbformat.read(path, as_version=4)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path.name} is no notebook", got=str(error).strip()[:300],
                       do="restore the file") from error

    async def executed(starts: int) -> None:
        client = NotebookClient(notebook, timeout=_CELL_SECONDS, kernel_name="python3",
                                extra_arguments=["--log-level=ERROR"],
                                resources={"metadata": {"path": str(path.parent)}})
        try:
            await client.async_execute(env=environment)
        except DeadKernelError:
            raise
        except RuntimeError:  # it did not start
            atexit.unregister(client._cleanup_kernel)  # nbclient leaves it, to fail at exit
            if starts == 1:
                raise
            await executed(starts - 1)

    try:
        await executed(_STARTS)
    except CellExecutionError as error:
        raise AmplyError(f"the notebook {path.name} failed", got=f"{error.ename}: {error.evalue}"[:300],
                         do="correct what it names, or run it in JupyterLab to see the cell") from error
    except (CellTimeoutError, RuntimeError) as error:  # DeadKernelError is one
        raise AmplyError(f"the notebook {path.name} was not executed", got=str(error).strip()[:300],
                         do="free memory and CPU, or run it in JupyterLab to see the cell") from error
    with on_disk(target), replacing(target) as partial:
        nbformat.write(notebook, partial)
    return target


def open_lab(run: str | None) -> int:
    """JupyterLab on the notebooks, with a run chosen; its exit code. Raises BadRun for no recording."""
    if not notebooks():
        raise BadInput("there are no notebooks", got=str(NOTEBOOKS_DIR),
                       do="run this from a checkout of amply-capacity")
    environment = dict(os.environ)
    if run:
        chosen = read_run(run)
        chosen.need_load()
        environment[RUN_VARIABLE] = str(chosen.directory.resolve())
    command = [sys.executable, "-m", "jupyterlab", f"--notebook-dir={NOTEBOOKS_DIR}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # JupyterLab asks root for it; it listens on loopback, with a token
    command.append(str(notebooks()[0]))
    return subprocess.run(command, env=environment, check=False).returncode
