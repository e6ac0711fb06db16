"""
Space that is kept in reserve beside the store.

On a full disk SQLite can't even delete.  What is given up then lets it finish
what was begun.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from attrs import define, field

_MOST = 32 << 20

# It takes one part in so many of the free space.
_SHARE = 20

# Less than this is of no use.
_LEAST = 1 << 16

_BLOCK = 4096


def free_space(directory: Path) -> int:
    """
    Count the bytes that we may still write.
    """
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize


def reserve(free: int) -> int:
    """
    Decide how large the ballast is to be: at most 5 % of the free space and
    32 MiB.

    :param free: bytes.

    :return: bytes; 0 where it would be too small to be of use.
    """
    size = min(_MOST, free // _SHARE) // _BLOCK * _BLOCK
    return size if size >= _LEAST else 0


@define(eq=False)
class Ballast:
    """
    A file beside the store, only there to be given up.

    :ivar _store: the store, not by way of a link.
    :ivar _free: counts the bytes that may still be written in a directory.
    """

    _store: Path
    _free: Callable[[Path], int] = free_space

    # How large it was when it was last made.
    _size: int = field(default=0, init=False)

    @property
    def file(self) -> Path:
        """Where it is, or would be."""
        return self._store.with_name(f"{self._store.name}.ballast")

    def make(self) -> int:
        """
        Make it, or what is there of it as large as it should be.

        :return: its bytes, which are allocated; 0 where the disk is too full.

        :raises OSError: where it can't be made; then there is none.
        """
        try:
            self._size = self._make()
        except OSError:
            self.give_up()
            raise
        if not self._size:
            self.give_up()
        return self._size

    def _make(self) -> int:
        # Not to be held up by whatever else might be there.
        odd = os.O_NOFOLLOW | os.O_NONBLOCK
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | odd
        descriptor = os.open(self.file, flags, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
            size = reserve(self._free(self._store.parent) + _allocated(descriptor))
            if size:
                os.ftruncate(descriptor, size)
                os.posix_fallocate(descriptor, 0, size)
                if _allocated(descriptor) < size:
                    _fill(descriptor, size)
            return size
        finally:
            os.close(descriptor)

    def give_up(self) -> int:
        """
        Free its space.

        :return: how many bytes that are.
        """
        with suppress(OSError):
            status = self.file.lstat()
            # What is not ours is not ours to remove.
            if stat.S_ISREG(status.st_mode):
                self.file.unlink()
                return status.st_blocks * 512
        return 0

    def room(self) -> bool:
        """
        Say whether there is room for twice what was kept in reserve.
        """
        wanted = 2 * max(self._size, _LEAST)
        try:
            return self._free(self._store.parent) >= wanted
        except OSError:
            return False


def _allocated(descriptor: int) -> int:
    return os.fstat(descriptor).st_blocks * 512


def _fill(descriptor: int, size: int) -> None:
    """
    Write what no file system can keep in less space.
    """
    for offset in range(0, size, 1 << 20):
        os.pwrite(descriptor, os.urandom(min(1 << 20, size - offset)), offset)
