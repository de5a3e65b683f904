"""The question about a run's hit rate: what the run knows of its server, and what it had itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_run import command_stats

from amply_capacity.files import EXAMPLE_RUN
from amply_capacity.model.digest import hit_rate
from amply_capacity.model.emulator import SADD, SET, TTL
from amply_capacity.model.hit_rate import Question, answer, setting_of
from amply_capacity.model.layout import Layout
from amply_capacity.model.workload import Workload, workload_of
from amply_capacity.run.reader import Run, read_run

PLENTY = 402_653_184


@pytest.fixture(scope="module")
def example() -> Run:
    return read_run(EXAMPLE_RUN)


@pytest.fixture(scope="module")
def workload(example: Run) -> Workload:
    return workload_of(example, Layout())


def test_a_recorded_run_is_predicted_as_it_was(example: Run) -> None:
    """Half of its keys were sampled, and most stood there before: the rest is arithmetic and chance."""
    found = answer(example, Question([PLENTY])).predictions[0]
    assert found.hit_rate is not None
    measured = hit_rate(example)
    assert measured is not None
    assert abs(found.hit_rate.mid - measured) < 0.01
    assert found.hit_rate.low <= measured <= found.hit_rate.high
    samples = example.in_sound_samples(example.server)
    info = samples["CacheHits"].sum() / (samples["CacheHits"].sum() + samples["CacheMisses"].sum())
    assert found.info_hit_rate is not None
    assert abs(found.info_hit_rate.mid - info) < 0.005
    assert found.used_bytes == pytest.approx(samples["info_used_memory"].iloc[-1], rel=0.02)
    assert found.evictions.mid == 0.0


def test_its_server_says_how_it_is_set_up(example: Run) -> None:
    setting = setting_of(example, Question([PLENTY]))
    config = example.manifest["server"]["config"]
    assert setting.policy == config["maxmemory-policy"]
    assert setting.samples == int(config["maxmemory-samples"])
    assert setting.layout.allocator.name == "debian"
    assert setting.fixed_bytes.low > example.manifest["server"]["used_memory_startup"]


def test_what_is_asked_for_comes_first(example: Run) -> None:
    setting = setting_of(example, Question([PLENTY], "allkeys-lru", 7, 0, "bundled"))
    assert (setting.policy, setting.samples, setting.layout.allocator.name) == ("allkeys-lru", 7, "bundled")
    more = setting_of(example, Question([PLENTY], connections=500))
    assert more.fixed_bytes.mid - setting.fixed_bytes.mid > 500 * 20_000


def served_by(example: Run, **server: object) -> Run:
    return replace(example, manifest={**example.manifest, "server": {**example.manifest["server"], **server}})


@pytest.mark.parametrize(("engine", "version", "allocator"), [
    ("redis", "6.2.14", "debian"), ("redis", "7.0.15", "debian"), ("redis", "7.2.4", "bundled"),
    ("valkey", "8.0.1", "bundled")])
def test_jemalloc_5_3_is_the_servers_own_from_7_2_on(example: Run, engine: str, version: str,
                                                     allocator: str) -> None:
    run = served_by(example, engine=engine, version=version, allocator="jemalloc-5.3.0")
    assert setting_of(run, Question([PLENTY])).layout.allocator.name == allocator


def test_a_command_counts_once_however_many_nodes_it_was_called_on(make_run: Callable[..., Run]) -> None:
    """Each server keeps one histogram a command."""
    stats = command_stats({"get": 1.0, "setex": 2.0, "incr": 1.0})
    one, three = (setting_of(make_run(commands=[{**row, "node": f"127.0.0.1:{7000 + node}"}
                                                for node in range(nodes) for row in stats]),
                             Question([PLENTY])) for nodes in (1, 3))
    assert three.fixed_bytes == one.fixed_bytes


def test_a_server_other_than_the_emulated_one_is_an_assumption(example: Run) -> None:
    words = "the server is valkey 8.0.1: its keys were sized, and evicted, as redis 7.0 does"
    other = served_by(example, engine="valkey", version="8.0.1")
    assert words in answer(other, Question([PLENTY])).as_json()["assumptions"]
    for same in (example, served_by(example, engine=None, version=None)):
        assert not any("the server is" in one
                       for one in answer(same, Question([PLENTY])).as_json()["assumptions"])


def test_the_keys_that_the_pre_fill_wrote_stand_before_the_first_access(example: Run,
                                                                        workload: Workload) -> None:
    before = slice(0, workload.measured_from)
    assert (workload.commands.times[before] == 0).all()
    written = np.unique(workload.commands.keys[before])
    prefilled = sum(detail["keys"] for name, detail in zip(example.events["name"], example.events["detail"],
                                                           strict=True) if name.startswith("prefill:"))
    assert len(written) / workload.sampling_rate == pytest.approx(prefilled, rel=0.02)
    sets = workload.commands.ops[before] == SADD
    assert np.count_nonzero(sets) / len(np.unique(workload.commands.keys[before][sets])) == pytest.approx(
        5.5 / (1.0 - example.manifest["population"]["stale_share"]), rel=0.05)


def test_a_look_at_the_ttl_comes_with_every_touch(example: Run, workload: Workload) -> None:
    after = workload.commands.ops[workload.measured_from:]
    touches = int(example.commands.loc[example.commands["command"] == "ttl", "calls"].iloc[0])
    assert np.count_nonzero(after == TTL) / workload.sampling_rate == pytest.approx(touches, rel=0.1)


def test_reads_that_a_miss_fills_say_with_what(example: Run, workload: Workload) -> None:
    after = slice(workload.measured_from, None)
    reads = (workload.commands.ops[after] == 0) & (workload.commands.sizes[after] > 0)
    cached = example.accesses[(example.accesses["key_class"] == "cache") & (example.accesses["op"] == "get")]
    assert np.count_nonzero(reads) == len(cached)
    assert not any("cache" in str(key) for key in workload.key_classes)
    filling = (workload.commands.ops[after] == SET).sum()
    sets = example.accesses["op"].isin(["set", "setex"])
    assert filling == np.count_nonzero(sets & (example.accesses["key_class"] != "cache"))


def test_what_is_assumed_is_said(workload: Workload) -> None:
    words = " ".join(workload.assumptions)
    assert "cache:* that misses is filled" in words
    assert "keys were there before" in words


def test_of_many_accesses_those_of_a_share_of_the_keys_are_kept(example: Run) -> None:
    part = workload_of(example, Layout(), most_accesses=10_000)
    assert part.sampling_rate == pytest.approx(0.5 * 10_000 / len(example.accesses), rel=0.01)
    played = len(part.commands.times) - part.measured_from
    assert played < 20_000
    assert any("of the keys were played" in words for words in part.assumptions)


def test_less_memory_than_the_run_had_evicts(example: Run) -> None:
    plenty, less = answer(example, Question([PLENTY, 110_000_000])).predictions
    assert less.evictions.low > 1000
    assert less.hit_rate is not None
    assert plenty.hit_rate is not None
    assert less.hit_rate.mid < plenty.hit_rate.mid - 0.02


def test_the_answer_is_plain_json(example: Run) -> None:
    found = answer(example, Question([PLENTY])).as_json()
    [one] = found["predictions"]
    assert set(one) >= {"maxmemory_bytes", "hit_rate", "low", "high", "evictions"}
    assert one["low"] <= one["hit_rate"] <= one["high"]
    assert found["sampling_rate"] == 0.5
    assert Path(EXAMPLE_RUN).exists()
