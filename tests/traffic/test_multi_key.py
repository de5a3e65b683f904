"""Redis Cluster: which form of deleting a user's sessions works there, and whether Celery's commands do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import redis
from celery import Celery
from celery.app.task import Context
from redis.crc import key_slot
from sharded_servers import sharded_servers

from amply_capacity.traffic import celery_results, sessions
from amply_capacity.traffic.application import OPERATIONS, Application
from amply_capacity.traffic.identifiers import uuid8_text
from amply_capacity.traffic.mix import CELERY_MIX, SESSIONS_MIX, MixDraw
from amply_capacity.traffic.operation import OK, Command, play
from amply_capacity.traffic.population import Population, PopulationShape
from amply_capacity.traffic.prefill import prefill_plan
from amply_capacity.traffic.sessions import MULTI_KEY_FORMS, MultiKey

from .conftest import NOW_S

SHAPE = PopulationShape(users=40, organisations=5, api_keys=5, sessions_per_user=4.0, seed=7, stale_share=0.2)


class Sharded:
    """Three primaries, and the routing of a client that follows the slot of a command's first key."""

    def __init__(self, ports: tuple[int, ...]) -> None:
        self.clients = [redis.Redis(port=port, decode_responses=True, single_connection_client=True)
                        for port in ports]
        self.transaction: list[Command] | None = None

    def at(self, key: str) -> Any:
        slot = key_slot(key.encode())
        return self.clients[0 if slot <= 5_460 else 1 if slot <= 10_922 else 2]

    def elsewhere(self, key: str) -> Any:
        return next(client for client in self.clients if client is not self.at(key))

    def answer(self, command: Command) -> Any:
        """A transaction goes whole to the server of its first key."""
        if command == ("MULTI",):
            self.transaction = []
        if self.transaction is None:
            return self.at(str(command[1])).execute_command(*command)
        self.transaction.append(command)
        if command != ("EXEC",):
            return "QUEUED"
        queued, self.transaction = self.transaction, None
        return transact(self.at(str(queued[1][1])), queued[1:-1])

    def keys(self) -> set[str]:
        return {key for client in self.clients for key in client.scan_iter()}


def transact(client: Any, commands: list[Command]) -> Any:
    """MULTI, the commands, EXEC, as they stand: the replies of EXEC."""
    pipeline = client.pipeline(transaction=True)
    for command in commands:
        pipeline.execute_command(*command)
    return pipeline.execute()


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sharded]:
    with sharded_servers(tmp_path_factory.mktemp("sharded")) as ports:
        servers = Sharded(ports)
        yield servers
        for client in servers.clients:
            client.close()


@pytest.fixture
def sharded(started: Sharded) -> Sharded:
    for client in started.clients:
        client.flushall()
    return started


def filled(sharded: Sharded, form: MultiKey) -> Application:
    population = Population(replace(SHAPE, multi_key=form))
    for entry in prefill_plan(population, 1.0, NOW_S, counters=0, results=0, cached=0):
        for command in entry.commands():
            sharded.answer(command)
    return Application(population, clock=lambda: NOW_S)


def test_the_specs_deletion_fails_on_a_sharded_cluster_and_leaves_every_session_alive(
        sharded: Sharded) -> None:
    filled(sharded, "spec")
    before, population = sharded.keys(), Population(SHAPE)
    user = next(user for user in range(SHAPE.users) if population.session_count(user) > 3)
    with pytest.raises(redis.exceptions.ClusterCrossSlotError):
        play(sessions.log_out_everywhere(population.user_id(user)), sharded.answer)
    assert sharded.keys() == before


@pytest.mark.parametrize("form", ["per-key", "hash-tag"])
def test_the_other_forms_delete_the_sessions_and_the_index(form: MultiKey, sharded: Sharded) -> None:
    app = filled(sharded, form)
    population = Population(replace(SHAPE, multi_key=form))
    for _ in range(200):
        assert play(app.log_out_everywhere(), sharded.answer)[0] == OK
    left = sharded.keys()
    assert len(app.changed_users()) > 20
    for user in app.changed_users():
        assert f"user_sessions:{population.index_id(user)}" not in left
        assert not {f"session:{one}" for one in population.session_ids(user)} & left


