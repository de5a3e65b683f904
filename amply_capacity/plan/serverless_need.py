"""The demand as ElastiCache Serverless meters it: gigabytes and ECPUs a second, in every world and month."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amply_capacity.catalog.serverless import Serverless
from amply_capacity.plan.ecpus import (
    CommandUse,
    ecpus_per_second,
    serverless_usd_per_month,
    stored_gb,
    vcpu_multiples,
)
from amply_capacity.plan.measured import Measured
from amply_capacity.plan.memory_items import IN_EACH_SHARD
from amply_capacity.plan.needs import Needs
from amply_capacity.plan.workload import Workload
from amply_capacity.plan.worlds import Floats

__all__ = ["ServerlessNeed", "serverless_need"]


@dataclass(frozen=True, slots=True, eq=False)
class ServerlessNeed:
    """What is metered and what that costs, (worlds, months) each, from the first month on."""

    gb: Floats
    """Of 2^30 bytes, held."""
    ecpus: Floats
    """A second."""
    usd: Floats
    note: str
    """What is not known of it."""


def serverless_need(found: Serverless, figures: Measured, load: Workload, need: Needs,
                    engine: str) -> ServerlessNeed:
    """The demand on a serverless cache at these prices."""
    items = [values for name, values in need.memory_items.items() if name not in IN_EACH_SHARD]
    held = np.sum(items, axis=0)[:, 1:]
    if engine != need.measured_engine:
        held = held * need.other_engine["bytes"][:, None]
    uses, unknown = _uses(figures, load)
    ecpus = load.active_users[:, 1:] * ecpus_per_second(uses)[:, None]
    note = "bytes of a command are the mean of its operation's"
    if unknown:
        note += f"; taken as simple commands, since their time was not measured: {', '.join(sorted(unknown))}"
    gb = stored_gb(held)
    return ServerlessNeed(gb, ecpus, serverless_usd_per_month(found, gb, ecpus), note)


def _uses(figures: Measured, load: Workload) -> tuple[list[CommandUse], set[str]]:
    """Of one registered user, rates of the shape (worlds,), and the commands whose vCPU time is not known."""
    known = {} if figures.cpu is None else vcpu_multiples(
        {name.upper(): each for name, each in figures.cpu.command_us.items()})
    uses, unknown = [], set()
    for operation, rate in load.per_user_per_second.items():
        if not rate.any():
            continue
        cost, trips = figures.operations[operation], figures.trips[operation]
        for command, per_round in trips.commands_per_round.items():
            name = command.upper()
            if name not in known:
                unknown.add(name)
            uses.append(CommandUse(name, rate * trips.count * per_round, cost.bytes_in / cost.commands,
                                   cost.bytes_out / cost.commands, known.get(name, 1.0)))
    return uses, unknown
