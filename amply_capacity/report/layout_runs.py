"""The section on what was measured: each run, and the demand's promises against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amply_capacity.report.cells import Cell, count, decimal, given, number, share, words
from amply_capacity.report.layout import Column, Row, Said, Section, Table
from amply_capacity.report.sources import Sources

__all__ = ["measured_section", "promises_table", "run_section"]

_ITEMS = {
    "session": "session", "index": "user's session index", "counter": "rate-limit counter",
    "cached": "cached organisation", "result": "Celery result", "connection": "client connection",
}


def measured_section(content: Mapping[str, Any], sources: Sources) -> Section:
    """The demand's promises against the runs."""
    promises = content["plan"]["objectives"]
    kept, known = sum(row["met"] is True for row in promises), sum(row["met"] is not None for row in promises)
    said = f"{kept} of the {known} promises that could be measured were kept, on the recording host."
    return Section("measured", "Were the promises kept?",
                   (Said(said, (*sources.runs(), *sources.inputs("slo"))),), (),
                   (promises_table(content, sources),),
                   ("Times are those of the recording host, not of a node.",))


def run_section(run: Mapping[str, Any], place: int, sources: Sources) -> Section:
    """One run: what it was, its operations, bytes and CPU."""
    keys = sources.run(run["run"])
    server, target = run["server"], run["target"]
    stands = f", a local server standing in for {target['node_type']}" if target.get("node_type") else ""
    rate = f" at {run['rate_per_second']:,.0f} operations a second" if run["rate_per_second"] else ""
    reason = f" ({run['verdict_reason']})" if run["verdict_reason"] else ""
    said = Said(f"{run['verdict'].capitalize()}{reason}: {server['engine']} {server['version']}, "
                f"{server.get('allocator') or 'unknown allocator'}{stands}; {run['arrivals']} arrivals"
                f"{rate}; {run['seconds']:.0f} s, seed {run['seed']}.", keys)
    return Section(f"run-{place}", f"What was measured: {run['run']}", (said,),
                   tuple(f"{one} of {run['run']}" for one in ("throughput", "latency", "knee")),
                   (_operations(run, keys), _server(run, keys), _bytes(run, keys)), is_continued=place == 1)


def promises_table(content: Mapping[str, Any], sources: Sources) -> Table:
    """Target and measured, promise by promise."""
    met = {True: "yes", False: "no", None: "not known"}
    rows = []
    for row in content["plan"]["objectives"]:
        target = _promised(f"{row['target']:g}", float(row["target"]), row["unit"])
        measured = Cell("not measured") if row["measured"] is None else _promised(
            f"{row['measured']:.3g}", float(row["measured"]), row["unit"])
        rows.append(Row((words(row["what"].replace("_", " ")), target, measured, words(met[row["met"]])),
                        (*sources.run(row["run_id"]), *sources.inputs("slo"))))
    columns = (Column("Promise", 3), Column("Target"), Column("Measured"), Column("Kept", 1))
    return Table("promises", "The demand’s promises", columns, tuple(rows))


def _promised(text: str, value: float, unit: str) -> Cell:
    if unit == "percent":
        return Cell(f"{text} %", value / 100.0, "0.## %")
    return Cell(f"{text} {unit}", value, f'General" {unit}"')


def _operations(run: Mapping[str, Any], keys: tuple[str, ...]) -> Table:
    rows = tuple(Row((words(row["use case"].replace("_", " ")), words(row["operation"].replace("_", " ")),
                      count(row["operations"]), decimal(row["per second"], 1),
                      *(number(row[f"{q} ms"]) for q in ("p50", "p99", "p99.9")), words(row["outcomes"])),
                     keys) for row in run["operations"])
    columns = (Column("Use case", 1), Column("Operation", 1), Column("Operations"), Column("Per second"),
               Column("p50 ms"), Column("p99 ms"), Column("p99.9 ms"), Column("Outcomes", 2))
    return Table("operations", "Operations, service times", columns, rows)


def _server(run: Mapping[str, Any], keys: tuple[str, ...]) -> Table:
    cpu, absent = run["cpu_us_per_command"], Cell("not measured")
    rows = (
        ("Commands a second", count(run["commands_per_second"])),
        ("CPU per command", absent if cpu is None else Cell(
            f"{cpu['mid']} µs ({cpu['low']} – {cpu['high']})", cpu["mid"], 'General" µs"',
            bounds=(cpu["low"], cpu["high"]))),
        ("Hit rate of cached reads", absent if run["hit_rate"] is None else share(run["hit_rate"])),
        ("Evictions", absent if run["evictions"] is None else given(run["evictions"])),
    )
    return Table("server", "The server under this load", (Column("What", 1), Column("Measured", 1)),
                 tuple(Row((words(what), cell), keys) for what, cell in rows))


def _bytes(run: Mapping[str, Any], keys: tuple[str, ...]) -> Table:
    rows = tuple(Row((words(_ITEMS.get(item := named.removesuffix("_bytes"), item)),
                      count(value["mid"]), count(value["low"]), count(value["high"])), keys)
                 for named, value in run["bytes"].items())
    columns = (Column("One …", 1), Column("Bytes"), Column("Low"), Column("High"))
    return Table("bytes", "Bytes of used_memory, hash tables left out", columns, rows)
