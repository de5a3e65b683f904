"""Where the report's figures come from: a line a run, fact, input and assumption, with a key to link to.

R is a run, F a fact with its source and date, D a table of the demand with its numbers, A an assumption.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from amply_capacity.catalog.nodes import NodeType, node_types
from amply_capacity.report.cells import Cell, given, money, words
from amply_capacity.report.plan_prices import asked_prices, reserved_prices

__all__ = ["KINDS", "Source", "Sources", "sources_of"]

Keys = tuple[str, ...]

KINDS = {"run": "Measured in a run", "fact": "Facts", "input": "Inputs: the demand",
         "assumption": "Assumptions"}

_TABLES = {
    "sampling": "How worlds are drawn",
    "cluster": "What runs today", "users": "Users", "organisations": "Organisations",
    "activity": "What users do", "connections": "Connections", "slo": "What is promised",
    "money": "What failing costs", "failures": "How nodes fail", "plan": "The plan's horizon",
    "allowed": "What may be chosen", "application": "What the application can do",
    "campaign": "Campaigns", "correlated": "Numbers that go together",
}
_COUNTS = ("users", "organisations", "activity")
_INPUTS = {
    "memory": (*_COUNTS, "connections", "slo", "cluster"),
    "cpu": _COUNTS, "cpu_credits": _COUNTS, "latency": (*_COUNTS, "slo"), "connections": ("connections",),
    "network": _COUNTS, "network_burst": _COUNTS,
}
_MEASURED = {
    "memory": ("session_bytes", "index_bytes", "counter_bytes", "cached_bytes", "result_bytes",
               "connection_bytes"),
    "cpu": ("CPU per command",), "cpu_credits": ("CPU per command",), "latency": ("CPU per command",),
    "connections": (), "network": (), "network_burst": (),
}
_CPU = ("CPU of a command", "CPU was measured", "bytes and CPU")
_FRAMES = ("bytes around each request",)
_ASSUMED = {
    "memory": ("user's index", "an index for ever", "hash tables", "replication backlog", "reserved",
               "bytes and CPU", "bytes of a key on", "busiest of several"),
    "cpu": (*_CPU, "share of one core"), "cpu_credits": (*_CPU, "cores that a node", "credit mode"),
    "latency": (*_CPU, "p99 between"), "connections": ("connections that",), "network": _FRAMES,
    "network_burst": _FRAMES,
}
"""Words by which an assumption is known to concern a constraint."""


@dataclass(frozen=True, slots=True)
class Source:
    """One line of the appendix; a number of the demand stands under its table and has no key of its own."""

    key: str
    kind: str
    """One of KINDS."""
    what: str
    value: Cell
    source: str
    as_of: str = ""


@dataclass(frozen=True, slots=True)
class Sources:
    """The lines in their order, and which of them stands behind what."""

    lines: tuple[Source, ...]
    _keys: Mapping[tuple[str, ...], str]
    _run_of: Mapping[str, str]
    """Run by figure, as the plan's evidence says."""
    _assumed: Mapping[str, str] = field(default_factory=dict)
    """Key by what is assumed."""

    def as_json(self) -> list[dict[str, str]]:
        """The lines; a number of the demand bears the key of its table."""
        found, above = [], ""
        for line in self.lines:
            above = line.key or above
            found.append({"key": above, "kind": line.kind, "what": line.what, "value": line.value.text,
                          "source": line.source, "as_of": line.as_of})
        return found

    def runs(self) -> Keys:
        """All of them."""
        return tuple(line.key for line in self.lines if line.kind == "run")

    def run(self, run_id: str | None) -> Keys:
        """The run of that name."""
        return self._found([("run", run_id or "")])

    def figures(self, *names: str) -> Keys:
        """The runs from which these figures were taken."""
        return self._found(("run", self._run_of[one]) for one in names if one in self._run_of)

    def price(self, source: str | None, as_of: str | None) -> Keys:
        """The price with that source and date."""
        return self._found([("price", source or "", as_of or "")])

    def prices(self) -> Keys:
        """All prices of the region, at the demand's terms."""
        return self._found([("prices",)])

    def reserved(self) -> Keys:
        """The prices of the reservations among the other ways."""
        return self._found(name for name in self._keys if name[0] == "reserved")

    def node(self, node_type: str) -> Keys:
        """What a node type has."""
        return self._found([("node", node_type)])

    def inputs(self, *tables: str) -> Keys:
        """Tables of the demand."""
        return self._found(("input", table) for table in tables)

    def sampling(self) -> Keys:
        """The worlds and their seed."""
        return self._found([("input", "sampling")])

    def assumed(self, *contained: str) -> Keys:
        """The assumptions in whose words one of these stands."""
        return tuple(key for what, key in self._assumed.items() if any(one in what for one in contained))

    def need(self, constraint: str) -> Keys:
        """All that what is needed of a constraint rests on."""
        return (*self.figures(*_MEASURED.get(constraint, ())), *self.inputs(*_INPUTS.get(constraint, ())),
                *self.assumed(*_ASSUMED.get(constraint, ())))

    def _found(self, names: Iterable[tuple[str, ...]]) -> Keys:
        return tuple(dict.fromkeys(self._keys[one] for one in names if one in self._keys))


