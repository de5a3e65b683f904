"""What every test may lean on: a state directory of its own, real servers, and one real recording."""

# ruff: noqa: E402 - the package reads its environment when it is imported, so that is set first
from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

hypothesis.settings.register_profile("shared cores", deadline=None)  # they are busy
hypothesis.settings.load_profile("shared cores")

from seeded import AWS_SECRET_KEY, seeded

# Before the package is imported, which reads it: no test touches the checkout's own runs and clusters.
os.environ["AMPLY_SHARE_CORES"] = "1"  # tests run beside each other: each would want the same core
os.environ["AMPLY_STATE_DIR"] = str(Path(tempfile.mkdtemp(prefix="amply-tests-")).resolve())
for _secret in ("AMPLY_REDIS_PASSWORD", "AMPLY_REDIS_USERNAME", "AMPLY_CA_BUNDLE",
                "AMPLY_REDIS_PASSWORD_FILE", "AMPLY_REDIS_SECRET_ARN", "AMPLY_REDIS_IAM_CACHE"):
    os.environ.pop(_secret, None)
# Keys of AWS that are none, for whatever a test does: at the end all that was left is searched for them.
os.environ |= {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": AWS_SECRET_KEY,
               "AWS_SESSION_TOKEN": seeded("session")}

import redis
from locust_process import run_locust, shared_directory
from secret_search import pytest_sessionfinish, pytest_terminal_summary, pytest_testnodedown  # noqa: F401

from amply_capacity.model.cpu_samples import cpu_samples
from amply_capacity.run.reader import read_run
from amply_capacity.target import cluster as clusters
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.endpoint import connect
from amply_capacity.target.process import free_port
from amply_capacity.target.program import find_server


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Name the group of a test in its id, by which pytest-xdist keeps groups together.

    pytest-xdist 3.8 does so itself, in an attribute that pytest 9.2 does not read any more.
    """
    for item in items if getattr(config.option, "loadgroup", False) else ():
        group = "_".join(sorted({str(mark.args[0]) for mark in item.iter_markers("xdist_group")}))
        if group and not item.nodeid.endswith(f"@{group}"):
            item._id = type(item.id).parse(f"{item.nodeid}@{group}")


def pytest_unconfigure() -> None:
    for left in clusters.all_clusters():
        clusters.stop(left)
    shutil.rmtree(os.environ["AMPLY_STATE_DIR"], ignore_errors=True)


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[Cluster]:
    """A running local cluster, one per test process; `redis_client` empties it."""
    with clusters.throw_away(maxmemory_bytes=256 * 1024**2) as cluster:
        yield cluster


@pytest.fixture
def redis_client(redis_cluster: Cluster) -> Iterator[Any]:
    """A client of the cluster, emptied and with the configuration it was started with."""
    with connect(redis_cluster.endpoint) as client:
        client.flushall()
        client.config_set("maxmemory-policy", "volatile-lru")
        client.config_set("maxmemory", redis_cluster.maxmemory_bytes)
        client.config_resetstat()
        yield client


@pytest.fixture
def plain_redis(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Starts redis-servers that are none of ours, with the options given; returns the port."""
    program = find_server().path
    with contextlib.ExitStack() as started:

        def start(*options: str, password: str | None = None) -> int:
            port = free_port()
            directory = tmp_path / f"redis-{port}"
            directory.mkdir()
            command = [
                str(program),
                "--port",
                str(port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
                str(directory),
            ]
            server = started.enter_context(
                subprocess.Popen(
                    [*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )
            started.callback(server.kill)
            deadline = time.monotonic() + 20.0
            with redis.Redis(port=port) as client:
                while True:
                    try:
                        client.ping()
                        break
                    except redis.ConnectionError:
                        assert time.monotonic() < deadline, "the server did not come up"
                        time.sleep(0.02)
                if password:  # not as an option: everybody may see those
                    client.config_set("requirepass", password)
            return port

        yield start


_RECORDINGS = 5


@pytest.fixture(scope="session")
def recorded_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a real recording of mixed.py, 6 s long, one for all test processes: only read it."""
    with shared_directory(tmp_path_factory, "recorded-run") as shared:
        directory = shared / "run"
        if not directory.exists():
            # The pause leaves a core to the server, on a machine that has two.
            options = ("-u", "10", "-r", "10", "-t", "6s", "--population", "300", "--think-time-ms", "5")
            for left in reversed(range(_RECORDINGS)):
                code, words = run_locust("mixed", *options, "--run-dir", str(directory), log=shared / "log")
                assert code in {0, 1}, words  # 1: an operation failed, as two at once on one session may
                if not left or cpu_samples(read_run(directory)):
                    break
                shutil.rmtree(directory)  # other tests had the server's core, so its CPU is not told
    return directory
