"""The installers are programs on PATH: a small script stands in for apt-get, and pip has no index."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from amply_capacity.target.program import find_server

_IS_ROOT = os.geteuid() == 0


def _provision(path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "amply_capacity.target.provision"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PATH": str(path), "PIP_NO_INDEX": "1", **environment},
    )


def test_the_server_that_is_there_is_named() -> None:
    done = _provision(find_server().path.parent)
    assert done.returncode == 0
    assert find_server().version in done.stderr


def test_a_wrong_name_is_the_users_to_correct(tmp_path: Path) -> None:
    done = _provision(tmp_path, AMPLY_REDIS_SERVER="/nowhere/redis-server")
    assert done.returncode == 2
    assert "/nowhere/redis-server" in done.stderr
    assert "installing" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not _IS_ROOT, reason="only root may use apt")
def test_apt_installs_the_server_where_there_is_none(tmp_path: Path) -> None:
    server = find_server().path
    (tmp_path / "apt-get").write_text(
        f'#!/bin/sh\n[ "$1" = install ] && /bin/ln -s {server} {tmp_path}/redis-server\n'
        f'echo "$RUNLEVEL $*" >> {tmp_path}/calls\n'
    )
    (tmp_path / "apt-get").chmod(0o755)
    done = _provision(tmp_path)
    assert done.returncode == 0
    assert "installing Debian's" in done.stderr
    assert str(tmp_path / "redis-server") in done.stderr
    # No server of its own may start on port 6379.
    assert (tmp_path / "calls").read_text().startswith("1 install -y")


@pytest.mark.skipif(not _IS_ROOT, reason="only root may use apt")
def test_apt_refreshes_its_lists_once_before_it_gives_up(tmp_path: Path) -> None:
    (tmp_path / "apt-get").write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/calls\nexit 100\n')
    (tmp_path / "apt-get").chmod(0o755)
    done = _provision(tmp_path)
    assert (tmp_path / "calls").read_text().split() == ["install", "update", "install"]
    assert "apt could not install it" in done.stderr


def test_where_nothing_can_be_installed_one_paragraph_says_so(tmp_path: Path) -> None:
    done = _provision(tmp_path)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("setup: no Redis server could be installed. Got: ")
    assert "Do: install redis-server yourself" in last
    assert "Traceback" not in done.stderr
