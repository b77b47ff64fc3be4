"""What the platform answered in a function's stead, put into the invocation's record.

In: records, and the calls that were made. Out: the records. The hook sees a handler return; that its answer was then
refused, the platform tells the caller alone, and the Telemetry API, which RIE has not.
"""

import http.client
from collections.abc import Iterable

from afterglow.records import Invocation, Record
from afterglow_collector.facts import Call
from afterglow_collector.known_errors import TOO_LARGE


def complete(records: Iterable[Record], calls: Iterable[Call]) -> list[Record]:
    """Return the records, with the status and the error type of those whose answer was not passed on."""
    called = {call.request_id: call for call in calls}
    return [
        _with(record, called.get(record.request_id)) if isinstance(record, Invocation) else record for record in records
    ]


def _with(record: Invocation, call: Call | None) -> Invocation:
    if call is None or call.outcome != "error" or call.http_status == http.client.OK:
        return record
    # The runtime ends of a refusal, which telemetry then tells: the refusal was first.
    if record.status != "ok" and call.error_type != TOO_LARGE:
        return record
    sources = {**record.sources, "status": "platform", "error_type": "platform"}
    return record._replace(status="error", error_type=call.error_type, sources=sources)
