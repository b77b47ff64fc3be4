"""What it costs an invocation to ship its records, and what a collector that is unwell costs it. Out: a Section.

The environments take turns in blocks, as in ``warm``; each ships to another collector, one adds up for itself.
"""

import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from afterglow_layer.failure import Failure
from bench.arms import Arm, layer_arm
from bench.effort import Effort
from bench.environment import Environment, plan_for, started, this_python
from bench.section import Section, Table, comparison
from bench.stats import differences, rotated

TITLE = "what shipping to a collector adds to a warm invocation"
BLOCKS = 24
CALLS_PER_BLOCK = 50
WARM_UP_CALLS = 50
GAP_MS = 5
EMBEDDED = "embedded"
SLOWEST = 3

METHOD = f"""\
One environment per arm, all alive at once; {BLOCKS} rounds, in each of them {CALLS_PER_BLOCK} invocations of every
arm {GAP_MS} ms apart, the order rotated. The handler does nothing; nothing freezes. A batch goes out every 5 s, so some
invocations of each block have a batch under way beside them. The collector is a real `afterglow collect`. *Silent*
takes connections and never answers. *Added* is against the layer that adds up for itself and prints."""

Blocks = dict[str, list[list[float]]]


def measure(effort: Effort, show: Callable[[Table], None]) -> Section:
    """Measure all arms side by side."""
    with tempfile.TemporaryDirectory(prefix="afterglow-bench-") as scratch, ExitStack() as stack:
        arms = [layer_arm(this_python())._replace(name=EMBEDDED)]
        for name, settings in stack.enter_context(collectors(Path(scratch))).items():
            arms.append(arms[0]._replace(name=name, env={**arms[0].env, **settings}))
        alive = {arm.name: stack.enter_context(shipping(arm)) for arm in arms}
        for environment in alive.values():
            _block(environment, WARM_UP_CALLS)
        blocks: Blocks = {name: [] for name in alive}
        rounds = effort.rounds(BLOCKS)
        for turn in range(rounds):
            for name in rotated(list(alive), turn):
                blocks[name].append(_block(alive[name], CALLS_PER_BLOCK))
            show(_compared(blocks, f"round {turn + 1} of {rounds}"))
    return Section(METHOD, [], [_compared(blocks, "Invocations"), _slowest(blocks)], [])


@contextmanager
def shipping(arm: Arm) -> Iterator[Environment]:
    """Give an environment, which may say in the end that its collector has not taken everything."""
    try:
        with started(plan_for(arm)) as environment:
            yield environment
    except Failure as failure:
        if arm.name not in {"nobody listens", "silent"} or "did not take" not in str(failure):
            raise


@contextmanager
def collectors(scratch: Path) -> Iterator[dict[str, dict[str, str]]]:
    """Give the settings of each arm; the collectors live as long as the context."""
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        with socket.create_server(("127.0.0.1", 0)) as gone:
            nobody = gone.getsockname()[1]
        certificate = _certificate(scratch)
        plain = stack.enter_context(_collecting(scratch / "plain"))
        secure = stack.enter_context(_collecting(scratch / "secure", "--tls-cert", str(certificate)))
        yield {
            "http": {"AFTERGLOW_COLLECTOR": plain},
            "https": {"AFTERGLOW_COLLECTOR": secure, "AFTERGLOW_COLLECTOR_CA": str(certificate)},
            "nobody listens": {"AFTERGLOW_COLLECTOR": f"http://127.0.0.1:{nobody}"},
            "silent": {"AFTERGLOW_COLLECTOR": f"http://127.0.0.1:{silent.getsockname()[1]}"},
        }


@contextmanager
def _collecting(data: Path, *options: str) -> Iterator[str]:
    command = [sys.executable, "-m", "afterglow_layer", "collect", "--listen", "127.0.0.1:0", "--data", str(data)]
    command += ["--sink", f"file:{data}.ndjson", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = [process.stderr.readline()]
        found = re.search(r"listening on (\S+)", said[0])
        if found is None:
            process.kill()
            raise Failure(f"the collector did not start: {said[0]}{process.stderr.read()}")
        yield found[1]
        process.send_signal(signal.SIGTERM)


def _certificate(scratch: Path) -> Path:
    """Return a file with a key and a certificate for 127.0.0.1 that vouches for itself."""
    key, certificate, both = scratch / "key.pem", scratch / "cert.pem", scratch / "both.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "1",
    ]
    command += [
        "-subj",
        "/CN=bench",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        raise Failure("openssl is not installed; it makes the certificate for https") from None
    both.write_text(key.read_text() + certificate.read_text())
    return both


def _block(environment: Environment, calls: int) -> list[float]:
    took = []
    for _ in range(calls):
        took.append(environment.call())
        time.sleep(GAP_MS / 1000)
    return took


def _compared(blocks: Blocks, caption: str) -> Table:
    medians = {name: [median(block) for block in found] for name, found in blocks.items()}
    added = {name: differences(found, medians[EMBEDDED]) for name, found in medians.items() if name != EMBEDDED}
    return comparison(_flat(blocks), added, "ms", caption, digits=3)


def _slowest(blocks: Blocks) -> Table:
    head = ["", "n", *(f"slowest {place} ms" for place in range(1, SLOWEST + 1))]
    rows = []
    for name, found in _flat(blocks).items():
        slowest = sorted(found, reverse=True)[:SLOWEST]
        rows.append([name, str(len(found)), *(f"{took_ms:.1f}" for took_ms in slowest)])
    return Table(head, rows, "The slowest of them")


def _flat(blocks: Blocks) -> dict[str, list[float]]:
    return {name: [took for block in found for took in block] for name, found in blocks.items()}
