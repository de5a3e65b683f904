"""What Python does with Redis: the clients that it makes, the commands that it sends, the keys they name.

Read from the syntax tree alone, nothing is run. A receiver counts as a client of Redis where it was made from
the redis package, comes from a context manager of such a name, or is called so (`self.redis`); what is hidden
behind other names is not seen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from amply_capacity.ops.redis_clients import Client, clients_of, is_named, unwrapped

__all__ = ["Code", "Command", "Function", "code_of", "parts_of_key"]

_SECONDS = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_DEEPEST = 8
_MODULE = "<module>"
_MODULES = {"redis", "redis.asyncio", "aioredis"}


@dataclass(frozen=True, slots=True)
class Command:
    """One call of a client's method."""

    receiver: str
    name: str
    """The method, e.g. `setex`."""
    node: ast.Call
    is_awaited: bool
    is_in_transaction: bool
    """Sent in MULTI … EXEC, with all else of its pipeline."""
    conditions: tuple[ast.expr, ...]
    """Tests of the `if`s around it, innermost first."""
    result: str | None
    """The name that its reply is assigned to."""

    @property
    def line(self) -> int:
        return self.node.lineno

    def argument(self, position: int, *names: str) -> ast.expr | None:
        """By position, or by one of its names."""
        if position < len(self.node.args):
            return self.node.args[position]
        return next((one.value for one in self.node.keywords if one.arg in names), None)

    @property
    def ttl(self) -> ast.expr | None:
        """With which a SETEX or SET writes; None where it names none."""
        if self.name in {"setex", "psetex"}:
            return self.argument(1, "time", "time_ms")
        if self.name == "set":
            return next((one.value for one in self.node.keywords if one.arg in {"ex", "px"}), None)
        return None


@dataclass(frozen=True, slots=True)
class Function:
    """A function, or what stands outside of any."""

    name: str
    node: ast.AST
    commands: tuple[Command, ...]
    assigned: Mapping[str, ast.expr]
    """What each name was given last, without `await`."""
    loops: Mapping[str, ast.expr]
    """What each loop variable runs over, comprehensions included."""


@dataclass(frozen=True, slots=True)
class Code:
    """All Python of a document together, for its blocks use each other's names."""

    functions: tuple[Function, ...] = ()
    constants: Mapping[str, ast.expr] = field(default_factory=dict)
    clients: Mapping[str, Client] = field(default_factory=dict)
    trees: tuple[ast.Module, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.trees)

    def nodes(self) -> Iterator[ast.AST]:
        for tree in self.trees:
            yield from ast.walk(tree)

    def commands(self) -> Iterator[tuple[Function, Command]]:
        for function in self.functions:
            for command in function.commands:
                yield function, command

    def pattern(self, key: ast.expr | None, function: Function) -> str | None:
        """The key's text with `*` for what varies, `session:*`; None where nothing of it is known."""
        if key is None:
            return None
        text = self._text(key, function, _DEEPEST)
        return text if text.strip("*") else None

    def number(self, expression: ast.expr | None, function: Function | None = None) -> float | None:
        """What constants and `timedelta` come to, a TTL in seconds; None where it varies."""
        return None if expression is None else self._number(expression, function, _DEEPEST)

    def _text(self, key: ast.expr, function: Function, depth: int) -> str:
        if depth == 0:
            return "*"
        if isinstance(key, ast.Constant):
            return str(key.value) if isinstance(key.value, str | int) else "*"
        if isinstance(key, ast.JoinedStr):
            return "".join(self._text(one, function, depth - 1) for one in key.values)
        if isinstance(key, ast.FormattedValue):
            return self._text(key.value, function, depth - 1)
        if isinstance(key, ast.BinOp) and isinstance(key.op, ast.Add):
            return self._text(key.left, function, depth - 1) + self._text(key.right, function, depth - 1)
        if isinstance(key, ast.Name):
            known = function.assigned.get(key.id) or self.constants.get(key.id)
            # A name that stands for a reply or a number says nothing of a key.
            is_open = known is None or isinstance(known, ast.Call)
            return "*" if is_open or known is None else self._text(known, function, depth - 1)
        return "*"

    def _number(self, one: ast.expr, function: Function | None, depth: int) -> float | None:
        if depth == 0:
            return None
        if isinstance(one, ast.Constant):
            is_number = isinstance(one.value, int | float) and not isinstance(one.value, bool)
            return float(one.value) if is_number and isinstance(one.value, int | float) else None
        if isinstance(one, ast.Name):
            meant = (function.assigned.get(one.id) if function else None) or self.constants.get(one.id)
            return None if meant is None else self._number(meant, function, depth - 1)
        if isinstance(one, ast.BinOp) and isinstance(one.op, ast.Add | ast.Sub | ast.Mult):
            left = self._number(one.left, function, depth - 1)
            right = self._number(one.right, function, depth - 1)
            if left is None or right is None:
                return None
            return left + right if isinstance(one.op, ast.Add) else (
                left - right if isinstance(one.op, ast.Sub) else left * right)
        if isinstance(one, ast.Call):
            if is_named(one.func, "timedelta"):
                units = [(_SECONDS.get(part.arg or ""), self._number(part.value, function, depth - 1))
                         for part in one.keywords]
                known = [unit * count for unit, count in units if unit is not None and count is not None]
                return sum(known) if known and len(known) == len(units) else None
            if is_named(one.func, "int") and one.args:
                return self._number(one.args[0], function, depth - 1)
            if isinstance(one.func, ast.Attribute) and one.func.attr == "total_seconds":
                return self._number(one.func.value, function, depth - 1)
        return None


