"""What the audit reads out of Python: clients, keys, TTLs, and code that is right although it looks alike."""

from __future__ import annotations

import ast
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from amply_capacity.ops.audit import audit_of
from amply_capacity.ops.circumstances import circumstances_of
from amply_capacity.ops.document import read_configuration
from amply_capacity.ops.finding import Finding
from amply_capacity.ops.redis_code import Code, code_of

Find = Callable[..., dict[str, Finding]]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """The findings on some Python, and YAML beside it, by rule."""

    def call(python: str, yaml: str = "") -> dict[str, Finding]:
        path = tmp_path / "document.md"
        path.write_text(f"```python\n{python}\n```\n\n```yaml\n{yaml}\n```\n")
        circumstances = circumstances_of(today=date(2026, 11, 28))
        audit = audit_of(read_configuration(path), circumstances)
        return {finding.rule: finding for finding in audit.findings}

    return call


def code(python: str) -> Code:
    return code_of([ast.parse(python)])


def pattern(python: str) -> str | None:
    """Of the key of the last command."""
    found = code(python)
    function, command = list(found.commands())[-1]
    return found.pattern(command.argument(0, "name"), function)


@pytest.mark.parametrize(("python", "expected"), [
    ("redis.get('a:b')", None),  # the module
    ("r = redis.Redis()\nr.get('a:b')", "a:b"),
    ("P = 'a:'\nr = redis.Redis()\ndef f(x):\n    r.get(f'{P}{x}')", "a:*"),
    ("r = redis.Redis()\ndef f(x):\n    key = 'a:' + x\n    r.get(key)", "a:*"),
    ("r = redis.Redis()\ndef f(x):\n    r.get(name=f'a:{x}:{1}')", "a:*:1"),
    ("def f(self, x):\n    self.redis.get(f'{x}')", None),
    ("def f(self, x):\n    x = self.redis.get(x)\n    self.redis.get(x)", None),
    ("def f(redis_client, x):\n    redis_client.get(x or 'a')", None),
    ("async def f(x):\n    async with get_redis() as r:\n        await r.get(f'a:{x}')", "a:*"),
    ("r = redis.Redis()\nb = r.pipeline()\nb.get('q')", "q"),
])
def test_keys_are_followed_through_names_and_formats(python: str, expected: str | None) -> None:
    if expected is None and python.startswith("redis.get"):
        assert list(code(python).commands()) == []
        return
    assert pattern(python) == expected


@pytest.mark.parametrize(("expression", "seconds"), [
    ("60", 60.0), ("7 * 24 * 3600", 604_800.0), ("DAY * 2 - 1", 172_799.0),
    ("timedelta(days=7, hours=1)", 608_400.0), ("int(timedelta(weeks=1).total_seconds())", 604_800.0),
    ("unknown", None), ("DAY / 2", None), ("True", None), ("timedelta(days=unknown)", None),
    ("timedelta(7)", None), ("LOOP", None), ("len(x)", None), ("DAY * unknown", None),
])
def test_ttls_are_reckoned_from_constants(expression: str, seconds: float | None) -> None:
    found = code(f"DAY = 86400\nLOOP = LOOP\nr = redis.Redis()\nr.setex('k', {expression}, 'v')")
    (function, command), = found.commands()
    assert found.number(command.ttl, function) == seconds


@pytest.mark.parametrize(("made", "decodes"), [
    ("redis.Redis()", False), ("redis.from_url(url, decode_responses=True)", True),
    ("redis.Redis(decode_responses=False)", False), ("redis.Redis(decode_responses=wanted)", None),
    ("redis.Redis(**options)", None), ("redis.from_url('redis://h?decode_responses=True')", None),
    ("valkey.Valkey()", False),
])
def test_whether_a_client_decodes_is_known_or_not(made: str, decodes: bool | None) -> None:
    assert code(f"r = {made}").clients["r"].decodes is decodes


def test_what_is_no_client_of_redis_sends_no_commands() -> None:
    python = "d = {}\nd.get('a')\napp.conf.update(a=1)\nimport redis\nredis.from_url('x')"
    assert list(code(python).commands()) == []


