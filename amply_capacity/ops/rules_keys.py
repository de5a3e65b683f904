"""Keys that the code writes: without an end, with a lost or a dead TTL, several in one command."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from amply_capacity.ops import sources
from amply_capacity.ops.circumstances import Circumstances
from amply_capacity.ops.configuration import Configuration, Place
from amply_capacity.ops.finding import Hit, Rule, Severity
from amply_capacity.ops.redis_clients import is_named
from amply_capacity.ops.redis_code import Code, Command, Function

__all__ = ["RULES"]

_CREATES = {"sadd", "hset", "hmset", "hsetnx", "hincrby", "zadd", "zincrby", "lpush", "rpush", "xadd",
            "pfadd", "setnx", "append", "incr", "incrby", "decr", "decrby", "set", "getset"}
_EXPIRES = {"expire", "pexpire", "expireat", "pexpireat"}
_COUNTS = {"incr", "incrby", "decr", "decrby", "incrbyfloat"}
_SPELLED = {"delete": "DEL"}
_MULTI_KEY = {"delete", "unlink", "exists", "touch", "mget", "sinter", "sunion", "sdiff", "pfcount"}


def _without_ttl(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    code = configuration.code
    ends = {pattern for function, command in code.commands() if _gives_ttl(command)
            and (pattern := code.pattern(_key(command), function))}
    policies = {group.get("Parameters").entries["maxmemory-policy"].text or "" for group in
                configuration.parameter_groups if "maxmemory-policy" in group.get("Parameters").entries}
    seen: set[str] = set()
    for function, command in code.commands():
        pattern = code.pattern(_key(command), function)
        if (command.name not in _CREATES or _gives_ttl(command) or pattern is None or "*" not in pattern
                or pattern in ends or pattern in seen):
            continue
        seen.add(pattern)
        is_evicted = bool(policies) and all(policy.startswith("allkeys") for policy in policies)
        kept = next((policy for policy in sorted(policies) if policy.startswith("volatile")), None)
        why = f", and {kept} never evicts a key without one" if kept else ""
        ttls = [ast.unparse(other.ttl) for other in function.commands if other.ttl is not None]
        ttl = ttls[0] if ttls else "TTL_SECONDS"
        key = _key(command)
        name = "key" if key is None else ast.unparse(key)
        severity: Severity | None = "advice" if is_evicted else None
        yield Hit(f"{function.name} writes {pattern} with {command.name.upper()} and no TTL: there is one "
                  f"for every name that ever came, for ever{why}",
                  f"write behind it `{_await(command)}{command.receiver}.expire({name}, {ttl})`",
                  Place(command.line, function.name), severity)


def _gives_ttl(command: Command) -> bool:
    if command.name in _EXPIRES or command.ttl is not None:
        return True
    return command.name in {"set", "getex"} and any(
        one.arg in {"ex", "px", "exat", "pxat", "keepttl", None} for one in command.node.keywords)


def _lost_expire(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for function in configuration.code.functions:
        counts = [command for command in function.commands
                  if command.name in _COUNTS and not command.is_in_transaction]
        for expire in function.commands:
            if expire.name not in _EXPIRES or expire.is_in_transaction:
                continue
            count = next((one for one in counts if _same(_key(one), _key(expire)) and one.line <= expire.line
                          and any(_depends(test, one) for test in expire.conditions)), None)
            key = _key(expire)
            if count is None or key is None:
                continue
            written, wait = ast.unparse(key), _await(count)
            window = ast.unparse(expire.node.args[1]) if len(expire.node.args) > 1 else "window"
            result = count.result or "count"
            yield Hit(f"{function.name} counts with {count.name.upper()} and sets the TTL in a second "
                      "command, only after the first count: a client that dies between the two, or loses its "
                      "connection, leaves a counter without a TTL, and that key is limited for ever",
                      f"send both in one transaction: `{'async ' if wait else ''}with "
                      f"{count.receiver}.pipeline(transaction=True) as pipe:` `pipe.set({written}, 0, "
                      f"ex={window}, nx=True)`, `pipe.incr({written})`, `_, {result} = {wait}pipe.execute()`",
                      Place(expire.line, function.name))


def _dead_ttl(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for function in configuration.code.functions:
        read = {command.result for command in function.commands
                if command.name in {"ttl", "pttl"} and command.result is not None}
        for command in function.commands:
            ttl = command.argument(1, "time") if command.name in _EXPIRES else command.ttl
            if not (isinstance(ttl, ast.Name) and ttl.id in read) or _is_checked(function, ttl.id):
                continue
            key, value = _key(command), command.argument(2, "value")
            written = "key" if key is None else ast.unparse(key)
            content = "value" if value is None else ast.unparse(value)
            does = "deletes the key" if command.name in _EXPIRES else "is refused"
            yield Hit(f"{function.name} reads a TTL and writes it back with {command.name.upper()}: when the "
                      f"key went meanwhile TTL answers −2, without a TTL −1, and {command.name.upper()} with "
                      f"either {does}; a key that was deleted meanwhile would come back",
                      f"write `{_await(command)}{command.receiver}.set({written}, {content}, xx=True, "
                      "keepttl=True)`, which keeps the TTL and writes only what is still there",
                      Place(command.line, function.name))


def _multi_key(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    shards = max((cache.shards or 1 for cache in configuration.caches), default=1)
    severity: Severity | None = "error" if shards > 1 else None
    for function, command in configuration.code.commands():
        keys = command.node.args
        is_several = len(keys) > 1 or any(isinstance(one, ast.Starred) for one in keys)
        if command.name not in _MULTI_KEY or not is_several:
            continue
        parts = [_each(key, function) for key in keys]
        tags = {_hash_tag(configuration.code, one, function) for one in parts}
        if len(tags) == 1 and None not in tags:
            continue
        wait, key = _await(command), parts[0]
        fix = (f"`{'async ' if wait else ''}with {command.receiver}.pipeline(transaction=False) as pipe:` "
               f"`{_loop_of(keys[0], function)}pipe.{command.name}({ast.unparse(key)})`, then "
               f"`{wait}pipe.execute()`")
        how_many = f"{shards} shards" if shards > 1 else "more than one shard"
        yield Hit(f"{function.name} names several keys in one "
                  f"{_SPELLED.get(command.name, command.name.upper())}: with {how_many} it fails "
                  "(CROSSSLOT), for they lie in different slots",
                  f"write a command a key: {fix}", Place(command.line, function.name), severity)


def _each(key: ast.expr, function: Function) -> ast.expr:
    """One of the keys that `*[…]` stands for."""
    if not isinstance(key, ast.Starred):
        return key
    inside = _list_of(key, function)
    return inside.elt if isinstance(inside, ast.ListComp | ast.GeneratorExp) else inside


def _list_of(key: ast.Starred, function: Function) -> ast.expr:
    inside = key.value
    return function.assigned.get(inside.id, inside) if isinstance(inside, ast.Name) else inside


def _loop_of(key: ast.expr, function: Function) -> str:
    inside = _list_of(key, function) if isinstance(key, ast.Starred) else key
    if isinstance(inside, ast.ListComp | ast.GeneratorExp):
        part = inside.generators[0]
        return f"for {ast.unparse(part.target)} in {ast.unparse(part.iter)}: "
    return ""


def _hash_tag(code: Code, key: ast.expr, function: Function) -> str | None:
    """What stands between the first braces of the key's text, as code; None without, or where it varies."""
    if not isinstance(key, ast.JoinedStr):
        text = code.pattern(key, function) or ""
        return text.partition("{")[2].partition("}")[0] or None if "*" not in text else None
    inside: list[str] | None = None
    for part in key.values:
        text = str(part.value) if isinstance(part, ast.Constant) else ""
        if inside is None and "{" in text:
            inside, text = [], text.partition("{")[2]
        if inside is None:
            continue
        if "}" in text:
            return "".join([*inside, text.partition("}")[0]]) or None
        if isinstance(part, ast.FormattedValue) and {name.id for name in ast.walk(part) if isinstance(
                name, ast.Name)} & function.loops.keys():
            return None
        inside.append(text if isinstance(part, ast.Constant) else ast.unparse(part))
    return None


def _depends(test: ast.expr, count: Command) -> bool:
    """Whether the test looks at the count."""
    return any(node is count.node or (isinstance(node, ast.Name) and node.id == count.result)
               for node in ast.walk(test))


def _is_checked(function: Function, name: str) -> bool:
    """Whether any comparison, or `max`, looks at it."""
    return any((isinstance(node, ast.Compare) or (isinstance(node, ast.Call) and is_named(node.func, "max")))
               and any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(node))
               for node in ast.walk(function.node))


def _same(one: ast.expr | None, other: ast.expr | None) -> bool:
    return one is not None and other is not None and ast.unparse(one) == ast.unparse(other)


def _key(command: Command) -> ast.expr | None:
    return command.argument(0, "name", "key")


def _await(command: Command) -> str:
    return "await " if command.is_awaited else ""


RULES = (
    Rule("keys-without-ttl", "error", sources.EVICTION, _without_ttl),
    Rule("incr-then-expire", "error", sources.INCR, _lost_expire),
    Rule("dead-ttl-written", "error", sources.TTL, _dead_ttl),
    Rule("multi-key-command", "warning", sources.CLUSTER_SPEC, _multi_key),
)
