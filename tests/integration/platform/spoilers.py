"""Programs that spoil the surroundings of all that is started through them. Out: words to put before a command.

Each is the real thing: a mount, a filter in the kernel, a clock that another library answers for.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

SELF = Path(__file__)
AF_UNIX, EAFNOSUPPORT = 1, 97
SOCKET_CALLS = {"x86_64": (41, 53), "aarch64": (198, 199)}  # socket, socketpair: asm/unistd.h


def mounted(command: str) -> list[str]:
    """Return words that change what is mounted, in a namespace of the process's own."""
    return ["unshare", "--mount", "/bin/sh", "-ec", f'{command}; exec "$@"', "mounted"]


def another_tmp(then: str) -> list[str]:
    """Return words that mount a small /tmp and do something to it; a checkout that lies in /tmp stays where it is."""
    kept = "".join(f" {folder}" for folder in SELF.resolve().parents if folder.parent == Path("/tmp"))
    keep = f"for each in{kept}; do mkdir $each; mount --rbind $old/${{each#/tmp/}} $each; done"
    hide = "old=$(mktemp -d -p /var/tmp); mount --rbind /tmp $old; mount -t tmpfs -o size=64k none /tmp"
    return mounted(f"{hide}; {keep}; umount -l $old; rmdir $old; {then}")


TMP_READ_ONLY = another_tmp("mount -o remount,ro /tmp")
TMP_FULL = another_tmp("dd if=/dev/zero of=/tmp/all bs=4k 2>/dev/null || true")
NO_PROC = mounted("mount -t tmpfs -o ro,size=64k none /proc")
NO_UNIX_SOCKETS = [sys.executable, "-I", str(SELF)]


def jumping_clock(folder: Path) -> dict[str, str]:
    """Return variables under which the extension's time of day jumps by an hour, to and fro, every few readings."""
    compiler = shutil.which("gcc")
    if compiler is None:
        import pytest

        pytest.skip("no compiler to make the clock with")
    source, library, python = folder / "clock.c", folder / "clock.so", folder / "python"
    source.write_text(CLOCK)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True)
    base = os.path.realpath(sys.executable)
    python.write_text(f'#!/bin/sh\nLD_PRELOAD={library} exec {base} "$@"\n')  # the launcher lets go of LD_PRELOAD
    python.chmod(0o755)
    return {"AFTERGLOW_PYTHON": str(python)}


CLOCK = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    static const long jumps[] = {0, 3600, -3600};
    static unsigned readings;
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && clock == CLOCK_REALTIME)
        now->tv_sec += jumps[readings++ / 5 % 3];
    return failed;
}
"""


def refuse_unix_sockets() -> None:
    """Let the kernel answer socket(AF_UNIX) with EAFNOSUPPORT from now on (seccomp(2)), for us and our children."""
    import ctypes
    import struct

    instruction = struct.Struct("HBBI").pack  # code, jump if true, jump if false, k: linux/filter.h
    load, equals, answer = 0x20, 0x15, 0x06  # BPF_LD | BPF_W | BPF_ABS; BPF_JMP | BPF_JEQ; BPF_RET
    one, pair = SOCKET_CALLS[platform.machine()]
    program = [
        instruction(load, 0, 0, 0),  # seccomp_data.nr
        instruction(equals, 1, 0, one),
        instruction(equals, 0, 3, pair),
        instruction(load, 0, 0, 16),  # seccomp_data.args[0]
        instruction(equals, 0, 1, AF_UNIX),
        instruction(answer, 0, 0, 0x0005_0000 | EAFNOSUPPORT),  # SECCOMP_RET_ERRNO
        instruction(answer, 0, 0, 0x7FFF_0000),  # SECCOMP_RET_ALLOW
    ]
    code = ctypes.create_string_buffer(b"".join(program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    libc = ctypes.CDLL(None, use_errno=True)
    filtered = Program(len(program), ctypes.addressof(code))
    for option, argument, more in ((38, 1, None), (22, 2, ctypes.byref(filtered))):  # no new privileges; seccomp
        if libc.prctl(option, argument, more, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    refuse_unix_sockets()
    os.execvp(sys.argv[1], sys.argv[1:])
