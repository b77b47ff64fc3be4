"""Signs requests for AWS' own OTLP endpoints: Signature Version 4, by botocore.

In: a service's name, a region. Out: what ``requests`` takes as ``auth``. Credentials come by boto3's own chain, and
are read anew after AWS has refused them. The endpoints: ``monitoring.REGION.amazonaws.com`` takes metrics,
``xray.REGION.amazonaws.com`` traces (CloudWatch user guide, "OTLP endpoints").
"""

import os
import re
from typing import Any, NamedTuple

from requests import PreparedRequest
from requests.auth import AuthBase

from afterglow_collector.sinks.aws import region_of
from afterglow_collector.sinks.contract import SinkRetry

HOST = re.compile(r"(monitoring|xray)\.([a-z]{2}(?:-[a-z0-9]+)+)\.amazonaws\.com(?:\.cn)?\Z")
SIGNED = ("Content-Type",)
"""With the host, the date and the body's digest, which botocore adds: all that no proxy has a reason to change."""


class Scope(NamedTuple):
    """What a signature is good for. ``region`` None: that of boto3's chain."""

    service: str
    region: str | None


def scope_of(host: str) -> Scope | None:
    """Return the scope of one of AWS' own endpoints, None for any other host."""
    match = HOST.match(host)
    return Scope(match[1], match[2]) if match else None


class SigV4(AuthBase):
    """Signs each request with the credentials of the moment."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._session: Any = None

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the signature; SinkRetry when there are no credentials, or no region."""
        from botocore.auth import SigV4Auth  # noqa: PLC0415 - 160 ms that only signed endpoints need
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415

        credentials, region = self._known()
        headers = {name: request.headers[name] for name in SIGNED if name in request.headers}
        to_sign = AWSRequest(request.method, request.url, headers, request.body)
        SigV4Auth(credentials, self.scope.service, region).add_auth(to_sign)
        request.headers.update(dict(to_sign.headers.items()))
        return request

    def renew(self) -> None:
        """Read credentials anew before the next request."""
        self._session = None

    def _known(self) -> tuple[Any, str]:
        from boto3.session import Session  # noqa: PLC0415 - as above
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415

        try:
            if self._session is None:
                self._session = Session()
            credentials = self._session.get_credentials()
            region = self.scope.region or region_of(os.environ) or self._session.region_name
            if credentials is None or region is None:
                self.renew()
                raise SinkRetry("NoCredentialsError" if credentials is None else "NoRegionError")
            return credentials.get_frozen_credentials(), region
        except BotoCoreError as error:
            self.renew()
            raise SinkRetry(type(error).__name__) from error