@pytest.mark.parametrize("python", [
    # a TTL on the same keys, in another function
    "def a(x):\n    r.sadd(f'k:{x}', 1)\ndef b(y):\n    r.expire(f'k:{y}', 60)",
    # a TTL in the command itself
    "def a(x):\n    r.set(f'k:{x}', 1, ex=60)",
    "def a(x, options):\n    r.set(f'k:{x}', 1, **options)",
    # one key, not one for every name
    "def a():\n    r.incr('total')",
    # a name that is not known
    "def a(key):\n    r.incr(key)",
])
def test_keys_with_an_end_are_left_alone(find: Find, python: str) -> None:
    assert find(f"r = redis.Redis(decode_responses=True)\n{python}") == {}


def test_keys_without_a_ttl_are_only_told_of_where_all_may_be_evicted(find: Find) -> None:
    python = "r = redis.Redis(decode_responses=True)\ndef a(x):\n    r.hset(f'k:{x}', 'f', 1)"
    group = "CacheParameterGroupFamily: redis7\nParameters: {maxmemory-policy: %s}"
    assert find(python)["keys-without-ttl"].severity == "error"
    assert find(python, group % "volatile-ttl")["keys-without-ttl"].severity == "error"
    assert find(python, group % "allkeys-lru")["keys-without-ttl"].severity == "advice"
    assert "TTL_SECONDS" in find(python)["keys-without-ttl"].fix


@pytest.mark.parametrize("python", [
    "    n = r.incr(k)\n    r.expire(k, 60)",  # healed by the next request
    "    n = r.incr(k)\n    if verbose:\n        r.expire(k, 60)",  # does not hang on the count
    "    n = r.incr(k)\n    if n == 1:\n        r.expire(other, 60)",
    "    if n == 1:\n        r.expire(k, 60)\n    n = r.incr(k)",
    "    p = r.pipeline()\n    n = p.incr(k)\n    if n == 1:\n        p.expire(k, 60)",
])
def test_counters_whose_ttl_cannot_get_lost_are_left_alone(find: Find, python: str) -> None:
    assert "incr-then-expire" not in find(f"r = redis.Redis()\ndef f(k, other, verbose, n=0):\n{python}")


@pytest.mark.parametrize("python", [
    "    if r.incr(k) == 1:\n        r.expire(k, time=60)",
    "    n = r.incrby(k, 1)\n    r.expire(k, 60) if n == 1 else None",
    "    p = r.pipeline(transaction=False)\n    n = p.incr(k)\n    if n == 1:\n        p.expire(k, 60)",
])
def test_counters_whose_ttl_can_get_lost_are_found_in_any_form(find: Find, python: str) -> None:
    found = find(f"r = redis.Redis()\ndef f(k):\n{python}")["incr-then-expire"]
    assert "await" not in found.fix


@pytest.mark.parametrize(("python", "is_found"), [
    ("    t = r.ttl(k)\n    r.setex(k, t, v)", True),
    ("    t = r.ttl(k)\n    r.set(k, v, ex=t)", True),
    ("    t = r.ttl(k)\n    r.expire(k, t)", True),
    ("    t = r.ttl(k)\n    if t > 0:\n        r.setex(k, t, v)", False),
    ("    t = r.ttl(k)\n    r.setex(k, max(t, 1), v)", False),
    ("    t = 60\n    r.setex(k, t, v)", False),
])
def test_a_ttl_that_is_written_back_has_to_be_looked_at(find: Find, python: str, is_found: bool) -> None:
    assert ("dead-ttl-written" in find(f"r = redis.Redis()\ndef f(k, v):\n{python}")) is is_found


@pytest.mark.parametrize(("python", "is_found"), [
    ("    r.delete(f'a:{x}', f'b:{x}')", True),
    ("    r.delete(f'a:{{{x}}}', f'b:{{{x}}}')", False),
    ("    r.delete('a:{tag}', 'b:{tag}')", False),
    ("    r.delete('a:{tag}', 'b:{other}')", True),
    ("    r.delete(*[f'a:{{{x}}}:{y}' for y in ys])", False),
    ("    r.delete(*[f'a:{{{y}}}' for y in ys])", True),
    ("    keys = [f'a:{y}' for y in ys]\n    r.mget(*keys)", True),
    ("    r.unlink(*ys)", True),
    ("    r.delete(f'a:{x}')", False),
])
def test_several_keys_need_one_slot(find: Find, python: str, is_found: bool) -> None:
    found = find(f"r = redis.Redis(decode_responses=True)\ndef f(x, ys):\n{python}")
    assert ("multi-key-command" in found) is is_found


