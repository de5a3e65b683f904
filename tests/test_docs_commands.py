"""Every command of the documentation does what its page says: the pages are followed, line by line.

A line that begins with `$` in a `console` block is a command. A host that only the reader has is a server on
loopback here, AWS' price list a local server, and load tests are short, of few users. Only parsed is what a
person has to be there for (JupyterLab) and what needs a second machine; of `make` the target is looked up.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_words import parse, parse_locust
from docs_reference import DOCS
from price_pages import PriceServer, listed_items, page, set_environment

from amply_capacity.catalog.files import CATALOG_DIR
from amply_capacity.catalog.price_table import read_price_table
from amply_capacity.cli import main
from amply_capacity.errors import BadInput
from amply_capacity.files import EXAMPLE_RUN, ROOT
from amply_capacity.model.cpu_samples import cpu_samples
from amply_capacity.plan import calibrations
from amply_capacity.run import reader
from amply_capacity.run.reader import read_run
from amply_capacity.target import cluster as clusters
from amply_capacity.target.program import find_server

PATIENCE_SECONDS = 240.0
SHORTEST, FEW_USERS = "6s", "2000"
REGION = "eu-west-1"
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(file: Path) -> list[str]:
    """The commands of a page, in order."""
    blocks: list[str] = BLOCK.findall(file.read_text())
    lines = [line for block in blocks for line in block.splitlines()]
    assert all(line.startswith("$ ") for line in lines), "a command stands on one line, behind a $"
    return [line.removeprefix("$ ") for line in lines]


PAGES = [path for path in sorted(DOCS.rglob("*.md")) if "```console" in path.read_text()]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What looks like a checkout to a reader of the pages; clusters that they leave are stopped."""
    for name in ("data", "loadtests"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(calibrations, "CALIBRATIONS_DIR", tmp_path / "calibrations")
    monkeypatch.setattr(reader, "RUNS_DIR", tmp_path / "runs")
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    before = {one.name for one in clusters.all_clusters()}
    yield tmp_path
    for one in clusters.all_clusters():
        if one.name not in before and one.name in {"tutorial", "secure"}:
            clusters.stop(one)


@pytest.fixture
def price_list(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AWS' price list of a region, with the prices that ship."""
    rows = read_price_table(CATALOG_DIR).rows
    with PriceServer([page(listed_items(rows, REGION))]) as server:
        set_environment(monkeypatch, server.url)
        yield


def run_amply(words: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
              into: Path | None) -> int:
    monkeypatch.setattr(sys, "argv", ["amply-capacity", *words])
    capfd.readouterr()
    code: Any = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code or 0
    out, err = capfd.readouterr()
    assert code == 0 or (words[:2] == ["prices", "refresh"] and code == 1), err  # nobody can be asked
    assert out.strip(), "it says something"
    if into:
        into.write_text(out)
    return int(code)


def run_locust(words: list[str]) -> bool:
    """A load test, for some seconds; whether it tells what a command costs.

    Where others had the server's core it does not, and the example's recording stands in for it.
    """
    if "--population" not in words:
        words = [*words, "--population", FEW_USERS]
    if "--run-dir" not in words:
        words = [*words, "--run-dir", str(reader.RUNS_DIR / "20300303T000000Z-mixed-d0d0d0")]
    words = [SHORTEST if before == "-t" else word for before, word in zip(["", *words], words, strict=False)]
    done = subprocess.run([sys.executable, "-m", "locust", *words, "--only-summary", "--skip-log"],
                          capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode in {0, 1}, done.stderr[-2000:]  # 1: an operation failed, as two at once may
    directory = Path(words[words.index("--run-dir") + 1])
    run = read_run(directory)
    try:
        is_telling = run.verdict == "complete" and bool(cpu_samples(run))
    except BadInput:
        is_telling = False
    if not is_telling:
        shutil.rmtree(directory)
        shutil.copytree(EXAMPLE_RUN, directory)
    return is_telling


def test_the_pages_have_commands() -> None:
    assert {path.stem for path in PAGES} >= {"tutorial", "own-elasticache", "tls-and-tokens", "many-hosts",
                                             "import-a-trace", "refresh-prices", "read-the-ledger"}


@pytest.mark.parametrize("file", PAGES, ids=lambda path: path.stem)
def test_a_page_can_be_followed_line_by_line(
        file: Path, checkout: Path, price_list: None, plain_redis: Callable[..., int],
        capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = commands(file)
    if any("--tls" in line for line in lines):
        try:
            find_server().require_tls()
        except BadInput as error:
            pytest.skip(error.what)
    if any("test.internal" in line for line in lines):
        port = plain_redis()
        lines = [line.replace("test.internal:6379", f"127.0.0.1:{port}") for line in lines]
    are_telling = True
    for line in lines:
        command, _, into = line.partition(" > ") if line.startswith("amply-capacity") else (line, "", "")
        program, *words = shlex.split(command)
        if program == "make":
            assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        elif program == "locust" and {"--master", "--worker"} & set(words):
            assert parse_locust([words]) == ""
        elif program == "locust":
            are_telling &= run_locust(words)
        elif program == "amply-capacity" and (words[0] == "meeting" or (
                words[0] == "calibrate" and not are_telling)):  # the example is no run of this host
            parse(words)
        elif program == "amply-capacity":
            run_amply(words, capfd, monkeypatch, Path(into) if into else None)
        else:
            assert program in {"cp", "printf", "python"}, line
            subprocess.run(["bash", "-c", line], check=True, timeout=PATIENCE_SECONDS, capture_output=True)
