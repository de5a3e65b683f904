"""used_memory predicted, then measured: a fresh mixed keyspace, ten times the users, connections.

Developed on seeds 1 to 9 and 20,261 to 20,263, 33,000 and 3,700 users, 700, 1,100 and 1,300 connections.
"""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from amply_capacity.files import DATA_DIR
from amply_capacity.interval import Interval
from amply_capacity.model.allocator import BUNDLED
from amply_capacity.model.connection import connection_bytes
from amply_capacity.model.layout import Layout
from amply_capacity.model.layouts import allocator_named, layout_of
from amply_capacity.model.memory import Server, bill_of
from amply_capacity.model.shapes import shapes_of
from amply_capacity.plan.demand import load_demand
from amply_capacity.plan.memory import Holder, for_users
from amply_capacity.plan.memory_prediction import predict_memory
from amply_capacity.plan.working_set import working_set
from amply_capacity.run.keyspace import Shape
from amply_capacity.run.reader import read_run
from amply_capacity.target.program import find_server
from amply_capacity.traffic.population import Population, PopulationShape
from amply_capacity.traffic.prefill import PrefillClass, prefill_plan
from bench.claim import Claim, Experiment
from bench.rig import SCENARIOS
from bench.server import Wire, bare_server

__all__ = ["classes_of", "experiments", "layout_here", "load"]

_DEMAND = DATA_DIR / "demand.example.toml"
_SEED = 20_771
_FRESH_USERS, _CALIBRATED_USERS = 27_000, 3_640
_CONNECTIONS = 950
_BATCH = 2_000
_CLIENT_COMMANDS = 3  # INFO, DBSIZE, MEMORY STATS: what is called beside the keyspace's own
_TTL_COMMANDS = {"SETEX", "EXPIRE"}
_ORDER = ("sessions", "user_sessions", "results", "cached", "counters")


def experiments() -> list[Experiment]:
    return [_fresh(), _ten_times(), _connections(_CONNECTIONS)]


def layout_here() -> Layout:
    """That of the server that is measured."""
    program = find_server()
    kind = layout_of("valkey" if "valkey" in program.path.name else "redis", program.version)
    return kind(allocator_named(program.allocator, kind) or BUNDLED)


def _fresh() -> Experiment:
    """All five kinds of key, told shape by shape."""
    layout = layout_here()
    classes = classes_of(_FRESH_USERS, _SEED)
    shapes, names = _told(classes)
    server = Server(busy_connections=1, tracked_commands=Interval.exact(len(names) + _CLIENT_COMMANDS))
    predicted = bill_of(shapes, layout, server).used
    count = sum(one.count for one in classes)
    claim = Claim("used_memory, fresh keyspace", f"{count:,} keys of five kinds", "B", predicted, 0.002)
    return Experiment([claim], lambda: [_loaded(classes)], {"seed": _SEED, "users": _FRESH_USERS})


def _ten_times() -> Experiment:
    """A run of few users says what keys look like, the demand how many there are."""
    with tempfile.TemporaryDirectory() as scratch:
        shapes = shapes_of(read_run(_recorded(Path(scratch) / "run", _CALIBRATED_USERS, _SEED + 1)))
    users = 10 * _CALIBRATED_USERS
    classes = classes_of(users, _SEED + 2)
    commands = len(_told(classes)[1]) + _CLIENT_COMMANDS
    holder = Holder(layout_here(), Server(tracked_commands=Interval.exact(commands)), connections=1)
    predicted = predict_memory(for_users(load_demand(_DEMAND), users), shapes, holder,
                               start=datetime.now(UTC).date()).bill.used
    claim = Claim("used_memory, 10 times the users", f"{users:,} users from a run of {_CALIBRATED_USERS:,}",
                  "B", predicted, 0.01)
    return Experiment([claim], lambda: [_loaded(classes)], {"seed": _SEED + 1, "users": users})


def _connections(count: int) -> Experiment:
    each = connection_bytes(layout_here())
    idle = Interval(0.98 * each.idle, each.idle, 1.03 * each.idle)
    claims = [Claim("connections", f"{count:,}, busy", "B", each.busy.scaled(count), 0.03),
              Claim("connections", f"{count:,}, idle for 7 s", "B", idle.scaled(count), 0.03)]
    return Experiment(claims, lambda: _connected(count), {"connections": count}, runs_beside_others=True)


def _recorded(directory: Path, users: int, seed: int) -> Path:
    command = [sys.executable, "-m", "locust", "-f", str(SCENARIOS / "mixed.py"), "--headless", "-u", "20",
               "-r", "20", "-t", "6s", "--only-summary", "--population", str(users), "--seed", str(seed),
               "--arrivals", "poisson", "--rate", "1500", "--run-dir", str(directory)]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
    return directory


