"""Numbers and names of the Lambda protocol, each with its source.

In: nothing. Out: constants. "RIE source" is github.com/aws/aws-lambda-runtime-interface-emulator, whose
classic half is Lambda's own rapid; "seen on RIE" is what aws-sam-cli 1.170.0's binary did when we ran it.
"""

INIT_LIMIT_MS = 10_000
"""Lambda docs, execution environment: the Init phase of an on-demand function is limited to 10 seconds."""

EAGER_INIT_LIMIT_MS = 900_000
"""Lambda docs: provisioned concurrency, SnapStart and Managed Instances may initialise for up to 15
minutes."""

RESTORE_LIMIT_MS = 10_000
"""Lambda docs, SnapStart: the runtime has 10 seconds to load and to run its after-restore hooks."""

SHUTDOWN_BUDGET_MS = {"none": 0, "internal": 500, "external": 2_000}
"""Lambda docs, Extensions API: Shutdown takes 0, 500 or 2,000 ms with no, internal or external extensions."""

RUNTIME_SHARE = 0.3
"""RIE source, rapid/shutdown.go, runtimeDeadlineShare: of the budget, what the runtime has after SIGTERM."""

FLUSH_LIMIT_S = 1.0
"""RIE source, lambda-managed-instances, rapid/shutdown.go and telemetry/events_api.go: between the runtime's end and
the extensions' SHUTDOWN, telemetry is flushed, for up to a second."""

MAX_EXTENSIONS = 10
"""Lambda docs and RIE source, core/registrations.go, MaxAgentsAllowed."""

MAX_PAYLOAD_BYTES = 6 * 1024 * 1024 + 100
"""RIE source, interop/model.go, MaxPayloadSize: 6 MiB and 100 bytes, both ways."""

SCHEMAS = ("2022-07-01", "2022-12-13", "2025-01-29")
"""Lambda docs, Telemetry API schema versions, oldest first. Managed Instances take the last one alone."""

TELEMETRY_TYPES = ("platform", "function", "extension")

BUFFERING_LIMITS = {"maxItems": (1_000, 10_000), "maxBytes": (262_144, 1_048_576), "timeoutMs": (25, 30_000)}
"""Lambda docs, Telemetry API, and RIE source, telemetry-subscription-schema.json: smallest and largest
value."""

BUFFERING_DEFAULTS = {"maxItems": 10_000, "maxBytes": 262_144, "timeoutMs": 1_000}
"""Lambda docs, Telemetry API; the same in RIE source, subscription_api.go."""

LISTENER_HOSTS = ("sandbox.localdomain", "sandbox")
"""RIE source, telemetry/internal/client.go: no other host is taken, and both lead to 127.0.0.1."""

DROPPED_SLOW = "Some logs were dropped because the downstream consumer is slower than the logs production rate"
"""RIE source, subscriber.go: the reason in platform.logsDropped."""
