"""What a node costs: on demand and reserved, by region and engine, each price with its source and date."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from amply_capacity.catalog.faults import not_offered, refuse
from amply_capacity.catalog.files import CATALOG_DIR, PriceRow, read_table, source_texts
from amply_capacity.catalog.nodes import node_types
from amply_capacity.errors import BadInput, NotOffered, UnknownName

__all__ = ["ENGINES", "TERMS", "Price", "forget", "name_faults", "offered", "price", "prices", "regions",
           "term_months", "terms_of"]

ENGINES = ("redis", "valkey")
TERMS = ("on_demand", "1yr_no", "1yr_partial", "1yr_all", "3yr_no", "3yr_partial", "3yr_all")
"""On demand, or a reservation of one or three years with no, partial or all of it paid upfront."""

_SEE = "`amply-capacity prices show`"
Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Price:
    """One node for one hour, US dollars."""

    region: str
    engine: str
    node_type: str
    term: str
    hourly_usd: float | None
    """Billed every hour; None where the source gives a partial-upfront reservation's effective rate alone."""
    upfront_usd: float | None
    """Paid once; 0 on demand and with no upfront, None where `hourly_usd` is."""
    effective_hourly_usd: float
    """`hourly_usd` plus the upfront fee spread over the term's hours (8,760 a year)."""
    source: str
    as_of: str
    """ISO date at which the price was true, or `undated`."""
    inferred: bool
    """Whether a figure is arithmetic from other prices; `basis` says which, and how."""
    basis: str
    """How figures that were not read directly came about; empty where all were."""


def price(region: str, engine: str, node_type: str, term: str = "on_demand") -> Price:
    """The price of those exact names.

    Raises UnknownName (BadInput where several names are wrong) with the nearest names, and NotOffered for
    known names that have no price together, with the nearest that have.

    Example: `price("us-east-1", "redis", "cache.t3.micro").hourly_usd` is 0.017.
    """
    refuse(name_faults(region, engine, node_type, term))
    row = _rows().get((region, engine, node_type, term))
    if row is not None:
        return _from_row(row)
    terms = [other for other in TERMS if (region, engine, node_type, other) in _rows()]
    if terms:
        raise NotOffered(f"no {term} price of {node_type} for {engine} in {region} is known",
                         got=f"prices for {', '.join(terms)}", do="choose one of these terms")
    on_demand = [key[:3] for key in _rows() if key[3] == "on_demand"]
    newest = max(row.as_of for key, row in _rows().items() if key[0] == region and row.as_of != "undated")
    raise not_offered(region, engine, node_type, on_demand, newest)


def offered(region: str, engine: str) -> tuple[Price, ...]:
    """On-demand prices of the node types with known facts that new clusters there may use, cheapest first."""
    refuse(name_faults(region, engine))
    new = [node.name for node in node_types() if node.new_clusters and engine in node.engines]
    rows = [_rows().get((region, engine, name, "on_demand")) for name in new]
    found = [_from_row(row) for row in rows if row is not None]
    return tuple(sorted(found, key=lambda price: (price.effective_hourly_usd, price.node_type)))


def prices() -> tuple[Price, ...]:
    """Every price in the catalog, retired node types included, ordered by region, engine, node type, term."""
    return tuple(map(_from_row, _rows().values()))


@functools.cache
def terms_of(region: str, engine: str, node_type: str) -> Mapping[str, Price]:
    """The known prices of that node by term, in the order of TERMS."""
    keys = [(region, engine, node_type, term) for term in TERMS]
    return MappingProxyType({key[3]: _from_row(_rows()[key]) for key in keys if key in _rows()})


@functools.cache
def regions() -> tuple[str, ...]:
    """The regions with prices, in alphabetical order."""
    return tuple(sorted({key[0] for key in _rows()}))


def forget() -> None:
    """Read the table anew at the next question: it has been replaced."""
    for cached in (_rows, terms_of, regions, _priced_types, source_texts):
        cached.cache_clear()


def term_months(term: str) -> int | None:
    """Months that a reservation binds; None on demand."""
    return {"1yr": 12, "3yr": 36}.get(term.partition("_")[0])


def name_faults(region: str, engine: str, node_type: str | None = None,
                term: str = "on_demand") -> list[BadInput]:
    """One UnknownName for each name that the catalog does not know."""
    faults: list[BadInput] = []
    if region not in regions():
        faults.append(UnknownName("region", region, regions(), see=_SEE))
    if engine not in ENGINES:
        faults.append(UnknownName("engine", engine, ENGINES))
    if node_type is not None and node_type not in _priced_types():
        # Retired types have prices but no facts: they are accepted, and never suggested.
        faults.append(UnknownName("node type", node_type, [node.name for node in node_types()], see=_SEE))
    if term not in TERMS:
        faults.append(UnknownName("term", term, TERMS, see=_SEE))
    return faults


@functools.cache
def _rows() -> Mapping[Key, PriceRow]:
    """The price file by region, engine, node type, term; a row becomes a Price only when it is asked for."""
    rows = read_table(PriceRow, CATALOG_DIR / "prices.csv")
    # A refresh by another process may have added sources since they were first read, e.g. in a notebook.
    source_texts.cache_clear()
    return MappingProxyType({row[:4]: row for row in rows})


@functools.cache
def _priced_types() -> frozenset[str]:
    return frozenset(key[2] for key in _rows()) | {node.name for node in node_types()}


def _from_row(row: PriceRow) -> Price:
    texts = source_texts()
    # On demand has no upfront fee to leave unknown: its empty cell is the only one that means 0.
    upfront = row.upfront_usd or ("0" if row.term == "on_demand" else "")
    return Price(
        region=row.region,
        engine=row.engine,
        node_type=row.node_type,
        term=row.term,
        hourly_usd=float(row.hourly_usd) if row.hourly_usd else None,
        upfront_usd=float(upfront) if upfront else None,
        effective_hourly_usd=float(row.effective_hourly_usd),
        source=texts[row.source],
        as_of=row.as_of,
        inferred=row.inferred == "yes",
        basis=texts[row.basis],
    )
