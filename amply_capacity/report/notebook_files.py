"""The notebooks as files: running them without a screen, and opening them in JupyterLab."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from amply_capacity.disk import on_disk, replacing
from amply_capacity.errors import AmplyError, BadInput
from amply_capacity.files import NOTEBOOKS_DIR
from amply_capacity.report.what_if import STATIC_VARIABLE
from amply_capacity.run.reader import read_run

__all__ = ["DEMAND_VARIABLE", "DRILLS_VARIABLE", "RUN_VARIABLE", "execute", "lab_environment", "lab_options",
           "notebooks", "open_lab"]

RUN_VARIABLE = "AMPLY_RUN"
DEMAND_VARIABLE = "AMPLY_DEMAND"
DRILLS_VARIABLE = "AMPLY_DRILLS"
"""Directories, as PATH has them: to be preferred to the newest ones."""
_LAB_CONFIG = Path(__file__).with_name("jupyter")
_CELL_SECONDS = 120
_AT_ONCE = 2
_STARTS = 3
"""Of a kernel: Jupyter picks its ports before the kernel binds them, and another program may be quicker
(github.com/jupyter/jupyter_client/issues/154)."""


def notebooks() -> list[Path]:
    """The toolkit's notebooks, in their order."""
    return sorted(NOTEBOOKS_DIR.glob("[0-9][0-9]_*.ipynb"))


def execute(paths: Sequence[Path], out: Path, run: Path, demand: Path,
            drills: Sequence[Path] = ()) -> list[Path]:
    """Run notebooks top to bottom in fresh kernels and save the executed copies under `out`; their paths.

    Raises AmplyError naming the notebook and its cell's own error, BadInput where `out` cannot be written and
    DiskFull; the sources are never written to.
    """
    import asyncio

    with on_disk(out):
        out.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {RUN_VARIABLE: str(run.resolve()), DEMAND_VARIABLE: str(demand.resolve()),
                                DRILLS_VARIABLE: os.pathsep.join(str(drill.resolve()) for drill in drills),
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
    from nbformat.sign import NotebookNotary

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
    # As Jupyter does with what it has executed itself: of any other it shows no figure.
    NotebookNotary().sign(notebook)
    return target


def open_lab(run: str | None) -> int:
    """JupyterLab on the notebooks, with a run chosen; its exit code. Raises BadRun for no recording."""
    if not notebooks():
        raise BadInput("there are no notebooks", got=str(NOTEBOOKS_DIR),
                       do="run this from a checkout of amply-capacity")
    environment = lab_environment()
    if run:
        chosen = read_run(run)
        chosen.need_load()
        environment[RUN_VARIABLE] = str(chosen.directory.resolve())
    command = [sys.executable, "-m", "jupyterlab", *lab_options(NOTEBOOKS_DIR), str(notebooks()[0])]
    return subprocess.run(command, env=environment, check=False).returncode


def lab_options(directory: Path) -> list[str]:
    """How JupyterLab is started on a folder of notebooks."""
    options = [f"--notebook-dir={directory}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")  # JupyterLab asks root for it; it listens on loopback, with a token
    return options


def lab_environment() -> dict[str, str]:
    """With our settings of JupyterLab before its own: no meeting is asked if it wants Jupyter's news."""
    paths = [str(_LAB_CONFIG), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    return os.environ | {"JUPYTER_CONFIG_PATH": os.pathsep.join(paths)}
