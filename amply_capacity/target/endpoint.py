"""The address of a Redis and how to speak to it: URL, TLS, user, password."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from amply_capacity.errors import AuthRequired, BadInput, NotRedis, TargetError, Unreachable
from amply_capacity.target.secret import (
    FILE_VARIABLE,
    IAM_VARIABLE,
    PASSWORD_VARIABLE,
    SECRET_VARIABLE,
    Credentials,
    Secret,
    secret_from,
)

__all__ = ["CA_BUNDLE_VARIABLE", "Endpoint", "connect", "explained", "parse_endpoint"]

USERNAME_VARIABLE = "AMPLY_REDIS_USERNAME"
CA_BUNDLE_VARIABLE = "AMPLY_CA_BUNDLE"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server's address. The password never shows in `url`, `repr` or a run."""

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    ca_bundle: str | None = None
    """Path of the certificates that the server's one has to be signed by; None: $AMPLY_CA_BUNDLE's, else the
    system's."""
    secret: Secret | None = None
    """Where user and password come from, in place of `password`; itself no secret."""

    @property
    def url(self) -> str:
        """The address without any secret, e.g. `redis://127.0.0.1:6379/0`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}/{self.database}"

    def credentials(self) -> Credentials | None:
        """What a new connection has to send; None where there is no password. Raises AmplyError."""
        if self.secret is None:
            return None if self.password is None else (self.username, self.password)
        return self._named(self.secret.credentials())

    def renewed(self, refused: str | None = None) -> Credentials | None:
        """What is there now instead of a password that the server refused, since it was rotated; None where
        nothing newer is. Raises AmplyError."""
        found = None if self.secret is None else self.secret.renewed(refused)
        return None if found is None else self._named(found)

    def _named(self, found: Credentials) -> Credentials:
        return self.username or found[0], found[1]


def parse_endpoint(url: str) -> Endpoint:
    """The endpoint of a `redis://` or `rediss://` URL; user and password come from the environment, which may
    name a private file, a secret of AWS Secrets Manager, or IAM (`target.secret`).

    Raises BadInput, with all faults at once, for another scheme, a missing or impossible host, a bad port or
    database, options after a `?`, or a password inside the URL, which would show in the process list.
    """
    faults = []
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("redis://")
        faults.append("an IPv6 address whose brackets do not match")
    if parts.scheme not in {"redis", "rediss"}:
        faults.append(f"scheme {parts.scheme or 'missing'!r} instead of redis:// or rediss://")
    if not parts.hostname:
        faults.append("no host")
    elif not _can_be_looked_up(unquote(parts.hostname)):
        # Not quoted: behind an @ within a password stands a part of it.
        faults.append("a host with an empty part, one of more than 63 characters, or a character that no "
                      "host's name has")
    try:
        port = parts.port if parts.port is not None else 6379
    except ValueError:
        port = 0
    if not 0 < port < 65536:
        faults.append("the port is no number from 1 to 65535")
    path = parts.path.strip("/")
    if path and not path.isdigit():
        faults.append("the database is no number")  # not quoted: what stands there may be part of a password
    if parts.query or parts.fragment:
        faults.append("options after the address")
    if parts.password or "@" in path:
        faults.append("a password inside the URL, where the process list shows it")
    tls = parts.scheme == "rediss"
    username = unquote(parts.username) if parts.username else os.environ.get(USERNAME_VARIABLE)
    secret = secret_from(os.environ, username, tls=tls, fault=faults.append)
    if faults:
        raise BadInput(
            "the target is no usable Redis URL",
            got="; ".join(faults),
            do=f"give redis://host:6379/0, and a password through the environment as {PASSWORD_VARIABLE}, or "
               f"where it is as one of {FILE_VARIABLE}, {SECRET_VARIABLE} and {IAM_VARIABLE}",
        )
    return Endpoint(
        host=unquote(parts.hostname or ""),
        port=port,
        tls=tls,
        username=username,
        password=os.environ.get(PASSWORD_VARIABLE),
        database=int(path or 0),
        secret=secret,
    )


def _can_be_looked_up(host: str) -> bool:
    """Whether the name can be encoded (IDNA, RFC 3490), as Python does before it asks the system for it."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def connect(endpoint: Endpoint, *, timeout_seconds: float = 5.0) -> Any:
    """A control-plane client (`redis.Redis`, decoded replies, no retries) that has answered a PING.

    Raises Unreachable, NotRedis or AuthRequired, each in a sentence.
    """
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client = redis.Redis(
        host=endpoint.host, port=endpoint.port, db=endpoint.database, **_authentication(endpoint),
        decode_responses=True, protocol=2,
        encoding_errors="surrogateescape",  # other people's keys may be any bytes: they come and go unharmed
        socket_timeout=timeout_seconds, socket_connect_timeout=timeout_seconds, retry=Retry(NoBackoff(), 0),
        **({"ssl": True, "ssl_ca_certs": endpoint.ca_bundle or os.environ.get(CA_BUNDLE_VARIABLE)}
           if endpoint.tls else {}),
    )
    try:
        try:
            client.ping()
        except redis.AuthenticationError:
            if endpoint.secret is None:
                raise
            client.ping()  # with what is there now
    except (redis.RedisError, OSError) as error:
        client.close()
        raise _explain(endpoint, error) from error
    return client


