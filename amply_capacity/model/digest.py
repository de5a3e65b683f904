"""A run, digested into the evidence that a plan consumes."""

from __future__ import annotations

from amply_capacity.model.cpu import commands_per_second, cpu_us_per_command
from amply_capacity.model.cpu_samples import cpu_samples, execution_us
from amply_capacity.model.drilled import drilled
from amply_capacity.model.evidence import Evidence
from amply_capacity.model.footprint import footprint
from amply_capacity.model.latency import latency_by_use_case
from amply_capacity.model.network import operation_costs
from amply_capacity.model.trips import operation_trips
from amply_capacity.run.reader import Run
from amply_capacity.run.schema import FAILED_OUTCOMES

__all__ = ["digest", "hit_rate"]



def digest(run: Run) -> Evidence:
    """The evidence of one run. Raises BadRun when it has no measured phase of a few seconds."""
    run.need_load()
    manifest = run.manifest
    server = manifest["server"]
    evictions = run.in_sound_samples(run.server)["Evictions"].dropna()
    return Evidence(
        run_id=run.name,
        recorded_at=str(manifest["started_at"]),
        scenario=str(manifest["scenario"]),
        verdict=run.verdict,
        server=f"{server['engine']} {server['version']}",
        allocator=str(server.get("allocator") or "unknown"),
        seconds=float(len(run.sound_seconds)),
        warnings=_warnings(run),
        footprint=footprint(run),
        cpu_us_per_command=cpu_us_per_command(run),
        commands_per_second=commands_per_second(run),
        operations=operation_costs(run),
        latency=latency_by_use_case(run),
        hit_rate=hit_rate(run),
        evictions=round(evictions.mean() * len(run.sound_seconds)) if len(evictions) else None,
        cpu_samples=cpu_samples(run),
        execution_us=execution_us(run),
        trips=operation_trips(run),
        drill=drilled(run),
    )


def hit_rate(run: Run) -> float | None:
    """The application's hit rate in the sound seconds: cached reads that did not have to be filled."""
    totals = run.sound_totals
    done = totals[(totals["command"] == "") & (totals["clock"] == "service")]
    reads = done[done["use_case"] == "cache"].groupby("outcome")["count"].sum()
    looked_up = reads.get("hit", 0) + reads.get("miss", 0)
    return float(reads.get("hit", 0) / looked_up) if looked_up else None


def _bound_seconds(run: Run) -> list[str]:
    """That seconds were left out, or that none could be, since the generator was the bottleneck in them."""
    first, last = run.measured_seconds
    bound, seconds = len(run.generator_bound_seconds), last - first + 1
    if not bound:
        return []
    are_out = len(run.sound_seconds) < seconds
    if run.verdict == "generator-bound":  # which says how many they are
        return ["those seconds are left out" if are_out else
                "beside those seconds too few are left, so latency and rates are the generator's"]
    return [f"the generator was the bottleneck in {bound} of {seconds} s: "
            + ("they are left out" if are_out else
               "too few are left to leave them out, so latency and rates are the generator's")]


def _starved_seconds(run: Run) -> list[str]:
    """That the host was too noisy in some seconds, and whether they could be left out."""
    first, last = run.measured_seconds
    starved, seconds = len(run.starved_seconds), last - first + 1
    if not starved or run.manifest.get("drill"):  # of a drill nobody takes the server's CPU
        return []
    are_out = not run.starved_seconds & set(run.sound_seconds)
    return [f"other processes kept the server from its CPU in {starved} of {seconds} s: "
            + ("they are left out" if are_out else "too few are left to leave them out, so that its CPU and "
               "latency are the host's noise as well")]


def _warnings(run: Run) -> tuple[str, ...]:
    found = []
    if run.verdict != "complete":
        found.append(f"the run is {run.verdict}: {run.manifest.get('verdict_reason') or 'it ended early'}")
    found.extend(_bound_seconds(run))
    found.extend(_starved_seconds(run))
    allocator = str(run.manifest["server"].get("allocator") or "unknown")
    if not allocator.startswith("jemalloc"):
        found.append(f"the server was built with {allocator}: its memory is not that of a production Redis")
    counts = run.counts_by_second
    own = (counts["command"] == "") & (counts["clock"] == "service")
    failed = counts.loc[own & counts["outcome"].isin(FAILED_OUTCOMES), "count"].sum()
    if failed and not run.manifest.get("drill"):  # there it is what was to be seen
        found.append(f"{int(failed):,} operations failed")
    return tuple(found)
