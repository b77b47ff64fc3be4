"""What the sinks that call AWS share: clients, and what an AWS error means for a sink.

In: a service's name, or an exception of botocore. Out: a client, or SinkRetry or SinkRefused. Credentials,
region, profile and endpoint come by boto3's own chain (AWS_PROFILE, AWS_ENDPOINT_URL, …), and by AWS_REGION.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any

from afterglow_collector.sinks.contract import UNMAKEABLE, SinkRefused, SinkRetry

TIMEOUT_S = 10.0
MOST_RETRY_S = 3600.0

STALE_CREDENTIALS = frozenset(
    (
        *("ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId"),
        *("UnrecognizedClientException", "InvalidSignatureException", "SignatureDoesNotMatch"),
        *("AccessDenied", "AccessDeniedException", "IncompleteSignature", "MissingAuthenticationTokenException"),
    )
)
"""Answers that new credentials or a new policy can change: try again, with a client that reads them anew."""

BUSY = frozenset(
    (
        *("Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException"),
        *("RequestLimitExceeded", "LimitExceededException", "OperationAbortedException", "SlowDown"),
        *("ServiceUnavailable", "ServiceUnavailableException", "InternalFailure", "InternalServerException"),
    )
)

MakeClient = Callable[[], Any]
"""Makes a client with credentials read anew. Tests and local stacks give one for an endpoint of their own."""


def client_maker(service: str, region: str | None = None, endpoint_url: str | None = None) -> MakeClient:
    """Return what makes clients for a service. One try per call: when to try again is the courier's to say."""

    def make() -> Any:
        from boto3.session import Session  # noqa: PLC0415 - 160 ms that only sinks at AWS need
        from botocore.config import Config  # noqa: PLC0415

        # It says at each new client where credentials were found: with a sink that fails, once in every few seconds.
        logging.getLogger("botocore.credentials").setLevel(logging.WARNING)
        config = Config(
            connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, retries={"total_max_attempts": 1, "mode": "standard"}
        )
        named = region or region_of(os.environ)
        return Session().client(service, region_name=named, endpoint_url=endpoint_url, config=config)

    return make


def made(make: MakeClient) -> Any:
    """Return a client; SinkRetry if none can be made: an endpoint that is none is no entry's fault."""
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - as above

    try:
        return make()
    except (BotoCoreError, *UNMAKEABLE) as error:
        raise SinkRetry(type(error).__name__) from error


def region_of(environ: Mapping[str, str]) -> str | None:
    """Return AWS_REGION, which Lambda and every SDK but boto3 heed; None leaves the region to boto3's chain."""
    return environ.get("AWS_REGION") or None


def code_of(error: Exception) -> str:
    """Return AWS' code for an error: ``ThrottlingException`` and so on; empty if AWS did not answer."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def is_stale(error: Exception) -> bool:
    """Return whether the client should be made anew before the next try."""
    return (
        code_of(error) in STALE_CREDENTIALS or "Credential" in type(error).__name__ or "Token" in type(error).__name__
    )


def verdict(error: Exception) -> SinkRetry | SinkRefused:
    """Return what an exception of botocore means: try again, unless AWS said that the request itself is wrong."""
    code = code_of(error)
    if not code:  # BotoCoreError: no connection, no answer in time, no credentials
        name = type(error).__name__
        return SinkRefused(name) if name == "ParamValidationError" else SinkRetry(name)
    metadata = getattr(error, "response", {}).get("ResponseMetadata", {})
    status = metadata.get("HTTPStatusCode", 500)
    if code in BUSY or code in STALE_CREDENTIALS or status in {403, 408, 429} or status >= 500:
        return SinkRetry(code, after_s=retry_after_s(metadata.get("HTTPHeaders", {}).get("retry-after")))
    return SinkRefused(code)


def retry_after_s(header: str | None, now_s: Callable[[], float] = time.time) -> float | None:
    """Return the seconds that a Retry-After header asks for, as a number or a date (RFC 9110): an hour at most."""
    text = (header or "").strip()
    if text.isascii() and text.isdecimal():
        return min(MOST_RETRY_S, float(text))
    try:
        at = parsedate_to_datetime(text)
        asked_s = (at if at.tzinfo else at.replace(tzinfo=timezone.utc)).timestamp() - now_s()
    except (ValueError, TypeError, OverflowError, IndexError):  # no date; 3.10 to 3.13 object in different ways
        return None
    return min(MOST_RETRY_S, max(0.0, asked_s))
