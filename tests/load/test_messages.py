from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest
from seeded import MARK, seeded

from amply_capacity.load import messages
from amply_capacity.load.campaign import Campaign
from amply_capacity.load.options import add_options, read_options
from amply_capacity.load.recorder import Recorder
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.endpoint import Endpoint
from amply_capacity.target.guard import Target
from amply_capacity.traffic.population import PopulationShape

_SHAPE = PopulationShape(users=100, organisations=10, api_keys=10, seed=3)


def _parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(arguments)


def _campaign(endpoint: Endpoint) -> Campaign:
    return Campaign(read_options(_parsed()), Target(endpoint, None), _SHAPE)


def test_a_batch_arrives_at_the_master_as_it_left_the_worker() -> None:
    recorder = Recorder()
    recorder.samples.append(recorder.label(("cache", "cached_read", "", "hit", "service")) + 70)
    recorder.access(0.0, "get", "cache:org:stats:1", None, None)
    recorder.access(0.0, "setex", "cache:org:stats:1", 9, 300.0)
    recorder.error("cache", "cached_read", "OOM")
    batch = recorder.drain()
    data: dict[str, Any] = {"stats": []}
    messages.pack(batch, data, 3, 2)
    assert messages.clients_and_through(data) == (3, 2)
    arrived = messages.unpack(msgpack.unpackb(msgpack.packb(data), strict_map_key=False))
    assert arrived is not None
    assert arrived == batch
    assert len(arrived.counts) == len(arrived.errors) == 1
    assert len(arrived.accesses) == 2
    sent_s = messages.sent_s(data)
    assert sent_s is not None
    assert 0.0 <= time.time() - sent_s < 60.0


def test_an_empty_batch_travels_and_a_report_without_one_has_none() -> None:
    data: dict[str, Any] = {}
    assert messages.unpack(data) is None
    assert messages.sent_s(data) is None
    assert messages.clients_and_through(data) == (0, 0)
    messages.pack(Recorder().drain(), data)
    arrived = messages.unpack(data)
    assert arrived is not None
    assert arrived.counts == arrived.accesses == arrived.events == []


def test_instructions_hold_no_secret() -> None:
    parsed = _parsed()
    parsed.expect_workers, parsed.num_users = 2, 8
    endpoint = Endpoint("host", 6379, username="app", password=seeded("sesame"))
    messages.instruct_workers(parsed, _campaign(endpoint), 2, {"vm_a": 0})
    assert MARK not in parsed.amply_instructions
    assert json.loads(parsed.amply_instructions)["shape"] == asdict(_SHAPE)


def test_a_workers_day_is_as_long_as_the_masters(redis_cluster: Cluster) -> None:
    parsed = _parsed("--arrivals", "day", "--rate", "100")
    parsed.num_users, parsed.run_time = 8, 60  # of Locust's own options a worker is told none
    options = read_options(parsed)
    assert options.day_seconds == 60
    target = Target(redis_cluster.endpoint, None)
    messages.instruct_workers(parsed, Campaign(options, target, _SHAPE), 1, {"vm_a": 0})
    parsed.run_time = None
    runner = SimpleNamespace(client_id="vm_a", worker_index=0)
    worker = messages.campaign_of_worker(
        SimpleNamespace(parsed_options=parsed, runner=runner))  # type: ignore[arg-type]
    assert worker.options.day_seconds == 60


def test_a_worker_that_joins_a_search_plays_its_rate_of_the_moment(redis_cluster: Cluster) -> None:
    parsed = _parsed("--knee", "--rate", "100")
    parsed.num_users = 8
    campaign = Campaign(read_options(parsed), Target(redis_cluster.endpoint, None), _SHAPE, clients=8)
    campaign.change_rate(6_400.0)
    messages.instruct_workers(parsed, campaign, 1, {"vm_a": 0})
    runner = SimpleNamespace(client_id="vm_a", worker_index=0)
    worker = messages.campaign_of_worker(
        SimpleNamespace(parsed_options=parsed, runner=runner))  # type: ignore[arg-type]
    assert worker.rate == 6_400.0
    schedule = worker.schedule
    assert schedule is not None
    assert schedule.moments([801.0])[0] - schedule.moments([1.0])[0] == pytest.approx(1.0)


def test_a_worker_takes_its_share_of_population_and_rate(redis_cluster: Cluster) -> None:
    parsed = _parsed("--arrivals", "poisson", "--rate", "100")
    parsed.expect_workers, parsed.num_users = 2, 8
    messages.instruct_workers(parsed, _campaign(redis_cluster.endpoint), 2, {"vm_a": 1})
    # The first has been given a share; the second is one that the master did not know: it follows its index.
    runners = [SimpleNamespace(client_id="vm_a", worker_index=5),
               SimpleNamespace(client_id="vm_b", worker_index=2)]
    campaigns = [
        messages.campaign_of_worker(SimpleNamespace(parsed_options=parsed, runner=runner))
        for runner in runners
    ]  # type: ignore[arg-type]
    assert [one.target.endpoint for one in campaigns] == [redis_cluster.endpoint] * 2
    assert [one.clients for one in campaigns] == [8] * 2
    assert [one.next_client() for one in campaigns] == [1, 0]
    users = [{one.application()._population.draw_user() for _ in range(300)} for one in campaigns]
    assert not users[0] & users[1]