@pytest.mark.parametrize("form", MULTI_KEY_FORMS)
def test_every_other_operation_works_on_a_sharded_cluster_as_it_stands(
        form: MultiKey, sharded: Sharded) -> None:
    app = filled(sharded, form)
    for mix in ({**SESSIONS_MIX, "log_out_everywhere": 0, "check": 50, "cached_read": 50}, CELERY_MIX):
        draw = MixDraw(mix, seed=1)
        for _ in range(500):
            play(getattr(app, OPERATIONS[draw.draw()].method)(), sharded.answer)
    assert sum(bool(client.dbsize()) for client in sharded.clients) == 3


def test_hash_tags_put_a_users_keys_into_one_slot_and_users_into_many() -> None:
    population = Population(replace(SHAPE, multi_key="hash-tag"))
    slots = set()
    for user in range(SHAPE.users):
        keys = [f"user_sessions:{population.index_id(user)}",
                *(f"session:{one}" for one in population.session_ids(user))]
        (slot,) = {key_slot(key.encode()) for key in keys}
        slots.add(slot)
    assert len(slots) > SHAPE.users * 0.9


def test_hash_tags_cost_the_stated_memory(client: redis.Redis) -> None:
    users = 4_096  # tables of the same size in both forms, and as many sessions as users
    shape = replace(SHAPE, users=users, sessions_per_user=1.0, stale_share=0.0)
    taken = {}
    for form in ("spec", "spec", "hash-tag"):  # a command's first call allots 25 kB for its latencies
        client.flushall()
        before = client.info("memory")["used_memory"]
        population = Population(replace(shape, multi_key=form))
        for entry in prefill_plan(population, 1.0, NOW_S, counters=0, results=0, cached=0):
            for command in entry.commands():
                client.execute_command(*command)
        taken[form] = client.info("memory")["used_memory"] - before
    # 32 bytes a session, and at most a class of 16 for the index's key.
    assert 32 - 6 <= (taken["hash-tag"] - taken["spec"]) / users <= 32 + 16


TASKS = [uuid8_text(Random(number).getrandbits(88)) for number in range(12)]


@pytest.mark.parametrize("task", TASKS[:4])
def test_celerys_transaction_holds_on_the_server_of_its_key_since_a_channel_has_no_slot(
        task: str, sharded: Sharded) -> None:
    assert play(celery_results.store_result(task, 7, NOW_S), sharded.answer)[0] == OK
    key = f"celery-task-meta-{task}"
    assert sharded.at(key).ttl(key) == 3600
    # On any other server the key is refused, and the transaction with it: nothing is published either.
    with pytest.raises(redis.RedisError) as fault:
        transact(sharded.elsewhere(key), [("SETEX", key, 3600, "x"), ("PUBLISH", key, "x")])
    assert isinstance(fault.value, redis.exceptions.MovedError | redis.exceptions.ExecAbortError)


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
def test_celerys_own_backend_follows_no_redirection(sharded: Sharded, request: pytest.FixtureRequest) -> None:
    """It speaks to the one server that it is given, and stores the results of that server's slots alone."""
    celery = Celery("amply", backend=_url(sharded.clients[0]), set_as_current=False)
    request.addfinalizer(celery.close)
    request.addfinalizer(celery.backend.client.close)
    request.addfinalizer(celery.backend.result_consumer.stop)
    stored, refused = 0, 0
    for task in TASKS:
        try:
            celery.backend.mark_as_done(task, 1, request=Context(id=task, children=[]))
            stored += 1
            assert sharded.at(f"celery-task-meta-{task}") is sharded.clients[0]
        except redis.exceptions.MovedError:
            refused += 1
    assert stored
    assert refused > stored


def _url(client: Any) -> str:
    return f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}/0"
