"""How a refusal of the guard reads: the server, the reason, the way out."""

from __future__ import annotations

from amply_capacity.errors import Refused
from amply_capacity.target.deny_list import DenyList
from amply_capacity.target.endpoint import Endpoint

__all__ = ["refusal", "refuse_denied"]


def refusal(endpoint: Endpoint, reason: str, do: str | None = None) -> Refused:
    """The error to raise; the way out is a cluster of ours or a mark, unless `do` names a nearer one."""
    return Refused(
        f"{endpoint.url} will not be loaded", got=reason,
        do=do or "use a local cluster (`amply-capacity cluster up`), or mark an empty test server with "
                 f"`amply-capacity target mark {endpoint.url} --owner you@example.com`",
    )


def refuse_denied(endpoint: Endpoint, denied: DenyList) -> None:
    """Raise Refused for an endpoint that is on the deny list. Nothing is connected to."""
    if found := denied.match(endpoint):
        pattern, path = found
        raise refusal(endpoint, f"it is on the deny list ({pattern!r} in {path})",
                      "choose another server; a mark does not help against the list")
