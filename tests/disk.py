"""
A disk that does what a test says: slow, failing, read-only, or observed.

A library of our own is preloaded into the daemon, rather than libfiu, which
can't be told anything while the daemon runs but by signals or a pipe per
process, delays nothing, and fails the calls of all files alike; and rather than
a file system, which needs a kernel and rights that a test may not have.
"""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
from pathlib import Path
from unittest import SkipTest

from attrs import define, field

_SOURCE = Path(__file__).with_name("disk.c")

# As struct control there.
_CONTROL = struct.Struct("=IIIIIIQ")
_FIELDS = ("delay", "failing", "broken", "seed", "syncs", "failed", "recorded")
_OFFSETS = dict(zip(_FIELDS, (0, 4, 8, 12, 16, 20, 24), strict=True))


@define(eq=False)
class Disk:
    """
    What stands between a daemon and the disk that its store is on.

    :ivar store: the store.
    :ivar record: where each change and each sync is written to, if it is.
    """

    directory: Path
    store: Path
    record: Path | None = None

    _control: mmap.mmap = field(init=False)

    def __attrs_post_init__(self) -> None:
        control = self.directory / "control"
        control.write_bytes(bytes(_CONTROL.size))
        with control.open("r+b") as file:
            self._control = mmap.mmap(file.fileno(), _CONTROL.size)

    @property
    def starter(self) -> list[str]:
        """
        The words of a command that runs the command after it on this disk.

        :raises SkipTest: where there is no compiler to make it.
        """
        words = {
            "LD_PRELOAD": self._library(),
            "DISK_STORE": self.store.resolve(),
            "DISK_CONTROL": self.directory.resolve() / "control",
        }
        if self.record is not None:
            words["DISK_RECORD"] = self.record.resolve()
        return ["/usr/bin/env", *(f"{name}={value}" for name, value in words.items())]

    def _library(self) -> Path:
        library = self.directory.resolve() / "disk.so"
        compiler = shutil.which("cc")
        if compiler is None:
            raise SkipTest("needs a C compiler, cc")
        if not library.exists():
            options = ("-shared", "-fPIC", "-O1", "-o", library, _SOURCE, "-ldl")
            made = subprocess.run(
                [compiler, *map(str, options)], capture_output=True, check=False
            )
            if made.returncode:
                raise SkipTest(f"cc can't make disk.c: {made.stderr.decode()}")
        return library

    def slow(self, seconds: float) -> None:
        """
        Let each sync take longer from now on.
        """
        self._set("delay", int(seconds * 1000))

    def fail(self, share: float) -> None:
        """
        Let so many syncs fail from now on, from 0.0 to 1.0, and what they were
        to write never reach the disk.
        """
        self._set("failing", int(share * 10_000))

    def break_down(self, error: int) -> None:
        """
        Let writing fail from now on, with this ``errno``; 0 lets it succeed.
        """
        self._set("broken", error)

    def seed(self, seed: int) -> None:
        """
        Choose which syncs fail.
        """
        self._set("seed", seed)

    @property
    def syncs(self) -> int:
        """How many syncs were begun."""
        return self._get("syncs")

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return self._get("failed")

    @property
    def recorded(self) -> int:
        """How many bytes are on record."""
        (count,) = struct.unpack_from("=Q", self._control, _OFFSETS["recorded"])
        return int(count)

    def close(self) -> None:
        """Let go of it."""
        self._control.close()

    def _set(self, name: str, value: int) -> None:
        struct.pack_into("=I", self._control, _OFFSETS[name], value)

    def _get(self, name: str) -> int:
        (value,) = struct.unpack_from("=I", self._control, _OFFSETS[name])
        return int(value)


def mount(directory: Path, size: str) -> None:
    """
    Put a small disk there.

    :param size: such as ``16m``.

    :raises SkipTest: where that is not possible.
    """
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        raise SkipTest("needs root, to mount a small disk")
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode:
        raise SkipTest(f"can't mount a small disk: {mounted.stderr.decode().strip()}")


def unmount(directory: Path) -> None:
    """
    Take it away, if it is there.
    """
    if directory.is_mount():
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(directory: Path) -> Path:
    """
    Leave no room on a disk.

    :return: the file that takes it up.
    """
    filler = directory / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\1" * size)
            except OSError:
                continue
    return filler