def _authentication(endpoint: Endpoint) -> dict[str, Any]:
    """redis-py's options. A source is asked anew for every connection after the first: it may be rotated."""
    if endpoint.secret is None:
        return {"username": endpoint.username, "password": endpoint.password}
    from redis import CredentialProvider

    class Source(CredentialProvider):  # type: ignore[misc]  # redis-py is not followed
        has_asked = False

        def get_credentials(self) -> tuple[str, ...]:
            found = endpoint.renewed() if self.has_asked else endpoint.credentials()
            self.has_asked = True
            return tuple(part for part in found or () if part is not None)

    return {"credential_provider": Source()}


@contextlib.contextmanager
def explained(endpoint: Endpoint) -> Iterator[None]:
    """Within: an error reply or a lost connection is raised as the TargetError that says what to do."""
    import redis

    try:
        yield
    except redis.RedisError as error:
        raise _explain(endpoint, error) from error


def _explain(endpoint: Endpoint, error: Exception) -> TargetError:
    import redis

    text = str(error)
    if isinstance(error, redis.AuthenticationError) or text.startswith(("NOAUTH", "WRONGPASS")):
        how = f"put it into the environment as {PASSWORD_VARIABLE}, and an ACL user as {USERNAME_VARIABLE}"
        return AuthRequired(
            f"{endpoint.url} wants a password" if endpoint.password is None and endpoint.secret is None else
            f"{endpoint.url} does not accept the password given",
            got=text,
            do=how if endpoint.secret is None else
            f"correct the user ({USERNAME_VARIABLE}), or what the secret holds",
        )
    if isinstance(error, redis.BusyLoadingError | redis.ResponseError) or "max number of clients" in text:
        return TargetError(
            f"{endpoint.url} refuses a command", got=text,
            do="free its memory or connections, wait until it has loaded its data, or choose a user who may",
        )
    if endpoint.tls and "certificate verify failed" in text:
        return TargetError(
            f"the certificate of {endpoint.url} is not trusted", got=_reason(text),
            do=f"name the file with the CA that signed it as {CA_BUNDLE_VARIABLE}, or renew the certificate "
               "where it has expired",
        )
    accepts = _accepts(endpoint)
    if isinstance(error, redis.TimeoutError) and accepts:
        return NotRedis(
            f"{endpoint.url} accepts connections but does not answer PING", got=text,
            do="check the port, and that TLS (rediss://) is used exactly where the server wants it",
        )
    if not accepts:
        return Unreachable(
            f"nothing answers at {endpoint.url}", got=text,
            do="start the server (`amply-capacity cluster up`), or check host, port and security group",
        )
    return NotRedis(
        f"{endpoint.url} answers, but not as a Redis server",
        got=text.splitlines()[0][:120] if text else type(error).__name__,
        do="check the port, and that TLS (rediss://) is used exactly where the server wants it",
    )


def _reason(text: str) -> str:
    """`unable to get local issuer certificate` out of what OpenSSL, Python and redis-py wrap around it."""
    return text.partition("certificate verify failed:")[2].split(" (_ssl")[0].strip(" .") or text


def _accepts(endpoint: Endpoint) -> bool:
    try:
        with socket.create_connection((endpoint.host, endpoint.port), timeout=2.0):
            return True
    except OSError:
        return False
