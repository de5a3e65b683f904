"""Real Locust processes: which servers are loaded, which are refused, and what is left on them."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
import redis
from locust_process import (
    cluster_directories,
    operation_counts,
    run_locust,
    servers_of_ours,
    start_locust,
    wait_until,
)
from seeded import seeded

from amply_capacity.files import ROOT
from amply_capacity.run.reader import read_run
from amply_capacity.target import cluster as clusters
from amply_capacity.target import guard
from amply_capacity.target.endpoint import connect
from amply_capacity.target.process import free_port

# Beside tests that compute, and not one after another at the end: a load waits more than it works.
pytestmark = pytest.mark.xdist_group("loads")

SESAME = seeded("sesame")
_SHORT = ("-u", "4", "-r", "4", "-t", "2s", "--population", "60", "--think-time-ms", "1")


def _refused(*options: str, directory: Path, scenario: str = "cache", **environment: str) -> str:
    """The one paragraph with which Locust ended at once, having left nothing."""
    servers, directories = servers_of_ours(), cluster_directories()
    code, words = run_locust(
        scenario, *_SHORT, "--run-dir", str(directory / "run"), *options, log=directory / "log", **environment
    )
    assert code == 2, words
    assert "Traceback" not in words
    (paragraph,) = [line for line in words.splitlines() if line.startswith("locust: ")]
    assert " Got: " in paragraph
    assert " Do: " in paragraph
    assert not (directory / "run").exists()
    assert servers_of_ours() == servers
    assert cluster_directories() == directories
    return paragraph


def test_where_nothing_answers_nothing_is_recorded(tmp_path: Path) -> None:
    assert "nothing answers at" in _refused(
        "--target", f"redis://127.0.0.1:{free_port()}", directory=tmp_path
    )


def test_what_is_no_redis_is_not_loaded(tmp_path: Path) -> None:
    class Quiet(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            url = f"redis://127.0.0.1:{server.server_address[1]}"
            assert "not as a Redis server" in _refused("--target", url, directory=tmp_path)
        finally:
            server.shutdown()
            thread.join()


def test_a_wrong_password_ends_it(plain_redis: Callable[..., int], tmp_path: Path) -> None:
    url = f"redis://127.0.0.1:{plain_redis(password=seeded('theirs'))}"
    paragraph = _refused("--target", url, directory=tmp_path, AMPLY_REDIS_PASSWORD=SESAME)
    assert "does not accept the password" in paragraph
    assert SESAME not in (tmp_path / "log").read_text()


def test_bad_options_are_told_all_at_once(tmp_path: Path) -> None:
    paragraph = _refused(
        "--rate",
        "5",
        "--prefill",
        "7",
        "--maxmemory",
        "much",
        "--node-type",
        "cache.t3.mikro",
        directory=tmp_path,
    )
    for fault in ("--rate needs", "--prefill 7", "--maxmemory", "cache.t3.micro"):
        assert fault in paragraph


def test_without_a_server_program_there_is_nothing_to_load(tmp_path: Path) -> None:
    assert "/nowhere" in _refused(directory=tmp_path, AMPLY_REDIS_SERVER="/nowhere")


def test_a_folder_that_holds_something_is_not_recorded_into(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("mine")
    assert "not empty" in _refused("--run-dir", str(tmp_path / "mine"), directory=tmp_path)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes"]


def test_an_unmarked_server_is_refused_and_left_as_it_was(
    plain_redis: Callable[..., int], tmp_path: Path
) -> None:
    port = plain_redis()
    with redis.Redis(port=port, decode_responses=True) as client:
        client.set("theirs", "1")
        paragraph = _refused("--target", f"redis://127.0.0.1:{port}", directory=tmp_path)
        assert "not marked as a test target" in paragraph
        assert client.keys() == ["theirs"]


def test_a_marked_server_is_loaded_and_left_with_its_mark_alone(
    plain_redis: Callable[..., int], tmp_path: Path
) -> None:
    """With a password from the environment, which shows nowhere."""
    port = plain_redis(password=SESAME)
    url = f"redis://127.0.0.1:{port}"
    with redis.Redis(port=port, password=SESAME, decode_responses=True) as client:
        mark = {"owner": "you@example.com", "until": (date.today() + timedelta(days=1)).isoformat()}
        client.set(guard.MARK_KEY, json.dumps(mark))
        code, words = run_locust(
            "cache",
            *_SHORT,
            "--target",
            url,
            "--run-dir",
            str(tmp_path / "run"),
            log=tmp_path / "log",
            AMPLY_REDIS_PASSWORD=SESAME,
        )
        assert code == 0, words
        assert client.keys() == [guard.MARK_KEY]
        assert json.loads(client.get(guard.MARK_KEY)) == mark
    run = read_run(tmp_path / "run")
    assert operation_counts(run.requests)["cached_read"] > 0
    assert run.manifest["target"] == {
        "url": f"{url}/0",
        "kind": "endpoint",
        "topology": "single",
        "tls": False,
        "multi_key": "spec",
        "node_type": None,
        "reserved_memory_percent": None,
    }
    # A host that nobody can ask is not guessed at.
    assert run.server["FreeableMemory"].isna().all()
    assert run.manifest["emulated"] == []
    assert SESAME not in words
    for path in (tmp_path / "run").iterdir():
        assert SESAME.encode() not in path.read_bytes()


def test_a_server_that_goes_away_before_the_load_is_explained(
    plain_redis: Callable[..., int], tmp_path: Path
) -> None:
    port = plain_redis()
    with redis.Redis(port=port) as client:
        client.set(guard.MARK_KEY, json.dumps({"until": (date.today() + timedelta(days=1)).isoformat()}))
        with start_locust(
            "mixed",
            "-u",
            "1",
            "-t",
            "3s",
            "--population",
            "20000",
            "--run-dir",
            str(tmp_path / "run"),
            "--target",
            f"redis://127.0.0.1:{port}",
            log=tmp_path / "log",
        ) as process:
            try:
                wait_until(lambda: client.dbsize() > 1000 or process.poll() is not None, "the pre-fill")
                client.shutdown(nosave=True)
                code = process.wait(60)
            finally:
                process.kill()
    words = (tmp_path / "log").read_text()
    assert code == 2, words
    assert "Traceback" not in words
    assert "locust: redis://127.0.0.1" in words
    assert not (tmp_path / "run").exists()


def test_a_named_cluster_with_a_password_is_used_and_its_password_shows_nowhere(tmp_path: Path) -> None:
    """By two processes. Another run's keys must not be counted as this one's, and foreign keys stay."""
    cluster = clusters.start("vault", maxmemory_bytes=2**27, with_password=True, stays=True)
    try:
        password = cluster.endpoint.password
        assert password
        with connect(cluster.endpoint) as client:
            client.mset({"theirs": "1", **{f"user_sessions:usr_~{number:07x}": "1" for number in range(500)}})
        with start_locust(
            "cache",
            *_SHORT,
            "--processes",
            "2",
            "--target",
            "vault",
            "--csv",
            str(tmp_path / "csv"),
            "--run-dir",
            str(tmp_path / "run"),
            log=tmp_path / "log",
        ) as process:
            try:
                wait_until(
                    lambda: "spawned" in (tmp_path / "log").read_text() or process.poll() is not None, "load"
                )
                for command in Path("/proc").glob("[0-9]*/cmdline"):
                    try:
                        assert password.encode() not in command.read_bytes()
                    except OSError:
                        continue
                code = process.wait(60)
            finally:
                process.kill()
        assert code == 0, (tmp_path / "log").read_text()
        assert cluster.is_alive
        run = read_run(tmp_path / "run")
        assert operation_counts(run.requests)["cached_read"] > 0
        assert run.manifest["target"]["kind"] == "local cluster"
        filled = {one["name"]: one["keys"] for one in run.manifest["prefill"]["classes"]}
        assert filled["user_sessions"] == 60
        with connect(cluster.endpoint) as client:
            assert client.get("theirs") == "1"
            assert not client.exists(f"user_sessions:usr_~{499:07x}")
        for path in [*tmp_path.glob("*"), *(tmp_path / "run").iterdir()]:
            assert path.is_dir() or password.encode() not in path.read_bytes()
    finally:
        clusters.stop(cluster)


def test_a_schedule_without_a_number_of_users_is_refused_in_the_web_page(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "locust",
            "-f",
            str(ROOT / "loadtests" / "cache.py"),
            "--arrivals",
            "poisson",
            "--rate",
            "5",
            "--web-port",
            str(free_port()),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "give -u" in done.stderr
