"""Extensions API 2020-01-01 and the subscription call of the Telemetry API 2022-07-01.

In: a request. Out: a reply, or Refused. The order of the checks is RIE's (RIE source, rapi/handler/agent*.go
and rapi/middleware), since it decides which error a wrong call gets.
"""

import json
import uuid
from typing import Any

from afterglow_layer.emulator import facts, replies
from afterglow_layer.emulator.parties import Extension
from afterglow_layer.emulator.sandbox import Sandbox
from afterglow_layer.emulator.settings import InitType
from afterglow_layer.emulator.states import ExtensionCall, ExtensionState, Refused, next_extension_state
from afterglow_layer.emulator.telemetry_api import parse_subscription
from afterglow_layer.emulator.wire import Reply, Request

IDENTIFIER = "Lambda-Extension-Identifier"
ERROR_TYPE = "Lambda-Extension-Function-Error-Type"


def register(sandbox: Sandbox, request: Request) -> Reply:
    """POST /extension/register: name, events → identifier and the function's name, version and handler."""
    name = request.headers.get("Lambda-Extension-Name") or ""
    if not name:
        raise Refused(403, "Extension.InvalidExtensionName", "Empty extension name")
    events = _events(request.body)
    with sandbox.lock:
        extension = next((each for each in sandbox.extensions if each.name == name and not each.internal), None)
        _check_events(sandbox, events, internal=extension is None)
        extension = extension or _admit_internal(sandbox, name)
        extension.state = next_extension_state(extension.state, ExtensionCall.REGISTER, name)
        extension.events = tuple(events)
        sandbox.changed()
    document = _function(sandbox, with_account="accountId" in _features(request))
    return replies.json_reply(200, document, {IDENTIFIER: extension.identifier})


def next_event(sandbox: Sandbox, request: Request) -> Reply:
    """GET /extension/event/next: answered when there is an INVOKE or a SHUTDOWN."""
    extension = identify(sandbox, request)
    with sandbox.lock:
        extension.state = next_extension_state(extension.state, ExtensionCall.NEXT, extension.identifier)
        sandbox.changed()
        reply = sandbox.wait_for_mail(extension)
        extension.state = ExtensionState.RUNNING
        return reply


def init_error(sandbox: Sandbox, request: Request) -> Reply:
    """POST /extension/init/error: once the extension exits, the environment breaks for this reason."""
    return _announce(sandbox, request, ExtensionCall.INIT_ERROR, "Extension.InitError")


def exit_error(sandbox: Sandbox, request: Request) -> Reply:
    """POST /extension/exit/error: once the extension exits, the environment breaks for this reason."""
    return _announce(sandbox, request, ExtensionCall.EXIT_ERROR, "Extension.ExitError")


def subscribe(sandbox: Sandbox, request: Request) -> Reply:
    """PUT /telemetry: 200 "OK", or 202 where there is no Telemetry API (seen on RIE)."""
    if sandbox.misbehave.telemetry_unsupported:
        unsupported = {
            "errorMessage": "Telemetry API is not supported",
            "errorType": "Telemetry.NotSupported",
        }
        return replies.json_reply(202, unsupported)
    extension = identify(sandbox, request)
    if not sandbox.subscription_open:
        raise Refused(403, "Telemetry.SubscriptionClosed", "Telemetry API subscription is closed")
    schemas = sandbox.settings.telemetry_schemas
    if sandbox.settings.init_type is InitType.MANAGED:
        schemas = [schema for schema in schemas if schema == facts.SCHEMAS[-1]]  # Seen on RIE, Managed Instances.
    sandbox.telemetry.subscribe(extension.name, parse_subscription(request.body, schemas))
    return Reply(200, b'"OK"')


def identify(sandbox: Sandbox, request: Request) -> Extension:
    """Return the extension that the identifier header names."""
    given = request.headers.get(IDENTIFIER) or ""
    if not given:
        raise Refused(403, "Extension.MissingExtensionIdentifier", f"Missing {IDENTIFIER} header")
    try:
        identifier = str(uuid.UUID(given))
    except ValueError:
        raise Refused(403, "Extension.InvalidExtensionIdentifier", f"Invalid {IDENTIFIER}") from None
    with sandbox.lock:
        for extension in sandbox.extensions:
            if extension.identifier == identifier:
                return extension
    raise Refused(403, "Extension.UnknownExtensionIdentifier", f"Unknown extension {identifier}")


def _events(body: bytes) -> list[str]:
    try:
        document: Any = json.loads(body)
    except ValueError as error:
        raise Refused(403, "InvalidRequestFormat", str(error)) from None
    events = document.get("events") or [] if isinstance(document, dict) else None
    if not isinstance(events, list) or not all(isinstance(event, str) for event in events):
        raise Refused(403, "InvalidRequestFormat", "events must be a list of strings")
    if document.get("configurationKeys"):
        message = "configurationKeys are deprecated; use environment variables instead"
        raise Refused(403, "InvalidRequestFormat", message)
    return events


def _check_events(sandbox: Sandbox, events: list[str], *, internal: bool) -> None:
    managed = sandbox.settings.init_type is InitType.MANAGED
    for event in events:
        if event not in ("INVOKE", "SHUTDOWN") or (managed and event == "INVOKE"):
            raise Refused(403, "Extension.InvalidEventType", f"{event}: ErrorInvalidEventType")
        if internal and event == "SHUTDOWN":
            message = f"{event}: ShutdownEventNotSupportedForInternalExtension"
            raise Refused(403, "Extension.InvalidEventType", message)


def _admit_internal(sandbox: Sandbox, name: str) -> Extension:
    """Take in an extension that no file is behind (Lambda docs, internal extensions)."""
    if not sandbox.registration_open:
        raise Refused(403, "Extension.RegistrationClosed", "Extension registration closed already")
    if any(each.name == name for each in sandbox.extensions):
        raise Refused(403, "Extension.InvalidExtensionState", "Extension with this name already registered")
    if len(sandbox.extensions) >= facts.MAX_EXTENSIONS:
        raise Refused(403, "Extension.TooManyExtensions", f"Extension limit ({facts.MAX_EXTENSIONS}) reached")
    extension = Extension(name=name, internal=True)
    sandbox.extensions.append(extension)
    return extension


def _announce(sandbox: Sandbox, request: Request, call: ExtensionCall, blame: str) -> Reply:
    extension = identify(sandbox, request)
    error_type = request.headers.get(ERROR_TYPE) or ""
    if not error_type:
        raise Refused(403, "Extension.MissingHeader", f"{ERROR_TYPE} not found")
    with sandbox.lock:
        extension.state = next_extension_state(extension.state, call, extension.identifier)
        extension.error_type = extension.error_type or error_type
        sandbox.blamed = sandbox.blamed or blame
        sandbox.changed()
    return replies.accepted()


def _features(request: Request) -> set[str]:
    raw = request.headers.get("Lambda-Extension-Accept-Feature") or ""
    return {feature.strip() for feature in raw.split(",")}


def _function(sandbox: Sandbox, *, with_account: bool) -> dict[str, str]:
    settings = sandbox.settings
    account = {"accountId": settings.account_id} if with_account else {}
    return {
        **account,
        "functionName": settings.function_name,
        "functionVersion": settings.function_version,
        "handler": settings.handler,
    }
