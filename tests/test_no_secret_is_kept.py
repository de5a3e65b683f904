"""No secret is kept or shown: a whole day's work with seeded secrets, and then a search through all of it.

The day: an encrypted cluster with passwords, a load test whose password AWS keeps, an import of production,
the report in every format, a notebook, the exports, and what goes wrong on the way. What the environment of a
process holds is its owner's: it is the one place that is not searched. At the end of the whole suite
`conftest.py` searches what every other test left.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis
import typst
from aws_here import REGION, point_at
from locust_process import seconds_recorded, start_locust, wait_until
from seeded import AWS_SECRET_KEY, MARK, keep, leaks, seeded, traces

from amply_capacity.cli import main
from amply_capacity.errors import AuthRequired
from amply_capacity.files import CLUSTERS_DIR, DATA_DIR, EXAMPLE_RUN, RUNS_DIR
from amply_capacity.report.document import document_of
from amply_capacity.report.files import FORMATS, write_formats
from amply_capacity.report.notebook_files import execute, notebooks
from amply_capacity.run.reader import read_run
from amply_capacity.target import cluster as clusters
from amply_capacity.target.certificates import CertificateFiles, make_certificates
from amply_capacity.target.endpoint import Endpoint, connect
from amply_capacity.target.process import free_port
from amply_capacity.target.program import find_server
from amply_capacity.target.secret import FileSecret
from bench.aws_server import AwsServer, Fault, Region, cluster

# One process: the day is gone through once, for several tests.
pytestmark = pytest.mark.xdist_group("secrets")

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:amply/redis-AbCdEf"
DEMAND = DATA_DIR / "demand.example.toml"
OWNERS = seeded("owners")
STORED, SPOKEN, FILED, WRONG, SESSION = (
    seeded(f"{name}/+%&= ü") for name in ("stored", "spoken", "filed", "wrong", "session"))
"""With signs that JSON, URLs and shells have to escape."""


@dataclass
class Processes:
    """Every command line that was seen on this machine."""

    lines: set[bytes] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as line:
                self.lines.add(line.read())

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Within: they are looked at several times a second."""
        def watch() -> None:
            while not self._over.wait(0.25):
                self.look()

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            self._over.set()
            watcher.join()


@dataclass
class Day:
    """What the whole left behind."""

    directory: Path
    """Of all that was written, but for this checkout's state."""
    processes: Processes = field(default_factory=Processes)
    codes: dict[str, list[int]] = field(default_factory=dict)
    """Exit codes by command, in the order of the calls."""
    words: list[str] = field(default_factory=list)
    """What was printed, and the texts of exceptions."""
    asked: list[str] = field(default_factory=list)
    """Of AWS."""
    users: set[str] = field(default_factory=set)
    """Names that the server knew its connections by."""
    own_password: str = ""
    """The cluster's, made at random."""

    @property
    def said(self) -> str:
        return "\n".join(self.words)

    def do(self, *arguments: str | Path) -> str:
        """`amply-capacity …`, in this process; what it printed on stdout."""
        out, err = io.StringIO(), io.StringIO()
        code: int | str | None = 0
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), \
                contextlib.redirect_stderr(err):
            patch.setattr(sys, "argv", ["amply-capacity", *map(str, arguments)])
            try:
                main()
            except SystemExit as ended:
                code = ended.code
        command = " ".join(one for one in map(str, arguments[:2]) if one.isalpha())
        self.codes.setdefault(command, []).append(int(code or 0))
        self.words += [out.getvalue(), err.getvalue()]
        return out.getvalue()


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    made = Day(tmp_path_factory.mktemp("day"))
    (made.directory / "tmp").mkdir()
    region = Region([cluster("amply-redis-prod")],
                    secrets={ARN: json.dumps({"username": "app", "password": STORED})})
    with pytest.MonkeyPatch.context() as patch, made.processes.watched(), AwsServer(region) as aws:
        patch.setenv("TMPDIR", str(made.directory / "tmp"))
        patch.setattr(tempfile, "tempdir", None)
        patch.setenv("JUPYTER_RUNTIME_DIR", str(made.directory / "jupyter"))
        point_at(patch, aws)
        patch.setenv("AWS_SESSION_TOKEN", SESSION)
        _with_a_cluster_of_ours(made)
        with _redis(made.directory) as owner:
            _with_anothers_redis(made, owner, patch)
        _with_production(made, aws)
        _with_a_plan(made)
        made.asked = aws.asked
    return made