def code_of(trees: Sequence[ast.Module]) -> Code:
    """What the trees do together; their nodes' line numbers stay."""
    constants: dict[str, ast.expr] = {}
    for tree in trees:
        constants |= {target.id: unwrapped(node.value) for node in tree.body if isinstance(node, ast.Assign)
                      for target in node.targets if isinstance(target, ast.Name)}
    clients = clients_of(trees)
    functions = [function for tree in trees for function in _functions(tree, clients)]
    return Code(tuple(functions), constants, clients, tuple(trees))


def parts_of_key(key: ast.JoinedStr) -> list[ast.expr]:
    """What a key's f-string puts in, unchanged: not `{sid.decode()}`, nor `{sid!r}`."""
    return [one.value for one in key.values if isinstance(one, ast.FormattedValue) and one.conversion == -1]


def _functions(tree: ast.Module, clients: Mapping[str, Client]) -> Iterator[Function]:
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    owners: dict[ast.AST, list[ast.AST]] = {}
    for node in ast.walk(tree):
        owners.setdefault(_owner(node, parents) or tree, []).append(node)
    for owner, nodes in owners.items():
        name = owner.name if isinstance(owner, ast.FunctionDef | ast.AsyncFunctionDef) else _MODULE
        yield _function(name, owner, nodes, parents, clients)


def _owner(node: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> ast.AST | None:
    """The innermost function around the node."""
    above = parents.get(node)
    while above is not None and not isinstance(above, ast.FunctionDef | ast.AsyncFunctionDef):
        above = parents.get(above)
    return above


def _function(name: str, owner: ast.AST, nodes: list[ast.AST], parents: Mapping[ast.AST, ast.AST],
              clients: Mapping[str, Client]) -> Function:
    assigned: dict[str, ast.expr] = {}
    loops: dict[str, ast.expr] = {}
    bound: dict[str, ast.expr] = {}
    for node in nodes:
        if isinstance(node, ast.Assign):
            assigned |= {target.id: unwrapped(node.value) for target in node.targets
                         if isinstance(target, ast.Name)}
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension) and isinstance(
                node.target, ast.Name):
            loops[node.target.id] = unwrapped(node.iter)
        elif isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
            bound[node.optional_vars.id] = unwrapped(node.context_expr)
    pipelines = {variable: _is_transaction(made) for variable, made in {**assigned, **bound}.items()
                 if isinstance(made, ast.Call) and is_named(made.func, "pipeline")}
    ours = {variable for variable, made in bound.items()
            if isinstance(made, ast.Call) and "redis" in ast.unparse(made.func).lower()}
    commands = []
    for node in nodes:
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        receiver = ast.unparse(node.func.value)
        if receiver not in clients and (receiver in _MODULES or not (
                receiver in pipelines or receiver in ours or "redis" in receiver.lower())):
            continue
        commands.append(Command(
            receiver, node.func.attr, node, isinstance(parents.get(node), ast.Await),
            pipelines.get(receiver, False), tuple(_conditions(node, owner, parents)),
            _result(node, parents)))
    commands.sort(key=lambda one: (one.line, one.node.col_offset))
    return Function(name, owner, tuple(commands), assigned, loops)


def _is_transaction(made: ast.Call) -> bool:
    """redis-py's pipelines are transactions unless they are told not to be."""
    said = made.args[0] if made.args else next(
        (one.value for one in made.keywords if one.arg == "transaction"), None)
    return not (isinstance(said, ast.Constant) and said.value is False)


def _conditions(node: ast.AST, owner: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> Iterator[ast.expr]:
    while node is not owner and node in parents:
        above = parents[node]
        if isinstance(above, ast.If | ast.IfExp) and node is not above.test:
            yield above.test
        node = above


def _result(node: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> str | None:
    above = parents.get(node)
    if isinstance(above, ast.Await):
        above = parents.get(above)
    if isinstance(above, ast.Assign) and len(above.targets) == 1 and isinstance(above.targets[0], ast.Name):
        return above.targets[0].id
    return None