def sources_of(content: Mapping[str, Any]) -> Sources:
    """The sources of a report document's content; facts of node types come from the catalog."""
    plan = content["plan"]
    lines: list[Source] = []
    keys: dict[tuple[str, ...], str] = {}
    for number, one in enumerate(_runs(content), start=1):
        keys["run", one[0]] = f"R{number}"
        lines.append(Source(f"R{number}", "run", *one[1:]))
    for number, (names, what, value, source, as_of) in enumerate(_facts(plan), start=1):
        keys.update(dict.fromkeys(names, f"F{number}"))
        lines.append(Source(f"F{number}", "fact", what, value, source, as_of))
    for number, (table, content_of) in enumerate(_demand_tables(plan), start=1):
        keys["input", table] = f"D{number}"
        lines.append(Source(f"D{number}", "input", _TABLES.get(table, table.replace("_", " ")), words(""),
                            "the command" if table == "sampling" else f"the demand file, [{table}]"))
        lines += [Source("", "input", path, given(value), "") for path, value in content_of]
    assumed = {}
    for number, one in enumerate(plan["assumptions"], start=1):
        assumed[one["what"]] = f"A{number}"
        lines.append(Source(f"A{number}", "assumption", one["what"], given(one["value"]), one["source"]))
    run_of = {figure: run["run_id"] for run in plan["evidence"] for figure in run["figures"]}
    return Sources(tuple(lines), keys, run_of, assumed)


def _runs(content: Mapping[str, Any]) -> Iterator[tuple[str, str, Cell, str, str]]:
    figures = {run["run_id"]: run["figures"] for run in content["plan"]["evidence"]}
    for run in content["runs"]:
        taken = ", ".join(one.replace("_", " ") for one in figures.get(run["run"], ()))
        yield (run["run"], f"run {run['run']}", words(taken),
               f"recorded, {run['scenario']}, seed {run['seed']}, verdict {run['verdict']}",
               f"{str(run['started_at'])[:16].replace('T', ' ')} UTC")


Fact = tuple[Sequence[tuple[str, ...]], str, Cell, str, str]


def _facts(plan: Mapping[str, Any]) -> Iterator[Fact]:
    """Names to find it by, what, value, source, date."""
    groups: dict[tuple[str, str], dict[str, float | None]] = {}
    for line in plan["bill"]["lines"]:
        groups.setdefault((line["source"], line["as_of"]), {})[line["what"]] = line.get("usd_per_unit")
    for row in plan["spec_table"]:
        if row["source"]:
            groups.setdefault((row["source"], row["as_of"]), {})[row["configuration"]] = row["true_usd"]
    for (source, as_of), usd_of in groups.items():
        shown = [f"{what}: {money(usd, exact=True).text}" for what, usd in usd_of.items()]
        yield [("price", source, as_of)], "prices", words("; ".join(shown)), source, as_of
    if region := _region(plan):
        yield region
    yield from _reserved(plan)
    yield from _node_types(plan)


def _node_types(plan: Mapping[str, Any]) -> Iterator[Fact]:
    used = {plan["chosen"]["node_type"], plan["today"]["node_type"],
            *(row["node_type"] for row in plan["months"])}
    named = {*used, *(row["node_type"] for row in (*plan["ranked"], *plan["excuses"]))}
    groups: dict[tuple[str, str], list[NodeType]] = {}
    for node in node_types():
        if node.name in named:
            groups.setdefault((node.source, node.as_of), []).append(node)
    for (source, as_of), nodes in groups.items():
        has = "; ".join(f"{node.name}: maxmemory {node.maxmemory_bytes:,} bytes, {node.maxclients:,} clients"
                        for node in nodes if node.name in used)
        what = nodes[0].name if len(nodes) == 1 else f"each of {len(nodes)} node types"
        yield [("node", node.name) for node in nodes], f"what {what} gives", words(has), source, as_of


def _region(plan: Mapping[str, Any]) -> Fact | None:
    """The whole price list of the region at the demand's terms, from which options are priced."""
    asked = asked_prices(plan)
    dates = sorted({price.as_of or "undated" for _, price in asked})
    if not dates:
        return None
    engines = list(dict.fromkeys(called.rpartition(", ")[2] for called, _ in asked))
    terms = list(dict.fromkeys(price.term for _, price in asked))
    at = "" if terms == ["on_demand"] else f", {', '.join(terms).replace('_', ' ')}"
    inferred = sum(price.inferred for _, price in asked)
    said = f"{inferred:,} of {len(asked):,} inferred at least in part" if inferred else ""
    dated = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return ([("prices",)],
            f"prices of all node types in {plan['chosen']['region']}, {' and '.join(engines)}{at}",
            words(said), "AWS' price list, each with its own source: `amply-capacity prices show`", dated)


def _reserved(plan: Mapping[str, Any]) -> Iterator[Fact]:
    """What reserving the best nodes is priced from."""
    groups: dict[tuple[str, str], list[str]] = {}
    for _, price in (found := reserved_prices(plan)):
        source, basis = price.source or "", price.basis
        source = source if basis in ("", source) else f"{source} ({basis})"
        marked = ", inferred at least in part" if price.inferred else ""
        groups.setdefault((source, price.as_of or "undated"), []).append(
            f"{price.term.replace('_', ' ')}: {money(price.usd_per_month).text} a month{marked}")
    for (source, as_of), shown in groups.items():
        yield ([("reserved", source, as_of)], f"prices of {found[0][0]}, reserved", words("; ".join(shown)),
               source, as_of)


def _demand_tables(plan: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    yield "sampling", [("worlds", plan["worlds"]), ("seed", plan["seed"]),
                       ("months begin after", plan["start"])]
    for table, content in plan["demand"].items():
        rows = list(_leaves(table, content))
        if rows:
            yield table, rows


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Numbers, intervals and plain lists by their dotted path."""
    if isinstance(value, Mapping) and not value.keys() >= {"low", "mid", "high"}:
        for key, content in value.items():
            yield from _leaves(f"{path}.{key}", content)
    elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        for place, one in enumerate(value, start=1):
            yield from _leaves(f"{path} {place}", one)
    elif value is not None and value != []:
        yield path, value
