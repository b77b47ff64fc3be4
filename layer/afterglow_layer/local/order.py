"""What a sandbox is to run, and where: told by the command to the keeper, as one line of JSON. In, out: an Order."""

from typing import NamedTuple

from afterglow_layer.local import surroundings


class Order(NamedTuple):
    """What to run, and where."""

    command: list[str]  # the emulator's, all of it where ``runtime`` is empty
    env: dict[str, str]
    directory: str
    layer: str | None
    run_dir: str  # removed at the end
    log_fd: int
    freezers: list[str]  # kinds of cgroup to try
    start_in: str | None = None  # where the emulator starts; None: in the directory
    runtime: list[str] = []  # what the emulator is to run  # noqa: RUF012 - a NamedTuple's default, never changed
    memory_mb: int | None = None  # None: not limited
    cpu_cores: float | None = None  # None: not limited
    keep_in_tmp: list[str] | None = None  # what stays reachable in a /tmp of its own; None: the host's /tmp
    shm: str = surroundings.HOST
    files: str = surroundings.WRITABLE
    as_managed: bool = False  # /var/runtime, umask and the number of open files as on Lambda
