"""A file system of a given size in a file. In: a path and MB. Out: the file system, mounted.

It takes root, a loop device and mke2fs; OSError where one is missing. The loop device frees itself when the last
mount is gone, whatever ended the sandbox (LO_FLAGS_AUTOCLEAR, loop(4)).
"""

import errno
import fcntl
import os
import shutil
import struct
from pathlib import Path

from afterglow_layer.local.mounts import MS_NODEV, MS_NOSUID, mount

LOOP_SET_FD, LOOP_SET_STATUS64, LOOP_CTL_GET_FREE = 0x4C00, 0x4C04, 0x4C82  # linux/loop.h
LO_FLAGS_AUTOCLEAR = 4
LOOP_INFO = struct.Struct("@5Q4I64s64s32s2Q")
TRIES = 10

TABLES_MB = 16  # ext4's own, so that what was asked for can be written.
MKE2FS = ["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-E", "lazy_itable_init=1"]


def mount_image(image: Path, size_mb: int, target: Path) -> None:
    """Make a file system in a sparse file and mount it; the file's name goes at once, its blocks with the mount."""
    with image.open("xb") as file:
        file.truncate((size_mb + TABLES_MB) * 1024 * 1024)
    try:
        _format(image)
        device = _attach(image)
        try:
            # Nobody needs the tables' blank parts on disk.
            mount(f"/dev/loop{device[1]}", target, "ext4", MS_NOSUID | MS_NODEV, "noinit_itable")
        finally:
            os.close(device[0])
    finally:
        image.unlink()
    (target / "lost+found").rmdir()
    target.chmod(0o1777)


def _format(image: Path) -> None:
    tool = shutil.which("mke2fs", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if tool is None:
        raise FileNotFoundError(errno.ENOENT, "not found", "mke2fs")
    if status := os.spawnv(os.P_WAIT, tool, [tool, *MKE2FS, str(image)]):  # noqa: S606 - no shell is the point
        raise OSError(errno.EIO, f"mke2fs ended with {status}", str(image))


def _attach(image: Path) -> tuple[int, int]:
    """Return an open loop device that shows the file, and its number."""
    with image.open("r+b") as file, Path("/dev/loop-control").open("r+b", buffering=0) as control:
        for _ in range(TRIES):
            number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
            device = os.open(f"/dev/loop{number}", os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(device, LOOP_SET_FD, file.fileno())
                flags = LOOP_INFO.pack(0, 0, 0, 0, 0, 0, 0, 0, LO_FLAGS_AUTOCLEAR, b"", b"", b"", 0, 0)
                fcntl.ioctl(device, LOOP_SET_STATUS64, flags)
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:  # Busy: somebody else was given the same one, and was faster.
                    raise
            else:
                return device, number
    raise OSError(errno.EBUSY, "every free loop device was taken by somebody else", "/dev/loop-control")
