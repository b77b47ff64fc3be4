"""Verifies Signature Version 4 from AWS' own description of it, with nothing but hashlib and hmac.

"Create a signed AWS API request" (IAM user guide): canonical request → string to sign → signing key → signature.
"""

import hmac
import re
from hashlib import sha256
from urllib.parse import parse_qsl, quote, urlsplit

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, "
    r"SignedHeaders=(?P<headers>[a-z0-9;-]+), Signature=(?P<signature>[0-9a-f]{64})\Z"
)
UNRESERVED = "-_.~"


def scope_signed_for(secret: str, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[str, str]:
    """Return service and region that the request was signed for; AssertionError if the signature is not right."""
    named = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    match = AUTHORIZATION.match(named["authorization"])
    assert match, named["authorization"]
    signed = match["headers"].split(";")
    assert {"host", "x-amz-date"} <= set(signed), signed
    assert sorted(signed) == signed
    assert named["x-amz-date"].startswith(match["day"])
    parts = urlsplit(target)
    query = sorted((quote(k, UNRESERVED), quote(v, UNRESERVED)) for k, v in parse_qsl(parts.query, True))
    canonical = "\n".join(
        [
            method,
            quote(parts.path or "/", UNRESERVED + "/"),
            "&".join(f"{name}={value}" for name, value in query),
            *(f"{name}:{named[name]}" for name in signed),
            "",
            match["headers"],
            sha256(body).hexdigest(),
        ]
    )
    scope = f"{match['day']}/{match['region']}/{match['service']}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{named['x-amz-date']}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in (*scope.split("/"), to_sign):
        key = hmac.digest(key, part.encode(), "sha256")
    assert key.hex() == match["signature"], f"the signature is not of\n{canonical}"
    return match["service"], match["region"]