def test_several_keys_are_an_error_once_there_are_shards(find: Find) -> None:
    found = find("r = redis.Redis()\ndef f(x):\n    r.delete(f'a:{x}', f'b:{x}')",
                 "ReplicationGroupId: g\nNumNodeGroups: 3")
    assert found["multi-key-command"].severity == "error"
    assert "3 shards" in found["multi-key-command"].what


@pytest.mark.parametrize(("python", "is_found"), [
    ("    for one in r.smembers(x):\n        r.get(f'a:{one}')", True),
    ("    for one in r.smembers(x):\n        r.get(f'a:{one.decode()}')", False),
    ("    for one in r.smembers(x):\n        r.get(f'a:{one!r}')", False),
    ("    for one in x:\n        r.get(f'a:{one}')", False),
    ("    names = r.lrange(x, 0, -1)\n    r.mget([f'a:{one}' for one in names])", True),
    ("    names = r.lrange(x, 0, -1)\n    print([f'a:{one}' for one in names])", False),
])
def test_bytes_in_keys_are_found_where_replies_are_not_decoded(
        find: Find, python: str, is_found: bool) -> None:
    assert ("replies-not-decoded" in find(f"r = redis.Redis()\ndef f(x):\n{python}")) is is_found
    assert "replies-not-decoded" not in find(f"r = redis.Redis(decode_responses=True)\ndef f(x):\n{python}")


@pytest.mark.parametrize(("python", "is_found"), [
    ("def keep(k):\n    return lambda f: f\n@keep('a:{x}')\ndef g(x): ...", True),
    ("def keep(k):\n    return lambda f: f\n@keep(k='a:{x}')\ndef g(x): ...", True),
    ("def keep(k):\n    return lambda f: f\n@keep('a:{y}')\ndef g(x): ...", False),
    ("def keep(k):\n    return lambda f: f\n@keep('a')\ndef g(x): ...", False),
    ("def keep(k):\n    return lambda f: k.format(x=1)\n@keep('a:{x}')\ndef g(x): ...", False),
    ("@somebody.elses('a:{x}')\ndef g(x): ...", False),
])
def test_a_placeholder_that_nobody_fills_is_found(find: Find, python: str, is_found: bool) -> None:
    assert ("unformatted-cache-key" in find(python)) is is_found


@pytest.mark.parametrize(("python", "severity"), [
    ("url = 'redis://:secret@h:6379'", "error"),
    ("def f(token):\n    return f'redis://:{token}@h:6379'", "warning"),
    ("url = 'redis://h:6379'", None),
    ("url = 'https://user:secret@h'", None),
])
def test_a_token_in_a_url_is_found_whoever_wrote_it(find: Find, python: str, severity: str | None) -> None:
    found = find(python).get("token-in-url")
    assert (found and found.severity) == severity
    assert "secret" not in f"{found and found.as_json()}".replace("Secrets", "")


def test_a_token_in_a_url_is_found_outside_of_the_code_too(find: Find) -> None:
    found = find("x = 1", "CacheClusterId: a\nEngine: redis\n# rediss://:secret@h/0")["token-in-url"]
    assert found.place.line == 8
    assert "rediss://h/0" in found.fix


@pytest.mark.parametrize(("python", "is_found"), [
    ("app.conf.result_backend = 'rediss://h'", True),
    ("url = 'rediss://h'\nresult_backend = settings.url", True),
    ("url = 'rediss://h'\napp.conf.update(result_backend=f'{url}/1')", True),
    ("app.conf.update(result_backend='rediss://h', redis_backend_use_ssl={'ssl_cert_reqs': 1})", False),
    ("app.conf.update(result_backend='rediss://h?ssl_cert_reqs=required')", False),
    ("app.conf.update(result_backend='redis://h')", False),
    ("app.conf.update(result_backend=settings.unknown)", False),
])
def test_celery_wants_to_know_which_certificates(find: Find, python: str, is_found: bool) -> None:
    assert ("celery-tls-requirements" in find(python)) is is_found


def test_a_client_with_a_limit_of_its_own_is_told_to_wait(find: Find) -> None:
    found = find("r = redis.from_url(url, max_connections=20, decode_responses=True)")
    assert set(found) == {"pool-raises"}
    assert "BlockingConnectionPool" in found["pool-raises"].fix
