"""What to do about a finding or a bad ending: tables, looked up by what it is, how it ended and what it was doing.

In: a finding of the run document, or an ending's kind. Out: sentences, the repair first. docs/findings.md explains
each at length.
"""

from typing import Any, NamedTuple

from afterglow_collector.known_errors import ENVIRONMENT_LIVES as KNOWN_TO_LIVE
from afterglow_collector.known_errors import REPAIRS as KNOWN_REPAIRS

REPAIRS: dict[str, str] = {
    "thread": (
        "Call join() on the thread before the handler returns. If the caller should not wait for it, "
        "give the work to something that outlives the invocation: an SQS queue, or an asynchronous "
        "invocation of another function (InvocationType='Event')."
    ),
    "timer": (
        "A timer runs only while the environment is awake. Call cancel() on it before the handler returns, "
        "or let a service keep the time: an SQS delay (DelaySeconds) or EventBridge Scheduler."
    ),
    "executor": (
        "Take every result before the handler returns: keep the futures and call result() on each, or use "
        "the executor as a context manager (with ThreadPoolExecutor() as pool:), which waits at its end."
    ),
    "asyncio-task": (
        "Await the task before the handler returns: keep what create_task() gave you and await it, or start "
        "it in an asyncio.TaskGroup (Python 3.11) or under asyncio.gather()."
    ),
    "process": (
        "Wait for the child before the handler returns: wait() or communicate() on a Popen, join() on a "
        "multiprocessing.Process; subprocess.run() does it for you."
    ),
    "alarm": (
        "Cancel it before the handler returns, in a finally: signal.setitimer(signal.ITIMER_REAL, 0) or "
        "signal.alarm(0). It runs on while the environment is frozen, and rings at the thaw: in the runtime's own "
        "loop, whose end is the end of the environment, or in the next handler."
    ),
    "threads-left": (
        "Make what starts it once, at module level, and use it again; or close it before the handler returns. "
        "A Lambda environment has 1,024 processes and threads."
    ),
    "fd-left": (
        "Close what the handler opens (with open(…) as file), or open it once at module level. A Lambda environment "
        "has 1,024 descriptors; after that, opening a file or a connection fails with EMFILE."
    ),
    "tmp-left": (
        "Delete what the handler writes to /tmp (tempfile.TemporaryDirectory does), or write to the same name each "
        "time. /tmp has 512 MB unless configured otherwise, and lives as long as the environment."
    ),
    "killed-child": (
        "Give the function more memory, or the child less to do at once. Check the child's exit status: a -9 (SIGKILL) "
        "that nobody sent is the kernel's. The platform says nothing of this: to it the invocation is a success."
    ),
}

FLUSHES: dict[str, str] = {
    "posthog": "posthog.flush(), or Posthog(…, sync_mode=True)",
    "opentelemetry": "force_flush() on the provider (trace.get_tracer_provider().force_flush())",
    "sentry_sdk": "sentry_sdk.flush(timeout=2), or the AwsLambdaIntegration, which does it",
    "segment": "analytics.flush()",
    "analytics": "analytics.flush()",
    "watchtower": "flush() on the CloudWatchLogHandler, or close()",
    "ldclient": "flush() on the client (ldclient.get().flush())",
    "datadog": "flush() on the statsd client, or statsd.disable_background_sender()",
    "ddtrace": "tracer.flush()",
    "elasticapm": "client.close() on the client, or client._transport.flush()",
    "newrelic": "newrelic.agent.shutdown_agent(), or the wrapper of its Lambda layer",
    "kafka": "producer.flush()",
    "confluent_kafka": "producer.flush()",
    "paho": "wait_for_publish() on what publish() returned",
    "logging_loki": "flush() and stop() on the handler's queue listener",
    "mixpanel": "flush() on the BufferedConsumer",
    "amplitude": "client.flush(), and wait for the futures that it returns, or client.shutdown()",
    "rudderstack": "analytics.flush()",
    "honeycomb": "client.flush()",
    "libhoney": "libhoney.flush() or libhoney.close()",
    "beeline": "beeline.get_beeline().client.flush()",
    "logtail": "flush() on the LogtailHandler",
    "rollbar": "rollbar.wait()",
    "bugsnag": "bugsnag.configure(asynchronous=False)",
    "honeybadger": "honeybadger.configure(force_sync=True)",
    "aws_xray_sdk": "end the segment in the handler: xray_recorder.end_segment()",
    "influxdb_client": "write_api.flush() or write_api.close(), or write_options=SYNCHRONOUS",
    "langfuse": "langfuse.flush()",
    "langsmith": "Client().flush(), or LANGSMITH_TRACING_BACKGROUND=false",
    "statsig": "statsig.flush()",
    "pyroscope": "pyroscope.shutdown()",
    "graypy": "a handler without a queue of its own, or QueueListener.stop()",
}
"""By top-level module: what makes its background thread send what it has, while the handler waits."""

SCHEDULERS = ("apscheduler", "schedule", "sched")
SCHEDULER_REPAIR = (
    "Nothing keeps the time while the environment is frozen. Let a service do it: EventBridge Scheduler, or an SQS "
    "delay (DelaySeconds), which starts an invocation of its own."
)
FLUSH_REPAIR = (
    "Call {flush} before the handler returns: it waits until what you gave is sent. Or send from the handler itself."
)
OWN_REPAIR = (
    "The thread serves the whole environment, so do not wait for its end; wait for what you gave it. Let it say when "
    "that is done (queue.task_done() and queue.join(), or a Future for each job), and wait for that before the handler "
    "returns. Or do the work in the handler itself."
)
LIBRARY_REPAIR = (
    "The thread is {module}'s, and goes on when your call has returned. Have it finish before the handler returns, by "
    "its own flush() or close() (see its documentation), or use it in its synchronous way."
)
WORKER_LOST = "What it had been given and had not done is lost with the environment."

