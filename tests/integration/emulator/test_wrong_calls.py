"""Calls that the protocol forbids: RIE and the built-in emulator refuse them with the same words."""

import json

import pytest
from tests.integration.emulator.conftest import StartPlatform

from afterglow_layer.emulator.states import NOT_ALLOWED

REGISTER = 'call("POST", f"{EXTENSION}/register", %s, %s)'
NEXT = 'call("GET", f"{EXTENSION}/event/next", headers=%s)'
NAMED = '{"Lambda-Extension-Name": "wrong"}'
NOBODY = "00000000-0000-4000-8000-000000000000"

BEFORE_REGISTER = {
    "register without a name": (
        REGISTER % ('{"events": []}', "{}"),
        403,
        "Extension.InvalidExtensionName",
        "Empty extension name",
    ),
    "register for an unknown event": (
        REGISTER % ('{"events": ["SLEEP"]}', NAMED),
        403,
        "Extension.InvalidEventType",
        "SLEEP: ErrorInvalidEventType",
    ),
    "register with configurationKeys": (
        REGISTER % ('{"events": [], "configurationKeys": ["a"]}', NAMED),
        403,
        "InvalidRequestFormat",
        "configurationKeys are deprecated; use environment variables instead",
    ),
    "register an internal extension for SHUTDOWN": (
        REGISTER % ('{"events": ["SHUTDOWN"]}', '{"Lambda-Extension-Name": "other"}'),
        403,
        "Extension.InvalidEventType",
        "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension",
    ),
    "next without an identifier": (
        NEXT % "{}",
        403,
        "Extension.MissingExtensionIdentifier",
        "Missing Lambda-Extension-Identifier header",
    ),
    "next with no identifier at all": (
        NEXT % '{"Lambda-Extension-Identifier": "me"}',
        403,
        "Extension.InvalidExtensionIdentifier",
        "Invalid Lambda-Extension-Identifier",
    ),
    "next with an unknown identifier": (
        NEXT % f'{{"Lambda-Extension-Identifier": "{NOBODY}"}}',
        403,
        "Extension.UnknownExtensionIdentifier",
        f"Unknown extension {NOBODY}",
    ),
}

AFTER_REGISTER = {
    "register twice": (
        REGISTER % ('{"events": []}', NAMED),
        403,
        "Extension.InvalidExtensionState",
        f"State transition from Registered to Registered failed for extension wrong. Error: {NOT_ALLOWED}",
    ),
    "init/error without its type": (
        'call("POST", f"{EXTENSION}/init/error", headers=me())',
        403,
        "Extension.MissingHeader",
        "Lambda-Extension-Function-Error-Type not found",
    ),
    "exit/error without its type": (
        'call("POST", f"{EXTENSION}/exit/error", headers=me())',
        403,
        "Extension.MissingHeader",
        "Lambda-Extension-Function-Error-Type not found",
    ),
    "an answer to no invocation": (
        'call("POST", "/2018-06-01/runtime/invocation/unknown/response", "{}")',
        400,
        "InvalidRequestID",
        "Invalid request ID",
    ),
}


def _extension(before: dict[str, tuple[str, int, str, str]], after: dict[str, tuple[str, int, str, str]]) -> str:
    lines = [f"say(said={name!r}, answer={code})" for name, (code, *_) in before.items()]
    lines += ["register()", *[f"say(said={name!r}, answer={code})" for name, (code, *_) in after.items()], "loop()"]
    return "\n".join(lines)


def test_wrong_calls_are_refused_word_for_word(start_platform: StartPlatform) -> None:
    platform = start_platform(wrong=_extension(BEFORE_REGISTER, AFTER_REGISTER))
    platform.invoke()
    cases = {**BEFORE_REGISTER, **AFTER_REGISTER}
    said = {each["said"]: each["answer"] for each in platform.said if "answer" in each}

    expected = {
        name: (status, {"errorType": kind, "errorMessage": text}) for name, (_, status, kind, text) in cases.items()
    }
    assert expected == {name: (status, json.loads(body)) for name, (status, _, body) in said.items()}


def test_init_error_comes_too_late_after_next(start_platform: StartPlatform) -> None:
    platform = start_platform(
        late="""
        register()
        next_event()
        headers = me(**{"Lambda-Extension-Function-Error-Type": "Extension.Late"})
        say(said="late", answer=call("POST", f"{EXTENSION}/init/error", headers=headers), id=identifier)
        loop()
        """
    )
    platform.invoke()
    late = platform.wait_for(lambda said: said["said"] == "late")

    status, _, body = late["answer"]
    message = f"State transition from Running to InitError failed for extension {late['id']}. Error: {NOT_ALLOWED}"
    assert (403, {"errorType": "Extension.InvalidExtensionState", "errorMessage": message}) == (
        status,
        json.loads(body),
    )


@pytest.mark.parametrize("feature", ["accountId", "accountId, somethingNew", ""])
def test_register_answers_with_the_functions_name_version_and_handler(
    start_platform: StartPlatform, feature: str
) -> None:
    platform = start_platform(
        asks=f"""
        headers = {{"Lambda-Extension-Name": NAME, "Lambda-Extension-Accept-Feature": {feature!r}}}
        status, got, body = call("POST", f"{{EXTENSION}}/register", {{"events": ["SHUTDOWN"]}}, headers)
        identifier = got["Lambda-Extension-Identifier"]
        say(said="answer", status=status, body=body)
        loop()
        """
    )
    platform.invoke()
    answer = platform.wait_for(lambda said: said["said"] == "answer")

    document = json.loads(answer["body"])
    document.pop("accountId", None)  # RIE has none to give.
    assert 200 == answer["status"]
    assert {"functionName": "test_function", "functionVersion": "$LATEST", "handler": "app.handler"} == document
