"""How the code connects: replies as bytes, pools, and Celery's result backend."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from amply_capacity.ops import sources
from amply_capacity.ops.circumstances import Circumstances
from amply_capacity.ops.configuration import Configuration, Place
from amply_capacity.ops.finding import Hit, Rule
from amply_capacity.ops.redis_clients import Client
from amply_capacity.ops.redis_code import Code, Function, parts_of_key

__all__ = ["RULES"]

_COLLECTIONS = {"smembers", "lrange", "zrange", "zrevrange", "hkeys", "hvals", "keys", "sort", "srandmember",
                "spop", "scan_iter", "sscan_iter", "hgetall", "sinter", "sunion", "sdiff"}
_BACKEND = "result_backend"
_USUAL_POOL = 100
"""redis-py 8's `max_connections`; before 8 a pool had no limit."""


def _not_decoded(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    code = configuration.code
    for client in code.clients.values():
        if client.decodes is not False or client.is_pool:
            continue
        found = [(function, example) for function in code.functions
                 if (example := _bytes_in_key(code, function, client))]
        if not found:
            continue
        made = code.clients.get(client.pool or "", client)  # what is given a pool decodes as that does
        decoding = ast.keyword("decode_responses", ast.Constant(True))
        called = ast.Call(made.call.func, made.call.args, [*made.call.keywords, decoding])
        names = ", ".join(function.name for function, _ in found)
        example = found[0][1]
        yield Hit(f"{client.name} does not decode replies, so {names} put bytes into a key: `{example[0]}` "
                  f"becomes {example[1]}, a key that nobody wrote. What is meant is not found, so not "
                  "deleted either: after a log-out everywhere its sessions are still valid",
                  f"write `{made.name} = {ast.unparse(called)}`", Place(made.call.lineno, made.name))


def _bytes_in_key(code: Code, function: Function, client: Client) -> tuple[str, str] | None:
    """The first f-string of a command's key that has a member of a reply in it, and what it becomes."""
    replies = {command.result for command in function.commands
               if command.receiver == client.name and command.name in _COLLECTIONS and command.result}
    members = {name for name, iterated in function.loops.items() if _is_reply(iterated, replies, client)}
    for command in function.commands:
        keys = (one for argument in command.node.args for one in ast.walk(argument)
                if isinstance(one, ast.JoinedStr))
        for key in keys:
            if any(isinstance(part, ast.Name) and part.id in members for part in parts_of_key(key)):
                pattern = code.pattern(key, function) or "*"
                return ast.unparse(key), "b'…'".join(pattern.rsplit("*", 1))
    return None


def _is_reply(iterated: ast.expr, replies: set[str], client: Client) -> bool:
    if isinstance(iterated, ast.Name):
        return iterated.id in replies
    return (isinstance(iterated, ast.Call) and isinstance(iterated.func, ast.Attribute)
            and iterated.func.attr in _COLLECTIONS and ast.unparse(iterated.func.value) == client.name)


def _no_limit(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    clients = configuration.code.clients
    pools = [one for one in clients.values() if one.is_pool]
    for client in clients.values():
        if client.is_pool or client.pool or client.keyword("max_connections") or not pools:
            continue
        yield Hit(f"{client.name} has a pool of its own beside {pools[0].name}, of up to {_USUAL_POOL} "
                  "connections a process (without limit before redis-py 8): the commands that go through it "
                  f"are not held by {pools[0].name}'s limit",
                  f"write `{client.name} = redis.Redis(connection_pool={pools[0].name})`",
                  Place(client.call.lineno, client.name))


def _raising(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for client in configuration.code.clients.values():
        size = configuration.code.number(client.keyword("max_connections"))
        if size is None or client.is_blocking:
            continue
        blocking = ast.unparse(client.call).replace("ConnectionPool", "BlockingConnectionPool")
        if client.is_pool:
            fix = f"write `{client.name} = {blocking[:-1]}, timeout=1)`, which waits up to a second"
        else:
            fix = "give it a `redis.BlockingConnectionPool` as `connection_pool`, which waits"
        yield Hit(f"{client.name} raises “Too many connections” at once for every command beyond {size:g} at "
                  "a time, so that a stall of some milliseconds fails requests", fix,
                  Place(client.call.lineno, client.name))


def _celery_tls(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    code = configuration.code
    if any(_said(code, "redis_backend_use_ssl")):
        return
    for value in _said(code, _BACKEND):
        url = _url_of(code, value)
        if url is not None and url.startswith("rediss://") and "ssl_cert_reqs" not in url:
            yield Hit("Celery's result backend gets a rediss:// URL without ssl_cert_reqs, and refuses it "
                      "with a ValueError when a task stores its first result",
                      f"write `{_BACKEND}=f\"{{{ast.unparse(value)}}}?ssl_cert_reqs=required\"`",
                      Place(value.lineno, _BACKEND))


def _celery_shards(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    sharded = next((cache for cache in configuration.caches if (cache.shards or 1) > 1), None)
    backend = next(_said(configuration.code, _BACKEND), None)
    if sharded and backend:
        yield Hit(f"{sharded.name} has {sharded.shards} shards, and Celery's Redis result backend speaks to "
                  "one server: it does not follow MOVED",
                  "keep Celery's results on a replication group with `NumNodeGroups: 1` and cluster mode "
                  "disabled", Place(backend.lineno, _BACKEND))


def _said(code: Code, name: str) -> Iterator[ast.expr]:
    """What a setting of Celery is given, by keyword or by assignment: `app.conf.result_backend = …`."""
    for node in code.nodes():
        if isinstance(node, ast.keyword):
            names = [node.arg]
        elif isinstance(node, ast.Assign):
            names = [ast.unparse(target).rpartition(".")[2] for target in node.targets]
        else:
            continue
        if name in names:
            yield node.value


def _url_of(code: Code, value: ast.expr) -> str | None:
    """The text, where it, or a name like it (`settings.redis_url`, `redis_url`), is given one in the code."""
    if isinstance(value, ast.Constant):
        return str(value.value)
    if isinstance(value, ast.JoinedStr):
        inside = [one.value if isinstance(one, ast.FormattedValue) else one for one in value.values]
        return "".join(_url_of(code, one) or "" for one in inside)
    known = code.constants.get(ast.unparse(value).rpartition(".")[2])
    return _url_of(code, known) if isinstance(known, ast.Constant | ast.JoinedStr) else None


RULES = (
    Rule("replies-not-decoded", "error", sources.REDIS_PY, _not_decoded),
    Rule("client-beside-the-pool", "advice", sources.REDIS_PY, _no_limit),
    Rule("pool-raises", "advice", sources.REDIS_PY, _raising),
    Rule("celery-tls-requirements", "error", sources.CELERY_TLS, _celery_tls),
    Rule("celery-on-shards", "error", sources.CELERY_CLUSTER, _celery_shards),
)
