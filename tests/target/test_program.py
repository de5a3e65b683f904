from __future__ import annotations

import os
from pathlib import Path

import pytest

from amply_capacity.errors import NoServer
from amply_capacity.target.program import find_server


def _script(path: Path, says: str) -> Path:
    path.write_text(f"#!/bin/sh\nprintf '{says}'\n")
    path.chmod(0o755)
    return path


def test_the_server_on_path_says_what_it_is() -> None:
    program = find_server()
    assert program.engine in {"redis", "valkey"}
    assert program.version[0].isdigit()
    assert os.access(program.path, os.X_OK)
    assert program.version in str(program)


def test_the_environment_variable_comes_before_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = _script(tmp_path / "mine", "Valkey server v=8.1.0 sha=0 malloc=libc bits=64")
    monkeypatch.setenv("AMPLY_REDIS_SERVER", str(script))
    program = find_server()
    assert (program.path, program.engine, program.version) == (script, "valkey", "8.1.0")
    assert program.origin == "$AMPLY_REDIS_SERVER"
    assert not program.memory_is_redis_memory


def test_jemalloc_memory_is_redis_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = _script(tmp_path / "mine", "Redis server v=7.0.15 malloc=jemalloc-5.3.0")
    monkeypatch.setenv("AMPLY_REDIS_SERVER", str(script))
    assert find_server().memory_is_redis_memory


@pytest.mark.parametrize("content", [None, "I am no Redis", "\\377\\376"])
def test_a_named_server_that_is_none_is_refused_and_not_replaced(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "named"
    if content is not None:
        _script(named, content)
    monkeypatch.setenv("AMPLY_REDIS_SERVER", str(named))
    with pytest.raises(NoServer, match="AMPLY_REDIS_SERVER") as failure:
        find_server()
    assert str(named) in str(failure.value)
    assert "unset it" in str(failure.value)


def test_valkey_is_taken_where_there_is_no_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _script(tmp_path / "valkey-server", "Valkey server v=8.1.0 malloc=jemalloc-5.3.0")
    monkeypatch.delenv("AMPLY_REDIS_SERVER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server().engine == "valkey"


def test_without_any_server_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AMPLY_REDIS_SERVER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))  # no wheel there either
    with pytest.raises(NoServer, match=r"Do: run `make setup`"):
        find_server()
