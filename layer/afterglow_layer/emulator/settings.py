"""What a test (or ``afterglow run``) may choose about the emulated Lambda: the function, and how Lambda errs.

In: keyword arguments. Out: frozen settings. All times in milliseconds, as in Lambda's own console and
protocol.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from afterglow_layer.emulator import facts


class InitType(str, Enum):
    """AWS_LAMBDA_INITIALIZATION_TYPE (Lambda docs, environment variables)."""

    ON_DEMAND = "on-demand"
    PROVISIONED = "provisioned-concurrency"
    SNAP_START = "snap-start"
    MANAGED = "lambda-managed-instances"


class ShutdownReason(str, Enum):
    """Lambda docs, Extensions API, Shutdown. RIE has other words: match without case, accept unknown ones."""

    SPINDOWN = "SPINDOWN"
    TIMEOUT = "TIMEOUT"
    FAILURE = "FAILURE"


@dataclass(frozen=True, kw_only=True)
class LambdaSettings:
    """The function's configuration, and which of Lambda's habits are on."""

    function_name: str = "test_function"
    function_version: str = "$LATEST"
    handler: str = "app.handler"
    region: str = "us-east-1"
    account_id: str = "012345678912"
    memory_mb: int = 128
    timeout_ms: int = 3_000
    init_type: InitType = InitType.ON_DEMAND
    init_timeout_ms: int | None = None
    """None: 10 s on demand, 15 minutes for the types that initialise ahead of the first invocation."""
    max_concurrency: int = 1
    """Managed Instances only: how many invocations the runtime serves at once."""
    execution_env: str = "AWS_Lambda_python3.11"
    log_format: str = "Text"
    """Text or JSON: JSON lines become objects in telemetry from schema 2022-12-13 on."""
    xray: bool = False
    """Active tracing: the runtime is given the X-Ray variables, extensions are not."""
    cwd: Path | None = None
    """Where processes start; None: where we are."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The customer's variables. Nothing of our own environment passes through but PATH, HOME, LANG and TZ."""
    launcher: Sequence[str] = ()
    """Put before every command, for a namespace: ``["nsenter", "--mount=…"]``."""
    freeze: bool = True
    """Freeze every process between invocations, as Lambda does and RIE does not."""
    freezer: str = "auto"
    """How: a key of ``local.freezer.CHOICES`` (auto, cgroup-v2, cgroup-v1, sigstop)."""
    early_response: bool = True
    """Answer the caller when the runtime has answered, though an extension is still busy; RIE waits for
    both."""
    bill_init: bool = True
    """INIT is billed since 2025-08-01 (AWS Compute Blog)."""
    report_before_shutdown: bool = True
    """After a timeout or a crash, whether platform.report still reaches extensions before their SHUTDOWN. Not
    documented, so a listener must live with both."""
    telemetry_schemas: Sequence[str] = facts.SCHEMAS
    """The schema versions that this region's endpoint takes."""

    @property
    def init_limit_ms(self) -> int:
        """How long the Init phase may last."""
        if self.init_timeout_ms is not None:
            return self.init_timeout_ms
        return facts.INIT_LIMIT_MS if self.init_type is InitType.ON_DEMAND else facts.EAGER_INIT_LIMIT_MS

    @property
    def function_arn(self) -> str:
        """The invoked function's ARN."""
        return f"arn:aws:lambda:{self.region}:{self.account_id}:function:{self.function_name}"


@dataclass(frozen=True, kw_only=True)
class Misbehaviour:
    """What goes wrong, on demand. All is off by default; each field is one fault that a listener must survive."""

    telemetry_unsupported: bool = False
    """202 Telemetry.NotSupported, as RIE's classic mode."""
    slow_batches_ms: int = 0
    """Each batch is held this long before it is sent."""
    dribble_ms: int = 0
    """Each batch arrives in eight pieces with a pause of this length between them."""
    late_batches: bool = False
    """No batch is sent before the thaw that follows its first event."""
    duplicate_batches: bool = False
    """Each batch is sent twice: delivery is at least once."""
    reorder_batches: bool = False
    """Each second batch overtakes the one before it."""
    split_batches: bool = False
    """One event per batch."""
    no_flush_at_shutdown: bool = False
    """SHUTDOWN does not wait for the last batches, which then race with the extension's end."""
    oversize_bytes: int = 0
    """Each batch carries a function log line of this many bytes besides."""
    malformed_batches: bool = False
    """Each batch ends in the middle of its JSON, with a Content-Length that fits."""
    cut_batches: bool = False
    """The connection is reset half-way through each batch."""
    errors_500: Mapping[str, int] = field(default_factory=dict)
    """Route name → how many calls are first answered with 500 (routes: see ``router.ROUTES``)."""
    resets: Mapping[str, int] = field(default_factory=dict)
    """Route name → how many calls first meet a connection reset."""