def classes_of(users: int, seed: int) -> list[PrefillClass]:
    """What the demand puts into the keyspace for so many users."""
    wanted = working_set(_DEMAND).scaled_to(users)
    population = Population(PopulationShape(
        users=users, organisations=wanted.organisations, api_keys=wanted.api_keys,
        sessions_per_user=wanted.sessions_per_user, stale_share=wanted.stale_share, seed=seed))
    plan = prefill_plan(population, 1.0, time.time(), counters=wanted.counters,
                        cached=wanted.cached, results=wanted.results, seed=seed)
    return sorted(plan, key=lambda one: _ORDER.index(one.name))


def _told(classes: Sequence[PrefillClass]) -> tuple[list[Shape], set[str]]:
    """Every shape of key that they write, and the commands that they use."""
    shapes: Counter[Shape] = Counter()
    names: set[str] = set()
    for one in classes:
        for command in one.commands():
            names.add(str(command[0]))
            shape = _shape(command)
            if shape is not None:
                shapes[shape] += 1
    return [Shape(shape.prefix, shape.type, float(count), shape.key_bytes, shape.value_bytes, shape.members,
                  shape.member_bytes, shape.ttl_s) for shape, count in shapes.items()], names


def _shape(command: Sequence[Any]) -> Shape | None:
    name, key = str(command[0]), str(command[1])
    prefix = key[:key.index(":") + 1] if ":" in key else "celery-task-meta-"
    match name:
        case "SETEX":
            return Shape(prefix, "string", 1.0, len(key), len(command[3]), None, None, 60.0)
        case "SADD":
            return Shape(prefix, "set", 1.0, len(key), None, len(command) - 2, len(command[2]), None)
        case "INCR":
            return Shape(prefix, "int", 1.0, len(key), None, None, None, 60.0)
        case _:
            return None


def load(port: int, classes: Sequence[PrefillClass]) -> None:
    """Write all their keys, and wait until no hash table is being moved."""
    with Wire(port) as wire:
        for one in classes:
            commands = one.commands()
            while batch := list(itertools.islice(commands, _BATCH)):
                wire.ask(batch)
    with Wire(port) as fresh:
        _settle(fresh)


def _loaded(classes: Sequence[PrefillClass]) -> float:
    """used_memory with all their keys."""
    with bare_server(maxmemory="8gb", maxmemory_policy="volatile-lru") as port:
        load(port, classes)
        return float(_used(port))


def _settle(wire: Wire, longest_seconds: float = 20.0) -> None:
    """Wait until both hash tables of the keyspace have a power of two buckets, which is when one is there."""
    deadline = time.monotonic() + longest_seconds
    while time.monotonic() < deadline:
        stats, keyspace = wire.ask([("MEMORY", "STATS"), ("INFO", "keyspace")])
        found = dict(zip(stats[::2], stats[1::2], strict=True)).get(b"db.0")
        if found is None:
            return
        tables = dict(zip(found[::2], found[1::2], strict=True))
        counts = dict(pair.split(b"=") for pair in keyspace.split(b"db0:")[1].split(b"\r\n")[0].split(b","))
        keys, volatile = int(counts[b"keys"]), int(counts[b"expires"])
        # redis 7.0: an entry of 24 bytes and, for a key, its object of 16; 8 a bucket (object.c).
        buckets = ((tables[b"overhead.hashtable.main"] - 40 * keys) // 8,
                   (tables[b"overhead.hashtable.expires"] - 24 * volatile) // 8)
        if all(one & (one - 1) == 0 for one in buckets):
            return
        time.sleep(0.2)


def _connected(count: int) -> list[float]:
    """What so many busy connections take, and then, when they have been silent."""
    command = b"*2\r\n$3\r\nGET\r\n$11\r\nsession:one\r\n"
    with bare_server(maxmemory="1gb", maxmemory_policy="volatile-lru") as port:
        with Wire(port) as wire:
            wire.ask([("SET", "session:one", "x" * 480), ("GET", "session:one")])
        _used(port)  # INFO is called for the first time
        before = _used(port)
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
        for _ in range(5):
            _ask_all(clients, command)
            time.sleep(0.7)
        _ask_all(clients, command)
        busy = _used(port) - before
        time.sleep(7.0)
        idle = _used(port) - before
        for client in clients:
            client.close()
    return [float(busy), float(idle)]


def _used(port: int) -> int:
    """As a new connection sees it, which is always the same one."""
    with Wire(port) as wire:
        return wire.info()["used_memory"]


def _ask_all(clients: Iterable[socket.socket], command: bytes) -> None:
    for client in clients:
        client.sendall(command)
        client.recv(4096)
