"""Gathered facts to the catalog's files: `python -m amply_capacity.catalog.compact FACTS_DIR OUT_DIR`.

What it decides, and nothing else: Memcached is left out; of two observed prices the one with the newest
date stands, a dated one before an undated one; an inferred price stands only where nothing was observed, or
lends its split into hourly and upfront to an observed effective rate that it meets within 0.01 %. The output
is byte-identical for the same facts.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from amply_capacity.catalog.files import NodeRow, PriceRow, RateRow, SourceRow
from amply_capacity.errors import AmplyError, BadInput

__all__ = ["compact", "main"]

Facts = Mapping[str, str]
_Key = tuple[str, str, str, str]

_PRICE_COLUMNS = ("region", "engine", "node_type", "term", "payment_option", "hourly_usd", "upfront_usd",
                  "effective_hourly_usd", "as_of")
_TERMS = {
    ("on_demand", ""): "on_demand",
    ("reserved_1yr", "No Upfront"): "1yr_no",
    ("reserved_1yr", "Partial Upfront"): "1yr_partial",
    ("reserved_1yr", "All Upfront"): "1yr_all",
    ("reserved_3yr", "No Upfront"): "3yr_no",
    ("reserved_3yr", "Partial Upfront"): "3yr_partial",
    ("reserved_3yr", "All Upfront"): "3yr_all",
}
_RENAMED_NODE_COLUMNS = {
    "graviton": "processor_graviton",
    "network_baseline_gbps": "net_baseline_gbps",
    "network_burst_gbps": "net_burst_gbps",
    "replica_output_buffer_bytes": "client_output_buffer_limit_replica_hard_bytes",
    "cpu_baseline_percent_per_vcpu": "cpu_baseline_pct_per_vcpu",
    "redis_min_version": "min_redis_oss_version",
    "valkey_min_version": "min_valkey_version",
    "at_rest_encryption": "at_rest_encryption_supported",
}
_NEEDED = {
    "node_types.csv": (*(_RENAMED_NODE_COLUMNS.get(field, field) for field in NodeRow._fields),),
    "prices.csv": (*_PRICE_COLUMNS, "source", "note"),
    "prices_inferred.csv": (*_PRICE_COLUMNS, "basis"),
    "serverless_and_extras.csv": ("item", "region", "engine", "unit", "price_usd", "detail", "source",
                                  "as_of"),
}
_FLAGS = ("enhanced_io", "tls_offload", "enhanced_io_multiplexing")
_SPLIT_TOLERANCE = 1e-4


class _Sources:
    """Numbers texts in the order in which they are first met."""

    def __init__(self) -> None:
        self.numbers: dict[str, str] = {}

    def number(self, text: str) -> str:
        return self.numbers.setdefault(text, str(len(self.numbers) + 1)) if text else ""

    def rows(self) -> list[SourceRow]:
        return [SourceRow(number, text) for text, number in self.numbers.items()]


def compact(facts_dir: Path, out_dir: Path) -> dict[str, int]:
    """Writes the catalog's four files and returns the number of rows in each.

    Raises BadInput, before anything is written, for facts that are missing, lack columns, or name unknown
    terms.
    """
    facts = _read_facts(facts_dir)
    sources = _Sources()
    prices = _price_rows(facts["prices.csv"], facts["prices_inferred.csv"], sources)
    tables: dict[str, Sequence[tuple[str, ...]]] = {
        "node_types.csv": [NodeRow._fields, *_node_rows(facts["node_types.csv"], sources)],
        "prices.csv": [PriceRow._fields, *prices],
        "rates.csv": [RateRow._fields, *_rate_rows(facts["serverless_and_extras.csv"], sources)],
    }
    tables["sources.csv"] = [SourceRow._fields, *sources.rows()]
    texts = {name: as_csv(rows) for name, rows in tables.items()}
    out_dir.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (out_dir / name).write_bytes(text.encode())
    return {name: len(rows) - 1 for name, rows in tables.items()}


def _read_facts(facts_dir: Path) -> dict[str, list[Facts]]:
    facts: dict[str, list[Facts]] = {}
    faults: list[str] = []
    for name, columns in _NEEDED.items():
        path = facts_dir / name
        if not path.is_file():
            faults.append(f"{name} is missing")
            continue
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, restval="")
            if lacking := sorted(set(columns) - set(reader.fieldnames or ())):
                faults.append(f"{name} lacks the columns {', '.join(lacking)}")
            facts[name] = list(reader)
    for name in ("prices.csv", "prices_inferred.csv"):
        terms = {(row.get("term", ""), row.get("payment_option", "")) for row in facts.get(name, ())}
        unknown = sorted(terms - _TERMS.keys())
        faults.extend(f"{name} has the unknown term {' '.join(term)!r}" for term in unknown)
    if faults:
        raise BadInput("the facts cannot be compacted", got="; ".join(faults),
                       do=f"correct the files in {facts_dir}, or name another directory")
    return facts


def _node_rows(facts: Iterable[Facts], sources: _Sources) -> list[NodeRow]:
    rows = []
    for fact in facts:
        cells = {field: fact[_RENAMED_NODE_COLUMNS.get(field, field)] for field in NodeRow._fields}
        cells |= {flag: cells[flag].lower() for flag in _FLAGS}
        cells["new_clusters"] = "yes" if fact["new_clusters"] == "yes" else "no"
        rows.append(NodeRow(**cells | {"source": sources.number(fact["source"])}))
    return sorted(rows)


def _price_rows(observed: Iterable[Facts], inferred: Iterable[Facts], sources: _Sources) -> list[PriceRow]:
    newest: dict[_Key, Facts] = {}
    for fact in observed:
        key = _price_key(fact)
        # ISO dates order as texts, and an undated row, "", comes before every dated one.
        if fact["engine"] != "memcached" and (key not in newest or fact["as_of"] > newest[key]["as_of"]):
            newest[key] = fact
    arithmetic = {_price_key(fact): fact for fact in inferred if fact["engine"] != "memcached"}
    rows = []
    for key, other in arithmetic.items():
        if key not in newest:
            basis = sources.number(other["basis"])
            rows.append(PriceRow(*key, *_amounts(other), "yes", basis, basis, other["as_of"]))
    for key, fact in newest.items():
        amounts, flag, note = _amounts(fact), "no", fact["note"]
        other = arithmetic.get(key, {})
        if other and not fact["hourly_usd"] and _same_rate(fact, other):
            hourly, upfront, _ = _amounts(other)
            amounts, flag = (hourly, upfront, fact["effective_hourly_usd"]), "yes"
            note = f"effective rate observed; its split into hourly and upfront {other['basis']}"
        rows.append(PriceRow(*key, *amounts, flag, sources.number(note), sources.number(fact["source"]),
                             fact["as_of"] or "undated"))
    return sorted(rows)


def _price_key(fact: Facts) -> _Key:
    return fact["region"], fact["engine"], fact["node_type"], _TERMS[fact["term"], fact["payment_option"]]


def _amounts(fact: Facts) -> tuple[str, str, str]:
    return fact["hourly_usd"], fact["upfront_usd"], fact["effective_hourly_usd"]


def _same_rate(fact: Facts, other: Facts) -> bool:
    observed_usd = float(fact["effective_hourly_usd"])
    return abs(float(other["effective_hourly_usd"]) - observed_usd) <= _SPLIT_TOLERANCE * observed_usd


def _rate_rows(facts: Iterable[Facts], sources: _Sources) -> list[RateRow]:
    kept: dict[tuple[str, ...], tuple[str, RateRow]] = {}
    for fact in facts:
        if fact["engine"] == "memcached":
            continue
        source, as_of = fact["source"].strip(), fact["as_of"].strip()
        if as_of.endswith('"'):
            # Some lines of the facts carry their date in stray quotes, which moves its first half into the
            # source.
            source, _, year = source.partition(' "')
            as_of = f'{year}, {as_of.rstrip(chr(34))}'
        metered = fact["item"] in ("serverless_storage", "serverless_ecpu")
        key = (fact["item"], fact["region"], fact["engine"], "" if metered else fact["detail"])
        row = RateRow(fact["item"], fact["region"], fact["engine"], fact["unit"], fact["price_usd"],
                      fact["detail"], sources.number(source), as_of or "undated")
        if key not in kept or as_of > kept[key][0]:
            kept[key] = (as_of, row)
    return [row for _, (_, row) in sorted(kept.items())]


def as_csv(rows: Iterable[Sequence[str]]) -> str:
    """Rows as a table of the catalog is written, its header first."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code, 2 for facts that cannot be used. Row counts go to stderr."""
    parser = argparse.ArgumentParser(prog="python -m amply_capacity.catalog.compact",
                                     description="Turns gathered facts into the files of data/catalog.")
    parser.add_argument("facts_dir", type=Path)
    parser.add_argument("out_dir", type=Path)
    options = parser.parse_args(arguments)
    try:
        counts = compact(options.facts_dir, options.out_dir)
    except AmplyError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for name, count in counts.items():
        print(f"{name}: {count} rows", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