OTHER_REPAIR = "Wait for it before the handler returns, or give it to something that outlives the invocation."

CONSEQUENCES: dict[str, str] = {
    "done": "This time it ended before the freeze; the next freeze may come sooner and catch it half done.",
    "resumed": (
        "Until then its effects are missing; then they come late, in the logs, the time and the bill of "
        "another request."
    ),
    "lost": "What it had left to do was not done, and nothing will try it again.",
    "open": "Nothing guarantees that it will ever go on.",
}


class Hint(NamedTuple):
    """One more sentence, given when the state at the return contains one of the words."""

    words: tuple[str, ...]
    sentence: str


HINTS: list[Hint] = [
    Hint(
        ("stopped loop",),
        "A stopped loop moves nothing: the task goes on when a later invocation runs the loop, or never.",
    ),
    Hint(
        ("running loop",),
        "A loop in a thread of its own is frozen like everything else.",
    ),
    Hint(
        ("i/o", "socket"),
        "A connection held across a freeze is often closed by the other side: expect a reset or a timeout.",
    ),
    Hint(
        ("sleep", "to pass"),
        "Clocks run on while the environment is frozen: what fell due meanwhile fires at the thaw.",
    ),
    Hint(
        ("running",),
        "Once it goes on, it takes its CPU time from the request that happens to be there.",
    ),
]


def advise(finding: dict[str, Any]) -> list[str]:
    """Return what to do, then why it matters, then what its state adds: a sentence or two each."""
    worker = finding.get("worker")
    sentences = [REPAIRS.get(finding["what"], OTHER_REPAIR) if worker is None else repair_of_worker(finding)]
    if worker is not None and finding["outcome"] == "lost":
        sentences.append(WORKER_LOST)
    elif finding["outcome"] in CONSEQUENCES:
        sentences.append(CONSEQUENCES[finding["outcome"]])
    state = (finding["state"] or "").lower()
    sentences.extend(next(([hint.sentence] for hint in HINTS if any(w in state for w in hint.words)), []))
    return sentences


def repair_of_worker(finding: dict[str, Any]) -> str:
    """Return what to do about work that was given to a thread that lives on, or is a library's own."""
    package = finding["worker"].partition(".")[0]
    if package in SCHEDULERS:
        return SCHEDULER_REPAIR
    if package in FLUSHES:
        return FLUSH_REPAIR.format(flush=FLUSHES[package])
    parts = (finding["where"]["file"] or "").removesuffix(".py").split("/")
    return OWN_REPAIR if package in ("", "__main__", *parts) else LIBRARY_REPAIR.format(module=package)


ENDING_REPAIRS: dict[str, str] = {
    "timeout": (
        "Give what it waits for a time limit of its own, below context.get_remaining_time_in_millis(): then the "
        "handler can still answer, and say what was slow. Raise the function's timeout only if the work needs it."
    ),
    "timeout, busy": (
        "It was computing, not waiting. CPU comes with memory: 1,769 MB buy one whole core. Raise the memory size, "
        "do less in one invocation, or raise the timeout."
    ),
    "timeout of Init": (
        "Import less, or later: inside the function that needs it. Nothing that waits for a network belongs into "
        "a module's top level; Lambda gives Init 10 s."
    ),
    "out-of-memory": (
        "Raise the memory size above what the curve tends to, or hold less at once: stream, page, and let go of "
        "what is done. Where it was as memory ran out need not be what holds the most."
    ),
    "crash": (
        "A fatal signal comes from native code: ctypes, or a package with parts in C. Check that it was built for "
        "this architecture, this Python and Amazon Linux, and that no thread uses what another one has freed."
    ),
    "exit": (
        "Something ended the process: sys.exit, os._exit, or a signal from outside. Return or raise instead; "
        "code that was written as a script often exits where a handler must not."
    ),
    "init-error": (
        "Every cold start will fail like this one. Check that the package with its dependencies is whole, and was "
        "built for this Python and this architecture, and that what the import reads is there."
    ),
    "async": (
        "Make the handler a plain function that runs the coroutine: def handler(event, context): return "
        "asyncio.run(main(event)). For an ASGI application there are adapters, such as Mangum."
    ),
    "generator": (
        "Return what the caller is to get: collect what is yielded into a list. Streaming from Python takes a custom "
        "runtime or a web server behind the Lambda Web Adapter."
    ),
    "result": (
        "Return only what JSON knows: dict, list, str, int, float, bool and None. Convert the rest before: "
        ".isoformat() on a datetime, str() on a UUID, list() on a set, .model_dump(mode='json') on a pydantic model."
    ),
    "aborted": "Nothing need be wrong with the handler: its environment was taken away while it ran.",
    **KNOWN_REPAIRS,
}
"""By kind of ending; a handler that raises mostly knows itself what to do about it."""

ENVIRONMENT_LIVES = ("async", "generator", "result", *KNOWN_TO_LIVE)
"""Kinds after which the environment takes the next invocation."""

ENVIRONMENT_ENDED = (
    "The environment ended with it: its memory, its connections and /tmp are gone, and the next invocation is a "
    "cold start. Asynchronous invocations are tried twice more, so a second run must do no harm."
)


def advise_on_ending(kind: str, *, ends_environment: bool) -> list[str]:
    """Return what to do about a bad ending, then what came of it; nothing for a kind without advice."""
    if kind not in ENDING_REPAIRS:
        return []
    ends_environment = ends_environment and kind not in ENVIRONMENT_LIVES
    return [ENDING_REPAIRS[kind], *([ENVIRONMENT_ENDED] if ends_environment else [])]
