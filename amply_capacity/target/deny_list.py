"""The servers that are never loaded, marked or not: the deny list of `targets.toml`."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import tomllib
from dataclasses import dataclass
from pathlib import Path

from amply_capacity.errors import BadInput
from amply_capacity.files import CLUSTERS_DIR
from amply_capacity.target.endpoint import Endpoint

__all__ = ["DenyList", "production_word", "read_deny_list"]

TARGETS_VARIABLE = "AMPLY_TARGETS"
_FILE_NAME = "targets.toml"
_PRODUCTION = re.compile(r"(?<![a-z0-9])(prod|production|live)\d*(?![a-z0-9])")


@dataclass(frozen=True, slots=True)
class DenyList:
    """Patterns (`*` any characters, `?` one) with the file of each, compared without regard to case."""

    patterns: tuple[tuple[str, Path], ...] = ()

    def match(self, endpoint: Endpoint) -> tuple[str, Path] | None:
        """The first pattern that fits the endpoint's host, its host:port or its URL, and its file."""
        names = _names(endpoint)
        for pattern, path in self.patterns:
            if any(_expression(pattern).fullmatch(name) for name in names):
                return pattern, path
        return None


def read_deny_list() -> DenyList:
    """The patterns of `targets.toml` in the state directory, if it is there, and of `$AMPLY_TARGETS`.

    Raises BadInput with all faults of both files: a list that cannot be read protects nobody, so that nothing
    may be loaded until it can.
    """
    files = [path for path in [CLUSTERS_DIR.parent / _FILE_NAME] if path.exists()]
    if named := os.environ.get(TARGETS_VARIABLE):
        files.append(Path(named))
    patterns: list[tuple[str, Path]] = []
    faults: list[str] = []
    for path in files:
        found, wrong = _read(path)
        patterns += [(pattern, path) for pattern in found]
        faults += [f"{path}: {fault}" for fault in wrong]
    if faults:
        raise BadInput("the list of servers that must not be loaded cannot be read, so nothing is loaded",
                       got="; ".join(faults),
                       do='write it as deny = ["prod-*", "cache.example.com:6379"], or remove the file')
    return DenyList(tuple(patterns))


def production_word(host: str) -> str | None:
    """The word of a host's name that looks like production (`prod`, `production`, `live`); None for none."""
    found = _PRODUCTION.search(host.lower())
    return found[0] if found else None


def _read(path: Path) -> tuple[list[str], list[str]]:
    """The file's patterns and its faults."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        return [], [error.strerror or type(error).__name__]
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        return [], [str(error)]
    faults = [f"unknown entry {name!r}" for name in content if name != "deny"]
    patterns = content.get("deny")
    if not isinstance(patterns, list):
        return [], [*faults, "no list named deny"]
    faults += [f"pattern {number} is no text: {pattern!r}" for number, pattern in enumerate(patterns, 1)
               if not (isinstance(pattern, str) and pattern.strip())]
    return [str(pattern).strip() for pattern in patterns], faults


def _names(endpoint: Endpoint) -> set[str]:
    """All that a pattern may be meant for, in small letters: the host, with its port, and as a URL."""
    host = endpoint.host.lower().rstrip(".")  # the root's dot names the same host
    hosts = {host}
    with contextlib.suppress(OSError):  # not an IPv4 address, of which there are other spellings: 127.1
        hosts.add(socket.inet_ntoa(socket.inet_aton(host)))
    names = set(hosts)
    for one in hosts:
        written = f"[{one}]" if ":" in one else one
        address = f"{written}:{endpoint.port}"
        names |= {address} | {f"{scheme}://{address}{path}" for scheme in ("redis", "rediss")
                              for path in ("", "/", f"/{endpoint.database}")}
    return names


def _expression(pattern: str) -> re.Pattern[str]:
    escaped = re.escape(pattern.lower()).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(escaped)
