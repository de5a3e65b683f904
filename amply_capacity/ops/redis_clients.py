"""The clients and pools of Redis that Python makes, by the names that it gives them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Client", "clients_of", "is_named", "unwrapped"]

_MAKERS = {"from_url", "Redis", "StrictRedis", "ConnectionPool", "BlockingConnectionPool", "RedisCluster",
           "Valkey", "ValkeyCluster"}


@dataclass(frozen=True, slots=True)
class Client:
    """A client or a pool, where it is made."""

    name: str
    maker: str
    """E.g. `redis.ConnectionPool.from_url`."""
    call: ast.Call
    decodes: bool | None
    """Whether replies become text; None where arguments hide it."""
    pool: str | None = None
    """The name of the pool that it is given."""

    @property
    def is_pool(self) -> bool:
        return "ConnectionPool" in self.maker

    @property
    def is_blocking(self) -> bool:
        """Waits for a connection where all are taken."""
        return "BlockingConnectionPool" in self.maker

    def keyword(self, name: str) -> ast.expr | None:
        return next((one.value for one in self.call.keywords if one.arg == name), None)


def unwrapped(expression: ast.expr) -> ast.expr:
    """Without `await`."""
    return expression.value if isinstance(expression, ast.Await) else expression


def is_named(node: ast.AST, name: str) -> bool:
    """`name` itself, or an attribute of that name."""
    return (isinstance(node, ast.Name) and node.id == name) or (
        isinstance(node, ast.Attribute) and node.attr == name)


def clients_of(trees: Sequence[ast.Module]) -> dict[str, Client]:
    """Every client and pool by the name that it is assigned to; what is given a pool decodes as that does."""
    found: dict[str, Client] = {}
    for tree in trees:
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Assign) and len(node.targets) == 1):
                continue
            made = unwrapped(node.value)
            if not (isinstance(made, ast.Call) and _is_maker(made.func)):
                continue
            name = ast.unparse(node.targets[0])
            found[name] = _client(name, made)
    for name, client in found.items():
        if client.pool in found:
            pool = found[client.pool]
            found[name] = Client(name, client.maker, client.call, pool.decodes, client.pool)
    return found


def _is_maker(function: ast.expr) -> bool:
    words = ast.unparse(function)
    return words.rpartition(".")[2] in _MAKERS and ("edis" in words or "Pool" in words or "alkey" in words)


def _client(name: str, call: ast.Call) -> Client:
    given = {one.arg: one.value for one in call.keywords}
    said = given.get("decode_responses")
    hidden = None in given or any("decode_responses" in ast.unparse(one) for one in call.args)
    decodes: bool | None = False
    if isinstance(said, ast.Constant):
        decodes = bool(said.value)
    elif said is not None or hidden:
        decodes = None
    pool = given.get("connection_pool")
    return Client(name, ast.unparse(call.func), call, decodes, None if pool is None else ast.unparse(pool))
