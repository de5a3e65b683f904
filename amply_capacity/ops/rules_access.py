"""Who may connect: AUTH, tokens, security groups."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from amply_capacity.ops import sources
from amply_capacity.ops.circumstances import Circumstances
from amply_capacity.ops.configuration import Configuration, Place
from amply_capacity.ops.finding import Hit, Rule, Severity
from amply_capacity.ops.setting import NOTHING, Setting

__all__ = ["RULES"]

_DEFAULT_PORT = 6379
_URL = re.compile(r"\b((?:redis|valkey)s?://)([^\s/@\"'`]*):([^\s/@\"'`]+)@([^\s\"'`]*)", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"[{}<>$*…]|%[(s]")
_GROUP_ID = re.compile(r"sg-[0-9a-f]{8,17}")
_EVERYBODY = {"0.0.0.0/0", "::/0"}
_SECRET = "'{{resolve:secretsmanager:amply/redis:SecretString:token}}'"


def _auth_needs_tls(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for cache in configuration.caches:
        if cache.has("AuthToken") and cache.is_off("TransitEncryptionEnabled"):
            yield Hit(f"{cache.name} has an AUTH token without TLS: the request is refused, for the token "
                      "would travel as text", "write `TransitEncryptionEnabled: true`",
                      cache.place("AuthToken"))


def _no_authentication(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    sends_token = next(_urls(configuration), None) is not None
    for cache in configuration.caches:
        if cache.is_sketch or cache.has("AuthToken") or cache.has("UserGroupIds"):
            continue
        refused = ("; the application sends one, and Redis answers “AUTH <password> called without any "
                   "password configured”") if sends_token else ""
        yield Hit(f"{cache.name} asks for no password: it has neither AuthToken nor UserGroupIds, so that "
                  f"whoever reaches its port reads the sessions{refused}",
                  f"write `AuthToken: {_SECRET}` with `TransitEncryptionEnabled: true`, or `UserGroupIds: "
                  "[your group]`, in a replication group", cache.place())


def _literal_token(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for cache in configuration.caches:
        if cache.text("AuthToken") is not None:
            yield Hit(f"the AUTH token of {cache.name} stands in the file, so in its history too",
                      f"rotate the token, and write `AuthToken: {_SECRET}` (in Terraform, a variable without "
                      "a default that is `sensitive`)", cache.place("AuthToken"))


def _token_in_url(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for line, url, name in _urls(configuration):
        is_literal = not _PLACEHOLDER.search(url[3])
        severity: Severity = "error" if is_literal else "warning"
        bare = f"{url[1]}{url[4]}"
        written = f"`{name} = \"{bare}\"`" if name else f"`{bare}`"
        of, how = f"of {name} " if name else "", " as text" if is_literal else ""
        yield Hit(f"the URL {of}holds the token{how}: URLs end up in logs, exceptions, process lists and "
                  "error trackers",
                  f"write {written}, and give the token beside it: `redis.from_url({name or 'url'}, "
                  "password=token)`, read from Secrets Manager when the process starts",
                  Place(line, name or "URL"), severity)


def _urls(configuration: Configuration) -> Iterator[tuple[int, re.Match[str], str | None]]:
    """Line, URL with a password, and the name that it is given, where it is given one."""
    named = {id(node.value): ast.unparse(node.targets[0]) for node in configuration.code.nodes()
             if isinstance(node, ast.Assign)}
    for node in configuration.code.nodes():
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(one.value) if isinstance(one, ast.Constant) else "{…}" for one in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if found := _URL.search(text):
            yield node.lineno, found, named.get(id(node))
    for line in configuration.lines:
        if found := _URL.search(line.text):
            yield line.number, found, None


def _open_group(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    ports = {port for cache in configuration.caches if (port := cache.number("Port")) is not None}
    for group in configuration.security_groups:
        for rule in group.get("SecurityGroupIngress").items:
            everybody = sorted(_EVERYBODY & {address.text for key in ("CidrIp", "CidrIpv6")
                                             for address in rule.entries.get(key, NOTHING).items})
            lets_in = [port for port in sorted(ports or {float(_DEFAULT_PORT)}) if _covers(rule, port)]
            if everybody and lets_in:
                yield Hit(f"{group.name} lets {' and '.join(everybody)} in on port {lets_in[0]:g}: everybody "
                          "who has a route",
                          "write `SourceSecurityGroupId: <the group of the application's tasks>` instead of "
                          + " and ".join(f"`{address}`" for address in everybody),
                          Place(rule.line, f"{group.name}.SecurityGroupIngress"))


def _covers(rule: Setting, port: float) -> bool:
    protocol = rule.entries.get("IpProtocol", NOTHING).text
    first, last = (rule.entries.get(key, NOTHING) for key in ("FromPort", "ToPort"))
    if protocol in {"-1", "all"}:
        return True
    if protocol not in {"tcp", "6"}:
        return False
    low, high = first.number, last.number
    if first.is_unresolved or last.is_unresolved:
        return False
    return low is None or high is None or low <= port <= high


def _no_group_id(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for cache in configuration.caches:
        wrong = [item.text for item in cache.get("SecurityGroupIds").items
                 if item.text is not None and not _GROUP_ID.fullmatch(item.text)]
        if wrong:
            yield Hit(f"{cache.name} names security groups that are no ids, {', '.join(wrong)}: the request "
                      "is refused",
                      "write the id, `sg-` and 8 or 17 digits from 0 to f, or refer to the group (`!GetAtt "
                      "RedisSecurityGroup.GroupId`)", cache.place("SecurityGroupIds"))


RULES = (
    Rule("auth-needs-tls", "error", sources.AUTH, _auth_needs_tls),
    Rule("no-authentication", "warning", sources.AUTH, _no_authentication),
    Rule("token-in-configuration", "error", sources.DYNAMIC_REFERENCES, _literal_token),
    Rule("token-in-url", "error", sources.AUTH, _token_in_url),
    Rule("open-security-group", "error", sources.VPC, _open_group),
    Rule("security-group-not-an-id", "warning", sources.CREATE_GROUP, _no_group_id),
)
