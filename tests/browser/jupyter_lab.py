"""JupyterLab on a copy of the notebooks, and what a person does in it."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cheaper import cheap_kernels

from amply_capacity.files import EXAMPLE_RUN, NOTEBOOKS_DIR
from amply_capacity.report.notebook_files import RUN_VARIABLE, lab_environment, lab_options
from amply_capacity.target.process import free_port

PATIENCE_SECONDS = 240.0

_HAS_RUN = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    const code = Array.from(panel.content.model.cells).filter(cell => cell.type === 'code');
    return code.length && code.every(cell => cell.executionCount !== null)
        && panel.sessionContext.session?.kernel?.status === 'idle';
}"""
_OUTPUTS = """() => Array.from(window.jupyterapp.shell.currentWidget.content.model.cells)
    .filter(cell => cell.type === 'code')
    .map(cell => ({source: cell.sharedModel.getSource(), outputs: cell.outputs.toJSON()}))"""


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab and the folder that it shows."""

    url: str
    token: str
    notebooks: Path

    def show(self, page: Any) -> None:
        """JupyterLab itself, with nothing open."""
        page.goto(f"{self.url}/lab?token={self.token}&reset")
        page.wait_for_function("() => window.jupyterapp?.commands.hasCommand('docmanager:open')")
        page.evaluate("async () => { await window.jupyterapp.restored }")

    def open(self, page: Any, name: str) -> None:
        """A notebook, with its kernel ready."""
        page.evaluate("""async path => {
            const panel = await window.jupyterapp.commands.execute('docmanager:open', {path});
            window.jupyterapp.shell.activateById(panel.id);
        }""", name)
        self.wait_for(page, name)

    def wait_for(self, page: Any, name: str) -> None:
        """Until that notebook is in front, and its kernel is ready."""
        page.wait_for_function("""path => {
            const panel = window.jupyterapp.shell.currentWidget;
            return panel?.context?.path === path && panel.sessionContext.session?.kernel?.status === 'idle';
        }""", arg=name)

    def run_all(self, page: Any) -> list[dict[str, Any]]:
        """Run all cells; of each code cell its source and outputs."""
        page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")
        page.wait_for_function(_HAS_RUN, polling=250)
        found: list[dict[str, Any]] = page.evaluate(_OUTPUTS)
        return found

    def close(self, page: Any) -> None:
        """End the kernel of the notebook in front, and leave it unsaved."""
        page.evaluate("""async () => {
            const panel = window.jupyterapp.shell.currentWidget;
            await panel.sessionContext.shutdown();
            panel.dispose();
        }""")


@contextlib.contextmanager
def jupyter_lab(directory: Path, run: Path = EXAMPLE_RUN, *, is_cheap: bool = True) -> Iterator[Lab]:
    """A JupyterLab on a free loopback port, with none of this user's settings, ended at the end."""
    notebooks = directory / "notebooks"
    shutil.copytree(NOTEBOOKS_DIR, notebooks, ignore=shutil.ignore_patterns(".*"))
    kernels = cheap_kernels(directory / "ipython") if is_cheap else {"IPYTHONDIR": str(directory / "ipython")}
    port, token = free_port(), secrets.token_hex(16)
    environment = lab_environment() | {
        RUN_VARIABLE: str(run), **kernels,
        **{f"JUPYTER_{name}_DIR": str(directory / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")},
        "JUPYTERLAB_SETTINGS_DIR": str(directory / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(directory / "workspaces"), "JUPYTER_PREFER_ENV_PATH": "1"}
    environment.pop("AMPLY_STATIC_NOTEBOOKS", None)
    command = [sys.executable, "-m", "jupyterlab", *lab_options(notebooks), "--no-browser",
               "--expose-app-in-browser", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
               "--ServerApp.ip=127.0.0.1", f"--IdentityProvider.token={token}"]
    with (directory / "jupyter.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=subprocess.STDOUT, cwd=directory)
    lab = Lab(f"http://127.0.0.1:{port}", token, notebooks)
    try:
        _wait_for(lab, process, directory / "jupyter.log")
        yield lab
    finally:
        process.terminate()
        try:
            process.wait(20.0)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_for(lab: Lab, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{lab.url}/api/status?token={lab.token}", timeout=5.0) as answer:
                json.load(answer)
                return
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, "JupyterLab did not answer"
            time.sleep(0.2)
