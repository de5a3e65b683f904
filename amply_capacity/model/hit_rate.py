"""The question about a run's hit rate at other memories: what is known of the server, and the answer in
words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from amply_capacity.interval import Interval
from amply_capacity.model.allocator import ALLOCATORS, BUNDLED
from amply_capacity.model.eviction import Prediction, Setting, hit_rates
from amply_capacity.model.layout import Layout
from amply_capacity.model.layouts import allocator_named, layout_of
from amply_capacity.model.memory import Server, fixed_items
from amply_capacity.model.workload import Workload, workload_of
from amply_capacity.run.reader import Run

__all__ = ["Answer", "Question", "answer", "setting_of"]

_POLICY, _SAMPLES = "volatile-lru", 5
_OTHER_COMMANDS = Interval(1.0, 3.0, 8.0)  # INFO, PING and what else was ever called


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked; None is what the run's own server had, else Redis' default."""

    memories_bytes: Sequence[int]
    policy: str | None = None
    samples: int | None = None
    connections: int | None = None
    """Of clients; one without, and where no run says more."""
    allocator: str | None = None
    """One of ALLOCATORS."""
    scale: float = 1.0
    """Times the users."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The predictions, and what they were made from."""

    predictions: Sequence[Prediction]
    setting: Setting
    workload: Workload
    scale: float

    def as_json(self) -> dict[str, Any]:
        return {
            "predictions": [_as_json(one) for one in self.predictions],
            "policy": self.setting.policy, "samples": self.setting.samples, "scale": self.scale,
            "allocator": self.setting.layout.allocator.name, "seconds": round(self.workload.seconds, 3),
            "accesses": len(self.workload.commands.times) - self.workload.measured_from,
            "sampling_rate": self.workload.sampling_rate,
            "assumptions": list(self.workload.assumptions),
        }


def answer(run: Run, question: Question, advance: Callable[[], object] = lambda: None) -> Answer:
    """Predict. `advance` is called after each play of the emulator. Raises BadRun where the run has no
    access."""
    setting = setting_of(run, question)
    workload = workload_of(run, setting.layout)
    workload = replace(workload, assumptions=(*workload.assumptions, *_assumptions(_server(run))))
    predictions = hit_rates(workload, question.memories_bytes, setting, scale=question.scale, advance=advance)
    return Answer(predictions, setting, workload, question.scale)


def setting_of(run: Run, question: Question) -> Setting:
    """The server that is asked about."""
    server = _server(run)
    config = server.get("config") or {}
    own = allocator_named(str(server.get("allocator")), _kind_of(server))
    allocator = ALLOCATORS[question.allocator] if question.allocator else own or BUNDLED
    layout = Layout(allocator)
    connections = question.connections if question.connections is not None else int(
        run.manifest.get("locust_users") or 1)
    imported = run.manifest.get("imported") or {}
    kinds = float(run.commands["command"].nunique() or len(imported.get("ops") or ()))
    tracked = Interval(*(kinds + getattr(_OTHER_COMMANDS, bound) for bound in ("low", "mid", "high")))
    startup = server.get("used_memory_startup")
    items = fixed_items(layout, Server(
        busy_connections=connections, tracked_commands=tracked,
        startup=Interval.exact(float(startup)) if startup is not None else None))
    fixed = Interval(*(sum(getattr(item.bytes, bound) for item in items) for bound in ("low", "mid", "high")))
    return Setting(layout, fixed, question.policy or config.get("maxmemory-policy") or _POLICY,
                   question.samples or int(config.get("maxmemory-samples") or _SAMPLES))


def _server(run: Run) -> Mapping[str, Any]:
    return run.manifest.get("server") or {}


def _kind_of(server: Mapping[str, Any]) -> type[Layout]:
    """The layout of the run's server; of one that does not tell its version, that of Redis 7.0."""
    version = server.get("version")
    return layout_of(str(server.get("engine")), str(version)) if version else Layout


def _assumptions(server: Mapping[str, Any]) -> tuple[str, ...]:
    """The emulator has the tables and the eviction of Redis 7.0 alone."""
    if _kind_of(server) is Layout:
        return ()
    return (f"the server is {server.get('engine')} {server.get('version')}: its keys were sized, "
            f"and evicted, as {Layout.name} does",)


def _as_json(one: Prediction) -> dict[str, Any]:
    def bounds(found: Interval | None, digits: int | None) -> dict[str, Any] | None:
        return None if found is None else {
            name: round(getattr(found, name), digits) for name in ("low", "mid", "high")}

    hit_rate = bounds(one.hit_rate, 6) or dict.fromkeys(("low", "mid", "high"))
    return {
        "maxmemory_bytes": one.maxmemory_bytes, "hit_rate": hit_rate["mid"], "low": hit_rate["low"],
        "high": hit_rate["high"], "info_hit_rate": bounds(one.info_hit_rate, 6),
        "evictions": round(one.evictions.mid), "evictions_interval": bounds(one.evictions, 1),
        "evictions_per_minute": bounds(one.evictions_per_minute, 1),
        "refused_writes": bounds(one.refused_writes, 1), "expired": round(one.expired),
        "used_memory_bytes": round(one.used_bytes),
    }
