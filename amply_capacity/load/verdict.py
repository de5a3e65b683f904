"""Whether a finished run can be believed, and what to change where it cannot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from amply_capacity.run.phase import phase_seconds

__all__ = ["judge"]

_BOUND_SHARE = 0.5  # of the measured seconds
_FEWEST_SECONDS = 3
_EASY_SHARE = 0.7  # of a core, that a generator process with a schedule to keep may use


def judge(tables: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any],
          broken_off: str = "") -> tuple[str, str]:
    """The verdict of a run, and its reason in a sentence; empty for a complete one without a blemish.

    `tables` are `requests`, `server` and `events` with their details as dicts. Generator-bound when the
    generator was the bottleneck in more than half of the measured seconds; with fewer the run is complete,
    its reason names them, and the models leave them out.
    """
    events, requests = tables["events"], tables["requests"]
    phase = phase_seconds(events, requests)
    seconds = 0 if phase is None else phase[1] - phase[0] + 1
    lost = _lost(manifest)
    if broken_off or lost:
        return "partial", "; ".join(reason for reason in (broken_off, lost) if reason)
    if phase is None:
        has_begun = ((events["kind"] == "phase") & (events["name"] == "measured")).any()
        return "partial", ("the load began, but no operation ended in it" if has_begun else
                           "it has no measured phase: it ended before the load began")
    if seconds < _FEWEST_SECONDS:
        return "partial", f"it is too short to say anything: {max(seconds, 0)} whole seconds of load"
    bound = len(manifest.get("generator_bound_seconds") or ())
    if not bound:
        return "complete", ""
    marks = pd.DataFrame(events.loc[events["name"] == "bottleneck", "detail"].tolist())
    cause = str(marks["cause"].mode().iloc[0])
    marks = marks[marks["cause"] == cause]
    processes = _processes(events)
    busiest = marks.groupby("pid")["cpu_percent"].median()
    if cause == "cpu":
        which = "its one process" if processes == 1 else f"{len(busiest)} of its {processes} processes"
        symptom = f"{busiest.median():.0f} % of a core in {which}"
        remedy = _more_processes(tables, manifest, processes, phase)
    elif cause == "starved":
        symptom = (f"it got {busiest.median():.0f} % of a core, and waited for one in another "
                   f"{marks['wait_percent'].median():.0f} % of the time")
        remedy = f"leave it {_cores(processes)} of its own, or load from another host with --worker"
    elif cause == "stolen":
        symptom = (f"it got {busiest.median():.0f} % of a core, which the hypervisor gave to others for "
                   f"{marks['stolen_percent'].median():.0f} % of the time")
        remedy = ("load from a machine whose cores are its own (no burstable one without credits), or spread "
                  "the load over hosts with --worker")
    else:
        symptom = f"its event loop stood still for up to {marks['lag_ms'].max():.0f} ms"
        remedy = f"leave it {_cores(processes)} of its own: something else stops it"
    verdict = "generator-bound" if bound > _BOUND_SHARE * seconds else "complete"
    left_out = "" if verdict == "generator-bound" else ", which the models leave out"
    return verdict, (f"the generator was the bottleneck in {bound} of {seconds} s{left_out} ({symptom}): "
                     f"{remedy}")


def _lost(manifest: Mapping[str, Any]) -> str:
    names = [f"worker {one['worker_id']}" for one in manifest.get("lost_workers", ())]
    if not names:
        return ""
    return f"{' and '.join(names)} {'was' if len(names) == 1 else 'were'} lost; its data up to then is kept"


def _processes(events: pd.DataFrame) -> int:
    load = events.loc[(events["kind"] == "generator") & (events["name"] == "load"), "detail"]
    return len({detail["pid"] for detail in load if detail.get("role") != "master"})


def _more_processes(tables: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any], processes: int,
                    phase: tuple[int, int]) -> str:
    """What would keep up: from CPU per operation and the rate asked for, or from what the server can do."""
    first, last = phase
    requests = tables["requests"]
    done = int(requests.loc[(requests["clock"] == "service") & (requests["command"] == "")
                            & requests["second"].between(first, last), "count"].sum())
    rate, cpu_seconds = manifest.get("rate_per_second"), _cpu_seconds(tables["events"], first, last)
    other = ""
    if (tables["events"]["kind"] == "knee").any() or manifest.get("arrivals") == "day":
        needed = processes + 1  # for the rates that were too much, which --rate does not say
    elif rate and done:
        needed = max(math.ceil(float(rate) * cpu_seconds / done / _EASY_SHARE), processes + 1)
        easy = _EASY_SHARE * processes * done / cpu_seconds if cpu_seconds else 0.0
        other = f", or lower --rate to {_round_down(easy):,}" if easy < float(rate) else ""
    else:
        server = tables["server"]
        engine = server.loc[server["second"].between(first, last), "EngineCPUUtilization"].median()
        share = min(max(float(engine) / 100.0, 0.05), 1.0) if engine == engine else 1.0
        needed = max(math.ceil(processes / share), processes + 1)
        easy = _EASY_SHARE * done / (last - first + 1)
        other = f", or set a rate that it can keep with --arrivals poisson --rate {_round_down(easy)}"
    cores = (manifest.get("generator") or {}).get("host_cores")
    where = ""
    if cores and needed >= cores:
        where = f" (this host has {_cores(int(cores))}, and the server needs one: add hosts with --worker)"
    return f"raise --processes to {needed}{where}{other}"


def _cpu_seconds(events: pd.DataFrame, first: int, last: int) -> float:
    """CPU that the processes which play the load used in the measured seconds."""
    load = events.loc[(events["kind"] == "generator") & (events["name"] == "load"), "detail"]
    return float(sum(detail["cpu_percent"] * detail["seconds"] / 100.0 for detail in load
                     if detail.get("role") != "master" and first <= detail.get("second", -1) <= last))


def _cores(count: int) -> str:
    return "a core" if count == 1 else f"{count} cores"


def _round_down(rate: float) -> int:
    """To two digits: it is advice, not a measurement."""
    if rate < 10.0:
        return max(int(rate), 1)
    step = int(10 ** (int(math.log10(rate)) - 1))
    return int(rate // step) * step
