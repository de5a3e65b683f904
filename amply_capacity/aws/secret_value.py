"""Passwords of a Redis on AWS: an AUTH token that Secrets Manager keeps, and a token that IAM accepts.

Neither is ever written. An IAM token is a signed request to connect, whose address stands for the password:
valid for 15 minutes, while the connection that it opened stays for 12 hours. Source: ElastiCache User Guide,
"Authenticating with IAM", 2026.
"""

from __future__ import annotations

import json
from urllib.parse import urlencode

from amply_capacity.aws.asking import asked
from amply_capacity.aws.policy import CONNECT, SECRETS
from amply_capacity.aws.session import aws_session, client
from amply_capacity.errors import BadInput

__all__ = ["TOKEN_LIVES_S", "is_secret_arn", "read_secret", "signed_token"]

TOKEN_LIVES_S = 900
_PASSWORD_KEYS, _USER_KEYS = ("password", "token", "auth_token", "authToken"), ("username", "user")


def is_secret_arn(text: str) -> bool:
    """Whether it is the ARN of a secret, which names its region."""
    parts = text.split(":")
    return (len(parts) >= 7 and parts[0] == "arn" and parts[1].startswith("aws")
            and parts[2] == "secretsmanager" and bool(parts[3]) and parts[5] == "secret")


def read_secret(arn: str) -> tuple[str | None, str]:
    """User (None where the secret has none) and password. Raises AmplyError, which never holds the secret.

    The secret is the password alone, or a JSON object with `password` or `token`, and maybe `username`.
    """
    with asked(SECRETS):
        answer = client("secretsmanager", arn.split(":")[3]).get_secret_value(SecretId=arn)
    text = answer.get("SecretString")
    if not text:
        raise BadInput("the secret holds no text", got=arn,
                       do="store the token as text, or as JSON under password")
    try:
        content = json.loads(text)
    except ValueError:
        return None, text
    if not isinstance(content, dict):
        return None, text  # a password of digits is JSON too
    password = next((content[key] for key in _PASSWORD_KEYS if content.get(key)), None)
    if not isinstance(password, str):
        raise BadInput("the secret holds no password",
                       got=f"{arn} with {', '.join(sorted(content)) or 'nothing'}",
                       do=f"store it under one of {', '.join(_PASSWORD_KEYS)}")
    user = next((content[key] for key in _USER_KEYS if isinstance(content.get(key), str)), None)
    return user, password


def signed_token(cache: str, user: str, region: str, *, is_serverless: bool = False) -> str:
    """A password for that IAM-enabled user on that cache: a replication group, or a serverless cache.

    Nothing is asked of AWS but the credentials that boto3 finds. Raises AmplyError where there are none.
    """
    from botocore.exceptions import NoCredentialsError
    from botocore.model import ServiceId
    from botocore.signers import RequestSigner

    question = {"Action": "connect", "User": user}
    if is_serverless:
        question["ResourceType"] = "ServerlessCache"
    with asked(CONNECT):
        session = aws_session()
        credentials = session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        signer = RequestSigner(ServiceId("elasticache"), region, "elasticache", "v4", credentials,
                               session.events)
        # Names are in lower case at ElastiCache, whatever was given when they were made.
        request = {"method": "GET", "url": f"https://{cache.lower()}/?{urlencode(question)}", "body": {},
                   "headers": {}, "context": {}}
        url = signer.generate_presigned_url(request, operation_name="connect", expires_in=TOKEN_LIVES_S,
                                            region_name=region)
    return str(url).removeprefix("https://")
