"""One observation of a real node: a run or a benchmark of it, held against the same of the recording host."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

from amply_capacity.catalog.cpu_speed import published_gains, version_numbers
from amply_capacity.catalog.nodes import NodeType
from amply_capacity.errors import BadInput, BadRun
from amply_capacity.interval import Interval
from amply_capacity.model.cpu import commands_per_second, cpu_us_per_command
from amply_capacity.model.node_speed import Observation, cpu_factor
from amply_capacity.run.benchmark_file import Benchmark
from amply_capacity.run.reader import Run

__all__ = ["MOST_RATE_RATIO", "host_command", "need_node_run", "observe_benchmark", "observe_run"]

PLAUSIBLE = (0.2, 10.0)
"""Factors beyond are no observation of the node type that was named."""
RUN_NOISE, BENCHMARK_NOISE = 0.10, 0.15
"""Standard deviation of the logarithm: of two CPU clocks; of a rate, in which client and network are."""
MOST_RATE_RATIO = 1.5
"""Between a run of the node and one of the host: a command costs less at a higher rate."""
_RATE_SLOPE = 0.4
# Of log CPU over log rate, the steepest of 3.55 + 15.53/(1 + rate/18464) µs: redis 7.0.15, GET, 2k to 135k/s.
_ENGINE_SHARE = Interval(0.38, 0.55, 0.80)
# Of a core that a local server uses under redis-benchmark: 0.38 to 0.71 in 12 runs here, 10 to 200 clients.
_LIMIT_SHARE = 0.95
# The same of an engine at its limit: AWS calls 90 % of EngineCPUUtilization the limit.
_IN_FLIGHT, _QUEUED, _SLOWER = 0.9, 3.0, 1.67
_Z = NormalDist().inv_cdf(0.95)
_SWITCH = {True: "on", False: "off", None: None}


def observe_run(node: Run, host: Run, node_type: NodeType, *, was_limit: bool | None = None) -> Observation:
    """CPU per command by the node's own clock over the host's, in two runs of the same load.

    Censored where the run's generator was the bottleneck, where an open loop did not reach its rate although
    the engine had CPU to spare, or where a burstable node is so slow that it was probably throttled: a
    throttled clock counts what it waited. `was_limit` overrules. Raises BadRun with all faults at once.
    """
    need_node_run(node)
    faults, notes = _differences(node, host)
    cpu = {"node": cpu_us_per_command(node), "host": cpu_us_per_command(host)}
    rates = {"node": commands_per_second(node), "host": commands_per_second(host)}
    faults += [f"the {side}'s run does not tell its CPU per command" for side in cpu if cpu[side] is None]
    ratio = max(rates.values()) / max(min(rates.values()), 1e-9)
    if ratio > MOST_RATE_RATIO:
        faults.append(f"{rates['node']:,.0f} and {rates['host']:,.0f} commands a second: a command costs "
                      "less at a higher rate")
    if faults or cpu["node"] is None or cpu["host"] is None:
        raise BadRun("these two runs cannot be compared", got="; ".join(faults),
                     do=f"record the node's load again on a local cluster, e.g. {host_command(node)}")
    spread = [math.log(one.high / one.low) / (2.0 * _Z) for one in cpu.values() if one is not None]
    noise = math.hypot(RUN_NOISE, _RATE_SLOPE * math.log(ratio), *spread)
    notes += _io_notes(node_type)
    figures = {"node_cpu_us_per_command": cpu["node"].mid, "host_cpu_us_per_command": cpu["host"].mid,
               "node_commands_per_second": rates["node"], "host_commands_per_second": rates["host"]}
    return _observation(node_type, cpu["node"].mid / cpu["host"].mid, noise, figures, notes, was_limit,
                        censored=_run_limit(node), sound="two CPU clocks at the same load")


def need_node_run(run: Run) -> None:
    """Raise BadRun for a run of key accesses alone, or of a local cluster."""
    run.need_load()
    if run.manifest.get("target", {}).get("kind") == "local cluster":
        raise BadRun(f"run {run.name} tells of this host, not of a node",
                     got=f"a local cluster, {run.manifest['target'].get('url')}",
                     do="mark the node as a test target, and record the same load with --target URL")


def host_command(node: Run) -> str:
    """The locust command that records the load of that run on a local cluster."""
    manifest = node.manifest
    users, target = manifest.get("locust_users") or 50, manifest.get("target", {})
    first, last = node.measured_seconds
    rate = node.sound_operations("service")["count"].sum() / max(len(node.sound_seconds), 1)
    words = [f"locust -f loadtests/{manifest['scenario']}.py --headless -u {users} -r {users}",
             f"-t {max(last - first + 1, 30)}s --arrivals poisson --rate {max(rate, 1.0):.0f}"]
    if population := manifest.get("population", {}).get("users"):
        words.append(f"--population {population}")
    if target.get("tls"):
        words.append("--tls")
    return " ".join(words)


def observe_benchmark(node: Benchmark, host: Benchmark, node_type: NodeType, *,
                      was_limit: bool | None = None) -> Observation:
    """A benchmark of the node against the same one of the host.

    With two INFO in both, CPU clock over CPU clock. Else the node's time for a request, which a command's CPU
    cannot exceed, over the host's CPU per command. That is two-sided only where the engine was the limit: as
    `was_limit` says, or where hardly a request was with the client (in flight ≥ 0.9 of the clients), requests
    queued (mean latency ≥ 3 × the shortest) and the host did 1.67 times as many. Else the client or the
    network was, as nearly always with one redis-benchmark, and the observation is censored.

    Raises BadInput with the reason for pipelining, another engine version, or another benchmark.
    """
    for one in (node, host):
        one.need_single_requests()
    names = [test.name for test in node.tests if any(other.name == test.name for other in host.tests)]
    faults, notes = _benchmark_differences(node, host, names)
    if faults:
        raise BadInput("these two benchmarks cannot be compared", got="; ".join(faults),
                       do="run the same redis-benchmark against a local server of the same version, and give "
                       "its output with --host-benchmark")
    node_us, host_us = node.us_per_request(names), host.us_per_request(names)
    figures = {"node_us_per_request": node_us, "host_us_per_request": host_us}
    host_cpu, host_noise = host.cpu_us_per_command, 0.0
    if host_cpu is None:
        host_cpu = host_us * _ENGINE_SHARE.mid
        host_noise = math.log(_ENGINE_SHARE.high / _ENGINE_SHARE.low) / (2.0 * _Z)
        notes.append("the host's CPU per command is not stated: taken as "
                     f"{_ENGINE_SHARE.low:g} to {_ENGINE_SHARE.high:g} of its time for a request, as one "
                     "redis-benchmark uses of a local server's core")
    figures["host_cpu_us_per_command"] = host_cpu
    if node.cpu_us_per_command is not None:
        figures["node_cpu_us_per_command"] = node.cpu_us_per_command
        noise = math.hypot(RUN_NOISE, host_noise, _RATE_SLOPE * math.log(node_us / host_us))
        notes += _io_notes(node_type)
        return _observation(node_type, node.cpu_us_per_command / host_cpu, noise, figures, notes, was_limit,
                            censored=None, sound="two CPU clocks")
    censored = None if was_limit or _engine_was_limit(node, names, node_us, host_us) else (
        "the client or the network may have been its limit: nothing shows that the engine was")
    if censored:
        notes.append("a rate alone tells little; far more do two INFO of the node, from before and after, in "
                     "the same file, or --node-was-limit where its EngineCPUUtilization was 90 or more")
    share, noise = (1.0 if censored or was_limit is False else _LIMIT_SHARE), BENCHMARK_NOISE
    if node_type.enhanced_io:
        gain = _log_gain(node_type, node.engine or host.engine, node.version or host.version)
        share, noise = share * math.exp(gain / 2.0), math.hypot(noise, gain / 2.0 / _Z)
        notes.append("other cores do this node's I/O: by the published gains a request may cost up to "
                     f"{math.exp(gain):.3g} times the CPU that its rate shows; the middle is taken")
    return _observation(node_type, share * node_us / host_cpu, math.hypot(noise, host_noise), figures, notes,
                        was_limit, censored=censored, sound="the engine was at its limit")


def _observation(node_type: NodeType, factor: float, noise: float, figures: Mapping[str, float],
                 notes: list[str], was_limit: bool | None, *, censored: str | None,
                 sound: str) -> Observation:
    """`censored` is the reason why it is, if so; `sound` why it is not."""
    least, most = PLAUSIBLE
    if not least <= factor <= most:
        raise BadInput(f"this is no observation of {node_type.name}",
                       got=f"a command would cost {factor:.3g} times the host's CPU; {least:g} to {most:g} "
                       "are plausible", do="check --node-type, and that both sides ran the same load")
    prior = cpu_factor(node_type.family)
    # Three standard deviations above the family's middle.
    slowest = prior.mid * (prior.high / prior.mid) ** (3.0 / _Z)
    if censored is None and node_type.is_burstable and factor > slowest:
        censored = "it is far slower than its family: probably throttled to its credit baseline"
    if was_limit is not None:
        censored = None if was_limit else "the engine was not the limit, as --node-was-not-limit says"
        sound = "the engine was the limit, as --node-was-limit says" if was_limit else sound
    return Observation(node_type.family, factor, noise, censored is not None, censored or sound, figures,
                       tuple(notes))


def _io_notes(node_type: NodeType) -> list[str]:
    said = "other cores do this node's I/O: their CPU is in its clock, and what they wait busily"
    return [said] if node_type.enhanced_io else []


def _run_limit(node: Run) -> str | None:
    """What but the engine limited the run; None where nothing did."""
    if node.verdict == "generator-bound":
        return "the generator was the run's bottleneck"
    wanted = node.manifest.get("rate_per_second")
    if node.manifest.get("arrivals") == "closed" or not wanted:
        return None
    reached = node.sound_operations("service")["count"].sum() / len(node.sound_seconds)
    engine = node.in_sound_samples(node.server)["EngineCPUUtilization"].dropna()
    if reached < 0.9 * float(wanted) and (engine.empty or engine.mean() < 90.0):
        return (f"it reached {reached:,.0f} of {float(wanted):,.0f} operations a second though the engine "
                "had CPU to spare: credits, network or generator held it back")
    return None


def _engine_was_limit(node: Benchmark, names: list[str], node_us: float, host_us: float) -> bool:
    tests = [test for test in node.tests if test.name in names]
    return node_us >= _SLOWER * host_us and node.clients is not None and all(
        test.mean_ms is not None and test.min_ms is not None and test.mean_ms >= _QUEUED * test.min_ms
        and (node.in_flight_per_client(test) or 0.0) >= _IN_FLIGHT for test in tests)


def _differences(node: Run, host: Run) -> tuple[list[str], list[str]]:
    """What makes two runs of different kinds, and what is only worth a note."""
    faults: list[str] = []
    notes: list[str] = []
    targets = [run.manifest.get("target", {}) for run in (node, host)]
    if targets[1].get("kind") != "local cluster":
        faults.append(f"run {host.name} was not recorded on a local cluster")
    if host.verdict != "complete":
        faults.append(f"run {host.name} is {host.verdict}")
    servers = [(str(run.manifest["server"]["engine"]), str(run.manifest["server"]["version"]))
               for run in (node, host)]
    faults += _version_faults(servers[0], servers[1], notes)
    for name in ("scenario", "mix"):
        if node.manifest.get(name) != host.manifest.get(name):
            faults.append(f"another {name}" + (
                f": {node.manifest.get(name)} and {host.manifest.get(name)}" if name == "scenario" else ""))
    if bool(targets[0].get("tls")) != bool(targets[1].get("tls")):
        faults.append(f"TLS on the {'node' if targets[0].get('tls') else 'host'} alone, and it costs CPU")
    if node.manifest.get("population") != host.manifest.get("population"):
        notes.append("the runs differ in their population, which is taken to matter little")
    if targets[0].get("topology") != targets[1].get("topology"):
        notes.append("the runs differ in their topology: replication costs CPU too")
    return faults, notes


def _benchmark_differences(node: Benchmark, host: Benchmark, names: list[str]) -> tuple[list[str], list[str]]:
    faults: list[str] = []
    notes: list[str] = []
    if not names:
        faults.append(f"they share no test: {', '.join(test.name for test in node.tests)} and "
                      f"{', '.join(test.name for test in host.tests)}")
    by_clock = node.cpu_us_per_command is not None or host.cpu_us_per_command is not None
    if names and by_clock and {test.name for test in node.tests} != {test.name for test in host.tests}:
        faults.append("a CPU clock tells of all tests together, and they did not run the same ones")
    if node.version is None or host.version is None:
        sides = [side for side, one in (("node", node), ("host", host)) if one.version is None]
        notes.append(f"the engine version of the {' and the '.join(sides)} is not stated; it is taken to be "
                     "the same")
    else:
        faults += _version_faults((node.engine or "redis", node.version),
                                  (host.engine or "redis", host.version), notes)
    for what, one, other in (("clients", node.clients, host.clients),
                             ("bytes of payload", node.payload_bytes, host.payload_bytes),
                             ("random keys", node.keyspace, host.keyspace),
                             ("TLS", _SWITCH[node.tls], _SWITCH[host.tls])):
        if one != other and one is not None and other is not None:
            faults.append(f"they differ in {what}: {one} on the node, {other} on the host")
        elif one != other:
            notes.append(f"the {'node' if one is None else 'host'}'s output does not state {what}: taken as "
                         f"{other if one is None else one}, as on the other side")
    return faults, notes


def _version_faults(node: tuple[str, str], host: tuple[str, str], notes: list[str]) -> list[str]:
    """An engine's cost of a command changes from one minor version to the next; patches are noted."""
    numbers = [version_numbers(version) for _, version in (node, host)]
    if node[0] != host[0] or numbers[0][:2] != numbers[1][:2]:
        return [f"{' '.join(node)} on the node and {' '.join(host)} on the host: a command costs another "
                "amount in another version, which would be taken for the node's speed"]
    if numbers[0] != numbers[1]:
        notes.append(f"{' '.join(node)} on the node and {' '.join(host)} on the host: patches are taken to "
                     "cost the same")
    return []


def _log_gain(node_type: NodeType, engine: str | None, version: str | None) -> float:
    """Logarithm of what the published gains make of a rate together, at most; unknown versions as 7.0.4."""
    gains = published_gains(node_type, engine or "redis", version or "7.0.4")
    return sum(math.log1p(one.throughput_up_to_percent / 100.0) for one in gains
               if one.throughput_up_to_percent is not None)
