"""Cache decorators that do something else than they look like."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from amply_capacity.ops import sources
from amply_capacity.ops.circumstances import Circumstances
from amply_capacity.ops.configuration import Configuration, Place
from amply_capacity.ops.finding import Hit, Rule
from amply_capacity.ops.redis_clients import is_named
from amply_capacity.ops.redis_code import Code

__all__ = ["RULES"]

_FORMATTERS = ("format", "format_map", "substitute", "safe_substitute", "vformat")
_FIELD = re.compile(r"\{([A-Za-z_]\w*)\}")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _unformatted(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    factories = _factories(configuration.code)
    for function, decorator in _decorated(configuration.code):
        factory = factories.get(ast.unparse(decorator.func))
        # What a decorator from elsewhere does with its key is not known.
        if factory is None or _formats(factory):
            continue
        names = {argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)}
        for argument in (*decorator.args, *(one.value for one in decorator.keywords)):
            text = argument.value if isinstance(argument, ast.Constant) else None
            fields = set(_FIELD.findall(text)) & names if isinstance(text, str) else ()
            if fields:
                parameter = factory.args.args[0].arg if factory.args.args else "key"
                bound = "inspect.signature(func).bind(*args, **kwargs).arguments"
                yield Hit(f"`@{ast.unparse(decorator)}` gives the key as plain text, and {factory.name} "
                          f"never puts {', '.join(sorted(fields))} in: all calls of {function.name} share "
                          "one key, and whoever asks first answers for everybody",
                          f"in {factory.name}'s wrapper write `{parameter}.format(**{bound})` where it has "
                          f"`{parameter}`", Place(decorator.lineno, function.name))


def _async_factory(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    factories = _factories(configuration.code)
    used = {ast.unparse(decorator.func) for _, decorator in _decorated(configuration.code)}
    for name, factory in factories.items():
        if isinstance(factory, ast.AsyncFunctionDef) and name in used:
            yield Hit(f"{name} is used as `@{name}(…)`, but is `async def`: the call gives a coroutine, "
                      "which Python then cannot call with the function (TypeError when the module is "
                      "imported)",
                      f"write `def {name}(` instead of `async def {name}(`", Place(factory.lineno, name))


def _factories(code: Code) -> Mapping[str, _Function]:
    return {node.name: node for node in code.nodes()
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def _decorated(code: Code) -> Iterator[tuple[_Function, ast.Call]]:
    for node in code.nodes():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call):
                    yield node, decorator


def _formats(factory: _Function) -> bool:
    return any(isinstance(node, ast.Call) and any(is_named(node.func, name) for name in _FORMATTERS)
               for node in ast.walk(factory))


RULES = (
    Rule("unformatted-cache-key", "error", sources.DECORATORS, _unformatted),
    Rule("async-decorator", "error", sources.DECORATORS, _async_factory),
)
