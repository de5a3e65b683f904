"""Asking AWS: what it refuses, with the line that the policy lacks, a clock that is wrong, and patience."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from amply_capacity.aws.policy import DECRYPT, SECRETS, statement_line
from amply_capacity.aws.session import explained
from amply_capacity.errors import AmplyError

__all__ = ["HalfAnswer", "Sleep", "asked", "clock_skew_s", "code_of", "is_servers_fault", "patiently",
           "whole"]

Sleep = Callable[[float], None]
Answer = TypeVar("Answer")

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation",
                     "UnauthorizedException"})
_THROTTLED = frozenset({"Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException",
                        "RequestLimitExceeded", "LimitExceededException"})
_SKEWED = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture"})
_SKEWED_WORDS = ("Signature expired", "Signature not yet current")
_KEYS_WORDS = ("Access to KMS is not allowed", DECRYPT)
"""Of Secrets Manager, where the secret may be read and its key not be used."""
_SIGNATURES_AGE_S = 300
_WAITS_S = (15.0, 30.0, 60.0)
_TIMES_ASKED = 3


class HalfAnswer(AmplyError):
    """An answer that does not go to its end, or lacks what it is for."""

    def __init__(self, action: str, got: str) -> None:
        super().__init__(f"AWS answered {action} in part", got=got,
                         do="start the same again later; an import goes on where it was")


@contextlib.contextmanager
def asked(action: str) -> Iterator[None]:
    """Within: as `session.explained`, and a refusal names the line that the policy lacks, or the clock.

    Raises HalfAnswer where an answer cannot be read to its end.
    Example: `with asked("cloudwatch:GetMetricData"): …`
    """
    from botocore.parsers import ResponseParserError

    try:
        with explained(action):
            yield
    except ResponseParserError as error:
        raise HalfAnswer(action, "an answer that cannot be read to its end") from error
    except AmplyError as error:
        raise _precise(error, action) from error.__cause__


def code_of(error: BaseException | None) -> str | None:
    """AWS' code of a refusal; None where AWS did not answer, or did not refuse."""
    from botocore.exceptions import ClientError

    return error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None


def is_servers_fault(error: BaseException | None) -> bool:
    """Whether AWS failed in answering, and did not refuse."""
    from botocore.exceptions import ClientError

    return isinstance(error, ClientError) and int(
        error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) >= 500


def patiently(ask: Callable[[], Answer], tell: Callable[[str], None], sleep: Sleep = time.sleep) -> Answer:
    """What `ask` returns; where AWS asks for fewer requests, it is asked again after 15, 30 and 60 s.

    The client has asked several times before that, with shorter pauses.
    """
    for wait_s in _WAITS_S:
        try:
            return ask()
        except AmplyError as error:
            if code_of(error.__cause__) not in _THROTTLED:
                raise
            tell(f"AWS asks for fewer requests: waiting {wait_s:.0f} s")
            sleep(wait_s)
    return ask()


def whole(ask: Callable[[], Answer]) -> Answer:
    """What `ask` returns; where AWS answers in part, it is asked twice more."""
    for _ in range(_TIMES_ASKED - 1):
        with contextlib.suppress(HalfAnswer):
            return ask()
    return ask()


def clock_skew_s(answer: Mapping[str, Any], now: datetime) -> float | None:
    """How far `now`, by this machine, is ahead of AWS' clock; None where an answer does not say."""
    said = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        return (now - parsedate_to_datetime(said)).total_seconds() if said else None
    except (TypeError, ValueError):
        return None


def _precise(error: AmplyError, action: str) -> AmplyError:
    cause = error.__cause__
    code = code_of(cause)
    answer: Mapping[str, Any] = getattr(cause, "response", {})
    message = str(answer.get("Error", {}).get("Message", ""))
    if code in _DENIED:
        is_of_key = action == SECRETS and any(words in message for words in _KEYS_WORDS)
        lacking = DECRYPT if is_of_key else action
        return AmplyError(f"AWS does not allow {lacking}", got=error.got,
                          do=f"add {statement_line(lacking)} to the policy of this user or role; "
                             "`amply-capacity aws policy` prints all that is needed")
    if code in _SKEWED or message.startswith(_SKEWED_WORDS):
        return AmplyError("this machine's clock is wrong, so that AWS refuses its signatures",
                          got=_skew_text(answer), do="set the clock, e.g. by NTP, and try again")
    return error


def _skew_text(answer: Mapping[str, Any]) -> str:
    skew_s = clock_skew_s(answer, datetime.now(UTC))
    # Where the answer's own date is right and the signature's was not, it explains nothing.
    if skew_s is None or abs(skew_s) < _SIGNATURES_AGE_S / 2:
        return f"more than {_SIGNATURES_AGE_S // 60} minutes off, by AWS' words"
    return f"it is {abs(skew_s):,.0f} s {'ahead of' if skew_s > 0 else 'behind'} AWS' clock"