@contextlib.contextmanager
def _redis(directory: Path) -> Iterator[redis.Redis]:
    """An encrypted server that is none of ours, with a password, and a user `app` who has three more."""
    files, port = make_certificates(directory), free_port()
    settings = (f"port 0\ntls-port {port}\ntls-auth-clients no\ntls-cert-file {files.certificate}\n"
                f"tls-key-file {files.key}\nbind 127.0.0.1\nsave \"\"\nrequirepass {OWNERS}\n")
    program = [str(find_server().path), "-"]
    with subprocess.Popen(program, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as server:
        try:
            assert server.stdin is not None
            server.stdin.write(settings.encode())
            server.stdin.close()
            with redis.Redis(port=port, password=OWNERS, ssl=True, ssl_ca_certs=str(files.authority),
                             decode_responses=True) as owner:
                wait_until(lambda: _answers(owner), "an answer of the server")
                owner.execute_command("ACL", "SETUSER", "app", "on", "~*", "&*", "+@all",
                                      *(f">{one}" for one in (STORED, SPOKEN, FILED)))
                yield owner
        finally:
            server.kill()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def _with_a_cluster_of_ours(made: Day) -> None:
    made.do("cluster", "up", "strongroom", "--tls", "--auth", "--maxmemory", "64mb")
    try:
        made.own_password = str(clusters.find_cluster("strongroom").endpoint.password)
        made.do("cluster", "status", "--json")
        made.do("target", "check", clusters.find_cluster("strongroom").endpoint.url)
    finally:
        made.do("cluster", "down", "strongroom")


def _with_anothers_redis(made: Day, owner: redis.Redis, patch: pytest.MonkeyPatch) -> None:
    """Its password by the environment, by a file and by its ARN; and a wrong one."""
    port = owner.get_connection_kwargs()["port"]
    authority = str(CertificateFiles.below(made.directory).authority)
    patch.setenv("AMPLY_CA_BUNDLE", authority)
    url = f"rediss://app@127.0.0.1:{port}"
    with pytest.MonkeyPatch.context() as given:
        given.setenv("AMPLY_REDIS_PASSWORD", SPOKEN)
        made.do("target", "mark", url, "--owner", "you@example.com", "--until", "2099-01-01")
    with pytest.MonkeyPatch.context() as given:
        given.setenv("AMPLY_REDIS_PASSWORD_FILE", str(keep(made.directory / "file", FILED)))
        made.do("target", "check", url)
        owner.set("theirs:1", "of another", ex=3_600)
        made.do("profile", url, "--out", made.directory / "keyspace.csv")
        owner.delete("theirs:1")
    _load(made, url, lambda: made.users.update(one["user"] for one in owner.client_list()))
    with pytest.MonkeyPatch.context() as given:
        given.setenv("AMPLY_REDIS_PASSWORD", WRONG)
        made.do("target", "check", url)
        made.do("profile", f"redis://app:{quote(WRONG)}@127.0.0.1:{port}")
    wrong = FileSecret(str(keep(made.directory / "wrong", WRONG)))
    for one in (Endpoint("127.0.0.1", port, True, "app", WRONG, ca_bundle=authority),
                Endpoint("127.0.0.1", port, True, "app", ca_bundle=authority, secret=wrong)):
        with pytest.raises(AuthRequired) as caught:
            connect(one)
        made.words += [*traceback.format_exception(caught.value), repr(caught.value.__dict__), repr(one)]


def _load(made: Day, url: str, look: Callable[[], None]) -> None:
    """Locust, whose password Secrets Manager keeps, and which logs all that it can."""
    run, log = made.directory / "run", made.directory / "locust.log"
    options = ("-u", "4", "-r", "4", "-t", "120s", "--population", "60", "--think-time-ms", "40",
               "-L", "DEBUG", "--csv", str(made.directory / "csv"),
               "--html", str(made.directory / "locust.html"), "--journal", str(made.directory / "journal"),
               "--target", url, "--run-dir", str(run))
    with start_locust("mixed", *options, log=log, AMPLY_REDIS_SECRET_ARN=ARN) as process:
        try:
            wait_until(lambda: seconds_recorded(run) >= 6 or process.poll() is not None, "some load")
            look()
            process.send_signal(signal.SIGINT)
            process.wait(60)
        finally:
            process.kill()
    made.codes["locust"] = [process.returncode]
    made.words.append(log.read_text())


def _with_production(made: Day, aws: AwsServer) -> None:
    run = made.directory / "production"
    # AWS repeats what was signed, a session token among it, where it refuses a signature.
    aws.faults.append(Fault("DescribeReplicationGroups", "SignatureDoesNotMatch", message=(
        f"The canonical string should have been 'POST / x-amz-security-token:{SESSION}'")))
    for _ in ("refused", "answered"):
        made.do("import", "cloudwatch", "amply-redis-prod", "--region", REGION, "--days", "1",
                "--run-dir", run)
    made.do("alarms", run, "--node-type", "cache.t3.micro")
    made.do("production", "review", run)
    made.do("aws", "policy", "--secret", ARN, "--out", made.directory / "policy.json")
    for name in ("run", "production"):
        made.do("runs", "show", made.directory / name, "--json")
    made.do("runs", "list", "--json")
    made.do("ledger")


def _with_a_plan(made: Day) -> None:
    directory, plan = made.directory, made.directory / "plan.json"
    document = document_of([EXAMPLE_RUN, directory / "run"], DEMAND, worlds=300)
    assert not write_formats(document, directory / "report", FORMATS).failures
    plan.write_text(json.dumps(document.content["plan"]))
    for kind in ("cloudformation", "terraform", "alarms"):
        made.do("export", kind, "--plan", plan, "--out", directory / f"{kind}.json")
    made.do("export", "steps", "--plan", plan)
    execute([path for path in notebooks() if path.stem == "01_run_review"], directory / "notebooks",
            directory / "run", DEMAND)


def test_the_day_was_a_whole_one_and_its_secrets_were_used(day: Day) -> None:
    failed = {name: codes for name, codes in day.codes.items() if any(codes)}
    assert failed.pop("alarms") == [1], "some fired"
    assert failed == {"profile": [0, 2], "target check": [0, 0, 2], "import cloudwatch": [2, 0]}, day.said
    assert len(day.codes) >= 15
    assert day.users >= {"app", "default"}
    assert "GetSecretValue" in day.asked
    assert read_run(day.directory / "run").manifest["target"]["tls"] is True
    names = {path.name for path in day.directory.rglob("*")}
    assert names >= {"report.html", "report.pdf", "report.xlsx", "report.md", "report.json", "locust.html",
                     "01_run_review.ipynb", "cloudformation.json", "terraform.json", "csv_stats.csv"}
    words = day.said
    for word in ("DEBUG", "does not accept the password", "does not accept the credentials",
                 "password inside the URL"):
        assert word in words, word


def test_no_file_holds_a_secret(day: Day) -> None:
    assert leaks([day.directory, RUNS_DIR.parent], (MARK, day.own_password)) == []
    assert not (CLUSTERS_DIR / "strongroom").exists(), "its password goes with it"


def test_no_command_line_shows_a_secret(day: Day) -> None:
    assert any(b"locust" in line for line in day.processes.lines)
    assert any(b"ipykernel" in line for line in day.processes.lines)
    wanted = [*traces(MARK), *traces(day.own_password)]
    assert not [line for line in day.processes.lines if any(trace in line for trace in wanted)]


def test_no_word_and_no_exception_repeats_a_secret(day: Day) -> None:
    said = day.said.encode()
    assert not [trace for one in (MARK, day.own_password) for trace in traces(one) if trace in said]


# The search itself: what it cannot find would be no proof.


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """Removed at once, since secrets are planted there."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def test_a_secret_is_found_however_it_is_written_down(tmp_path: Path) -> None:
    for number, text in enumerate((SPOKEN, quote(SPOKEN), json.dumps(SPOKEN), SPOKEN.encode().hex())):
        (tmp_path / f"{number}.txt").write_text(f"a{text}b")
    for before in range(3):
        packed = base64.b64encode(b"-" * before + SPOKEN.encode() + b"-")
        (tmp_path / f"base64-{before}").write_bytes(packed)
    (tmp_path / SPOKEN.replace("/", "")).touch()
    with zipfile.ZipFile(tmp_path / "book.xlsx", "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/sharedStrings.xml", f"<t>{SPOKEN}</t>")
    pq.write_table(pa.table({"detail": [SPOKEN]}), tmp_path / "events.parquet", compression="zstd")
    (tmp_path / "page.typ").write_text(f"Here: {MARK}")
    (tmp_path / "page.pdf").write_bytes(typst.compile(str(tmp_path / "page.typ")))
    everything = sorted(str(path) for path in tmp_path.iterdir())
    assert leaks([tmp_path]) == everything
    (tmp_path / "sound.txt").write_text("nothing")
    keep(tmp_path / "password", SPOKEN)
    assert leaks([tmp_path]) == everything
    assert leaks([tmp_path / "sound.txt"]) == []


def test_a_secret_on_a_command_line_is_seen() -> None:
    processes = Processes()
    holder = [sys.executable, "-c", "import sys; sys.stdin.read()", AWS_SECRET_KEY]
    with processes.watched(), subprocess.Popen(holder, stdin=subprocess.PIPE) as child:
        deadline = time.monotonic() + 30.0
        while not any(MARK.encode() in line for line in processes.lines):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        child.communicate(timeout=30)


def test_the_search_at_the_end_fails_tests_that_keep_a_secret(tmp_path: Path) -> None:
    """In the process that runs tests for another one, and in that one."""
    (tmp_path / "state").mkdir()
    (tmp_path / "test_untidy.py").write_text(
        "import os, pathlib, seeded\n"
        "def test_keeps(tmp_path):\n"
        "    seeded.keep(tmp_path / 'password', seeded.seeded('right'))\n"
        "    (tmp_path / 'report.txt').write_text(seeded.seeded('wrong'))\n"
        "    (pathlib.Path(os.environ['AMPLY_STATE_DIR']) / 'run.json').write_text(seeded.seeded('wrong'))\n")
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "secret_search", "-p", "no:cacheprovider",
               "-n", "1", "-c", os.devnull, "--rootdir", str(tmp_path), "--basetemp", str(tmp_path / "tmp"),
               str(tmp_path / "test_untidy.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
                          env=os.environ | {"AMPLY_STATE_DIR": str(tmp_path / "state"),
                                            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                                            "PYTHONPATH": str(Path(__file__).parent)})
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    _, _, told = done.stdout.partition("secrets that were kept")
    assert "1 passed" in done.stdout
    assert {line.rpartition("/")[2] for line in told.splitlines() if line.startswith("/")} == {
        "report.txt", "run.json"}
