"""The one place where boto3 clients are made, and where AWS' refusals are put in words.

boto3 finds the credentials by itself (environment, profile, single sign-on, role); none is read, kept or
printed here. The toolkit only reads with these clients, but for the failover that `drill --elasticache` asks
of a test cluster after it was confirmed.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from amply_capacity.errors import AmplyError

__all__ = ["aws_session", "client", "explained", "regions_of"]

_ATTEMPTS = 6
_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_PARTITIONS = ("aws", "aws-us-gov")
_MOST_CHARACTERS = 300

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_REJECTED = {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException",
             "SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken", "AuthFailure"}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedException"}
_THROTTLED = {"Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException",
              "RequestLimitExceeded"}
_LOG_IN = "log in again, e.g. with `aws sso login`, or give fresh keys"


def aws_session() -> Any:
    """A boto3 session that looks for credentials and settings anew, but does not read AWS' descriptions anew.

    Raises what botocore does; call it within `explained`.
    """
    import boto3
    from botocore.session import get_session

    core = get_session()
    core.register_component("data_loader", _descriptions())
    return boto3.Session(botocore_session=core)


def client(service: str, region: str) -> Any:
    """A boto3 client that asks again, with growing pauses, where AWS is busy: boto3's standard retry mode.

    Nothing is asked of AWS yet. Raises AmplyError for a profile, region or endpoint that cannot be used.

    Example: `client("pricing", "us-east-1")`.
    """
    from botocore.config import Config

    config = Config(retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                    connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS)
    with explained(f"{service}:*"):
        try:
            return aws_session().client(service, region_name=region, config=config)
        except ValueError as error:  # what botocore says of an endpoint that is no URL
            raise _not_asked(error) from error


def regions_of(service: str) -> tuple[str, ...]:
    """The regions, without China's, in which the installed boto3 knows the service; asks nobody."""
    with explained(f"{service}:*"):
        session = aws_session()
        return tuple(sorted({region for partition in _PARTITIONS
                             for region in session.get_available_regions(service, partition)}))


@contextlib.contextmanager
def explained(action: str) -> Iterator[None]:
    """Within: what botocore raises becomes an AmplyError; `action` is the permission the call needs.

    Nor does botocore log at DEBUG from then on: with `locust -L DEBUG` it would write down whole answers, the
    text of a secret among them, and the session tokens of what it sends.

    Example: `with explained("pricing:GetProducts"): …`
    """
    from botocore import exceptions as botocore

    words = logging.getLogger("botocore")
    if words.getEffectiveLevel() < logging.INFO:
        words.setLevel(logging.INFO)
    try:
        yield
    except botocore.ClientError as error:
        raise _refusal(error.response.get("Error", {}), action) from error
    except botocore.NoCredentialsError as error:
        raise AmplyError(
            "no AWS credentials are found", got="none in the environment, the profile or this machine's role",
            do="give some, e.g. with `aws configure`, `aws sso login` or AWS_PROFILE; all that they have to "
               f"allow is {action}") from error
    except botocore.PartialCredentialsError as error:
        raise AmplyError("the AWS credentials are incomplete", got=_line(error),
                         do="give both the key's id and the secret key, or neither") from error
    except (botocore.ProfileNotFound, botocore.ConfigParseError, botocore.ConfigNotFound) as error:
        raise AmplyError("the AWS profile cannot be used", got=_line(error),
                         do="correct AWS_PROFILE, or the file ~/.aws/config") from error
    except (botocore.SSOError, botocore.TokenRetrievalError, botocore.NoAuthTokenError,
            botocore.CredentialRetrievalError) as error:
        raise AmplyError("the AWS credentials cannot be renewed", got=_line(error), do=_LOG_IN) from error
    except (botocore.ConnectionError, botocore.HTTPClientError) as error:
        raise AmplyError("AWS is not reached", got=_line(error),
                         do="check the network and HTTPS_PROXY, then try again") from error
    except (botocore.PaginationError, botocore.IncompleteReadError) as error:
        raise AmplyError(f"AWS answered {action} in part", got=_line(error), do="try again later") from error
    except botocore.BotoCoreError as error:
        raise _not_asked(error) from error


@functools.cache
def _descriptions() -> Any:
    """botocore's reader of the descriptions of services and endpoints, which keeps what it has read."""
    from botocore.loaders import create_loader

    return create_loader()


def _refusal(answer: Mapping[str, str], action: str) -> AmplyError:
    """What an answer of AWS that is an error means for whoever asked."""
    code, message = answer.get("Code", "no code"), _line(answer.get("Message", ""))
    said = f"{code}: {message}" if message else code
    if code in _EXPIRED:
        return AmplyError("the AWS credentials have expired", got=said, do=_LOG_IN)
    if code in _REJECTED:
        # The message repeats what was signed, at length: the code says it all.
        return AmplyError("AWS does not accept the credentials", got=code,
                          do="correct the keys or the profile, and check this machine's clock")
    if code in _DENIED:
        return AmplyError(f"AWS does not allow {action}", got=said,
                          do=f"have {action} allowed to this user or role, or take another AWS_PROFILE")
    if code in _THROTTLED:
        return AmplyError("AWS asks for fewer requests", got=f"{said}, after {_ATTEMPTS} attempts",
                          do="try again in some minutes")
    return AmplyError(f"AWS could not answer {action}", got=said, do="try again later")


def _not_asked(error: Exception) -> AmplyError:
    return AmplyError("AWS cannot be asked", got=_line(error),
                      do="correct the AWS_ variables of the environment, or the file ~/.aws/config")


def _line(said: object) -> str:
    """What was said, on one line and not at any length."""
    line = " ".join(str(said).split())
    return line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]} …"
