"""A month's bill for a serverless cache: the gigabytes it holds, and the units that its commands take."""

from __future__ import annotations

import math

from amply_capacity.catalog.faults import refuse
from amply_capacity.catalog.prices import name_faults
from amply_capacity.catalog.serverless import Serverless, amount, serverless
from amply_capacity.errors import BadInput
from amply_capacity.plan.bill import HOURS_PER_MONTH, BillLine, ServerlessBill, exact, line, plain
from amply_capacity.plan.extras import CROSS_AZ_NOTE, Extras, common_extras, common_faults
from amply_capacity.plan.savings_plan import is_discounted, savings_plan

__all__ = ["SECONDS_PER_MONTH", "serverless_bill", "serverless_faults"]

SECONDS_PER_MONTH = 3600 * HOURS_PER_MONTH


def serverless_bill(region: str, engine: str, gb: float, ecpus_per_second: float,
                    extras: Extras | None = None) -> ServerlessBill:
    """The bill of one cache that holds `gb` (of 2^30 bytes) and takes `ecpus_per_second`, on the average.

    It has no nodes, replicas or terms: Multi-AZ is in the price. A snapshot whose size is not given is as
    large as the data. Raises UnknownName or BadInput (all faults at once), and NotOffered where the region
    has no serverless caches.

    Example: `serverless_bill("us-east-1", "valkey", 0.0, 0.0).usd_per_month` is 6.132: 0.1 GB are billed.
    """
    asked = extras or Extras()
    refuse(serverless_faults(region, engine, gb, ecpus_per_second, asked))
    found = serverless(region, engine)
    if asked.snapshots_retained_days is not None and asked.snapshot_gb is None:
        asked = Extras(asked.snapshots_retained_days, gb, asked.cross_az_gb)
    absent = (savings_plan(engine, None),) if is_discounted(engine, None) else ()
    lines = (*_usage(found, region, engine, gb, ecpus_per_second),
             *common_extras(asked, region, engine, free_snapshots=0))
    return ServerlessBill(region, engine, gb, ecpus_per_second, lines, _notes(asked), absent)


def serverless_faults(region: str, engine: str, gb: float, ecpus_per_second: float,
                      extras: Extras | None = None) -> list[BadInput]:
    """All that is wrong with what `serverless_bill` is asked for; empty where it can be answered."""
    faults: list[BadInput] = list(name_faults(region, engine))
    for what, value, do in (("amount of data", gb, "give gigabytes, 0 or more"),
                            ("rate of ECPUs", ecpus_per_second, "give ECPUs a second, 0 or more")):
        if not (math.isfinite(value) and value >= 0.0):
            faults.append(BadInput(f"impossible {what}", got=repr(value), do=do))
    if extras is not None:
        faults += common_faults(extras)
        of_nodes = {"an engine version": extras.engine_version, "durability": extras.durability}
        faults += [BadInput(f"{what} cannot be chosen for a serverless cache", got=repr(value),
                            do="leave it out, or take nodes") for what, value in of_nodes.items()
                   if value is not None]
    return faults


def _usage(found: Serverless, region: str, engine: str, gb: float,
           ecpus_per_second: float) -> tuple[BillLine, BillLine]:
    minimum = amount(found.minimum_storage)
    held = exact(gb)
    metered = "" if held >= minimum else f", metered as the minimum of {plain(minimum)} GB"
    ecpus = exact(ecpus_per_second)
    label = f"serverless cache, {engine}, {region}"
    return (
        line(f"{label}: {plain(held)} GB of data held{metered}", max(held, minimum) * HOURS_PER_MONTH,
             "GB-hour", amount(found.storage), found.storage.source, found.storage.as_of),
        line(f"{label}: {plain(ecpus)} ECPUs a second", ecpus * SECONDS_PER_MONTH / 1_000_000,
             "million ECPUs", amount(found.ecpus), found.ecpus.source, found.ecpus.as_of),
    )


def _notes(asked: Extras) -> tuple[str, ...]:
    notes = ["A serverless cache runs in cluster mode, with TLS, over several Availability Zones."]
    if asked.snapshots_retained_days is None:
        notes.append("Not in this bill: backups.")
    else:
        notes.append("The sources name a free snapshot for clusters of nodes only: none is counted here.")
    if asked.cross_az_gb is None:
        notes.append("Not in this bill: data transfer across Availability Zones, between the application and "
                     "the cache's endpoints.")
    else:
        notes.append(CROSS_AZ_NOTE)
    return tuple(notes)
