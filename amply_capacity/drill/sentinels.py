"""What Sentinels say while they fail over, in their own words and at their own time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from amply_capacity.drill.moment import FAILOVER, Moment
from amply_capacity.drill.watching import Watching
from amply_capacity.errors import AmplyError
from amply_capacity.target.configuration import SERVICE_NAME
from amply_capacity.target.endpoint import Endpoint, connect, explained

__all__ = ["SentinelListener"]

_LOOK_SECONDS = 0.1
_MOST_MOMENTS = 1000
_ABORTED = "-failover-abort"
_WHY = {
    "-failover-abort-no-good-slave": "no replica may be promoted (its priority is 0, or it is down, or has "
                                     "been cut off for too long)",
    "-failover-abort-not-elected": "no Sentinel was elected by the majority",
    "-failover-abort-slave-timeout": "the replica that was chosen did not become a primary in time",
}


class SentinelListener(Watching):
    """Within: every event that the Sentinels publish becomes a moment."""

    def __init__(self, sentinels: Sequence[Endpoint]) -> None:
        self._sentinels = sentinels
        self.moments: list[Moment] = []
        super().__init__([partial(self._listen, number, sentinel)
                          for number, sentinel in enumerate(sentinels, start=1)])

    def why(self) -> str | None:
        """Sentinel's own reason for a failover that does not come; None where it gives none."""
        aborted = [moment for moment in self.moments if moment.name.startswith(_ABORTED)]
        if aborted:
            name = aborted[-1].name
            return f"Sentinel says {name}" + (f": {_WHY[name]}" if name in _WHY else "")
        return self._quorum_fault()

    def _quorum_fault(self) -> str | None:
        import redis

        for sentinel in self._sentinels:
            try:
                with connect(sentinel, timeout_seconds=1.0) as client:
                    client.execute_command("SENTINEL", "CKQUORUM", SERVICE_NAME)
            except redis.ResponseError as error:
                return f"Sentinel says {error}"
            except (AmplyError, redis.RedisError, OSError):
                continue
            return None
        return "no Sentinel answers" if self._sentinels else None

    def _listen(self, number: int, sentinel: Endpoint) -> None:
        import redis

        try:
            with connect(sentinel) as client, explained(sentinel), client.pubsub(
                    ignore_subscribe_messages=True) as events:
                events.psubscribe("*")
                while not self.stopping.is_set() and len(self.moments) < _MOST_MOMENTS:
                    message = events.get_message(timeout=_LOOK_SECONDS)
                    if message and str(message["channel"])[0] in "+-":
                        self.moments.append(Moment(time.time(), FAILOVER, str(message["channel"]), {
                            "sentinel": number, "says": str(message["data"])}))
        except (AmplyError, redis.RedisError, OSError):  # it is gone: it says nothing more
            return
