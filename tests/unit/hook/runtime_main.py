"""A runtime's process: awslambdaric's own loop and our hook, fed over two pipes in place of the Runtime API.

Runs in a child process, with any Python from 3.10 on. Commands are lines of JSON, {"id": …, "event": …}; answers
too: {"result": …}, {"error": …} or {"init_error": …}, after {"ready": true}.
"""
# ruff: noqa: ARG002 - the methods are as awslambdaric calls them

import importlib
import json
import os
import sys

commands = os.fdopen(int(sys.argv[1]), "rb", buffering=0)
answers = os.fdopen(int(sys.argv[2]), "w", encoding="utf-8")

for name in filter(None, os.environ.get("PRELOAD", "").split(",")):
    importlib.import_module(name)
if "WITH_HOOK" in os.environ:
    import afterglow_hook

    installed = [afterglow_hook.install(), afterglow_hook.install()]
else:
    installed = []

from awslambdaric import bootstrap, lambda_runtime_client  # noqa: E402 - the hook is there first, as on Lambda


def answer(**parts):
    answers.write(json.dumps(parts) + "\n")
    answers.flush()


class Native:
    """What awslambdaric has in C: its connection to the Runtime API."""

    def next(self):
        line = b""
        while not line.endswith(b"\n"):
            byte = commands.read(1)  # unbuffered: a forked worker must not have read its sibling's commands
            if not byte:
                os._exit(0)  # whatever still runs, the environment is over
            line += byte
        command = json.loads(line)
        body = command["body"] if "body" in command else json.dumps(command["event"])
        return body.encode(), {
            "Lambda-Runtime-Aws-Request-Id": command["id"],
            "Lambda-Runtime-Deadline-Ms": "4000000000000",
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:123456789012:function:f",
            "Content-Type": "application/json",
            **command.get("headers", {}),
        }

    def post_invocation_result(self, invoke_id, result, content_type, invocation_id=None):
        answer(id=invoke_id, result=json.loads(result))

    def post_error(self, invoke_id, error, xray_fault, invocation_id=None):
        xray = json.loads(xray_fault)
        answer(id=invoke_id, error=json.loads(error), xray={**xray, "paths": sorted(xray["paths"])})  # made from a set


class Client(lambda_runtime_client.LambdaRuntimeClient):
    """The client's own, but for one thing that it says over HTTP."""

    def post_init_error(self, error, error_type_override=None):
        answer(init_error=error)


lambda_runtime_client.runtime_client = Native()
if "FORK_FIRST" in os.environ and os.fork():  # as the runtime of Managed Instances makes its workers
    os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
answer(ready=True, installed=installed, pid=os.getpid())
if bootstrap.run.__code__.co_argcount == 3:  # awslambdaric before 4.0 makes its client itself
    bootstrap.LambdaRuntimeClient = lambda *_: Client("nobody")
    bootstrap.run(os.environ["LAMBDA_TASK_ROOT"], os.environ["_HANDLER"], "nobody")
bootstrap.run(os.environ["_HANDLER"], Client("nobody"))
