"""What the configuration files of a local cluster's servers say: the specification's parameter group."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from amply_capacity.target.certificates import CertificateFiles

__all__ = ["SERVICE_NAME", "Settings", "sentinel_lines", "server_lines"]

SERVICE_NAME = "amply"
"""What the Sentinels call the primary that they watch."""
QUORUM = 2
REPLICA_PING_SECONDS = 10
"""Redis' own `repl-ping-replica-period`."""
_DOWN_AFTER_MS = 1000
_FAILOVER_TIMEOUT_MS = 5000
_CLUSTER_NODE_TIMEOUT_MS = 3000


@dataclass(frozen=True, slots=True)
class Settings:
    """What all servers of one cluster have in common."""

    maxmemory_bytes: int
    maxclients: int
    password: str | None
    certificates: CertificateFiles | None


def server_lines(settings: Settings, directory: Path, port: int, *, cluster_enabled: bool = False,
                 primary_port: int | None = None) -> list[str]:
    """The redis.conf of a data server; a replica from the start where `primary_port` is given."""
    lines = [
        *_common_lines(settings, directory, port),
        # The specification's parameter group; ElastiCache for Redis 7 supports no append-only file.
        "maxmemory-policy volatile-lru", "timeout 300", "appendonly no", 'save ""',
        # ElastiCache's documented default differs from Redis' own 5 (parameter groups page, 2021).
        "maxmemory-samples 3",
        f"maxmemory {settings.maxmemory_bytes}", f"maxclients {settings.maxclients}", "databases 16",
        # Straight over the socket, as ElastiCache sends a first copy; at once, so that starting is quick.
        "repl-diskless-sync yes", "repl-diskless-sync-delay 0",
    ]
    if settings.password:
        lines += [f"masterauth {settings.password}"]
    if primary_port is not None:
        lines += [f"replicaof 127.0.0.1 {primary_port}"]
    if cluster_enabled:
        lines += ["cluster-enabled yes", "cluster-config-file nodes.conf",
                  f"cluster-node-timeout {_CLUSTER_NODE_TIMEOUT_MS}",
                  # The node that introduces the others is never told its own address by anybody.
                  "cluster-announce-ip 127.0.0.1",
                  # While it starts: CLUSTER SLOTS names a replica once its replication offset has moved.
                  "repl-ping-replica-period 1"]
    return lines


def sentinel_lines(settings: Settings, directory: Path, port: int, primary_port: int) -> list[str]:
    """The configuration of a Sentinel, which it rewrites as it learns."""
    lines = [*_common_lines(settings, directory, port),
             f"sentinel monitor {SERVICE_NAME} 127.0.0.1 {primary_port} {QUORUM}",
             f"sentinel down-after-milliseconds {SERVICE_NAME} {_DOWN_AFTER_MS}",
             f"sentinel failover-timeout {SERVICE_NAME} {_FAILOVER_TIMEOUT_MS}",
             f"sentinel parallel-syncs {SERVICE_NAME} 1"]
    if settings.password:
        lines += [f"sentinel auth-pass {SERVICE_NAME} {settings.password}",
                  f"sentinel sentinel-pass {settings.password}"]
    return lines


def _common_lines(settings: Settings, directory: Path, port: int) -> list[str]:
    lines = ["bind 127.0.0.1", "protected-mode yes", "daemonize no", f"dir {_quoted(directory)}",
             f"logfile {_quoted(directory / 'redis.log')}"]
    if settings.certificates is None:
        lines += [f"port {port}"]
    else:
        files = settings.certificates
        lines += ["port 0", f"tls-port {port}", f"tls-cert-file {_quoted(files.certificate)}",
                  f"tls-key-file {_quoted(files.key)}", f"tls-ca-cert-file {_quoted(files.authority)}",
                  "tls-auth-clients no", "tls-replication yes", "tls-cluster yes"]
    if settings.password:
        lines += [f"requirepass {settings.password}"]
    return lines


def _quoted(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)
