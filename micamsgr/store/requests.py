"""
Requests that a command leaves for the daemon that has the store: files beside
it, since only the daemon may write into it.

A request lies there until it is done, also over a restart.  Then an answer
takes its place, until the command has read it.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from attrs import frozen

from micamsgr.errors import StoreUnavailable

_LARGEST = 1 << 16

# The most requests of one look.
_MOST = 16

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@frozen
class Requests:
    """
    Whoever could write into the directory could have people forgotten: so it
    is ours or root's, and nobody else may write into it, or it is not used.

    :ivar _store: path of the store.
    """

    _store: str

    @property
    def directory(self) -> Path:
        """Where they lie, or would."""
        return Path(f"{Path(self._store).resolve()}.requests")

    def leave(self, request: Mapping[str, Any]) -> str:
        """
        Leave a request.

        :return: its name.

        :raises StoreUnavailable: where that can't be done.
        """
        name = os.urandom(8).hex()
        try:
            with suppress(FileExistsError):
                self.directory.mkdir(mode=0o700)
            with self._opened() as directory:
                _write(directory, f"{name}.request", request)
        except OSError as error:
            raise self._unusable(error.strerror) from error
        return name

    def waiting(self) -> list[tuple[str, dict[str, Any]]]:
        """
        Read the requests that wait, by name.  What is none of ours, or of
        root's, counts as none.

        :raises StoreUnavailable: where what is there can't be trusted, or read.
        """
        waiting: list[tuple[str, dict[str, Any]]] = []
        try:
            with self._opened() as directory:
                with os.scandir(directory) as entries:
                    names = sorted(entry.name for entry in entries)
                for name in names:
                    if name.endswith(".request") and len(waiting) < _MOST:
                        content = _read(directory, name)
                        if content is not None:
                            waiting.append((name.removesuffix(".request"), content))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unusable(error.strerror) from error
        return waiting

    def answer(self, name: str, answer: Mapping[str, Any]) -> None:
        """
        Put an answer in the place of a request.

        :raises StoreUnavailable: where that can't be done.
        """
        try:
            with self._opened() as directory:
                _write(directory, f"{name}.answer", answer)
                with suppress(FileNotFoundError):
                    os.unlink(f"{name}.request", dir_fd=directory)
        except OSError as error:
            raise self._unusable(error.strerror) from error

    def answered(self, name: str) -> dict[str, Any] | None:
        """
        Read and remove the answer to a request; ``None``: there is none yet.

        :raises StoreUnavailable: where what is there can't be trusted.
        """
        with suppress(OSError), self._opened() as directory:
            content = _read(directory, f"{name}.answer")
            if content is not None:
                with suppress(OSError):
                    os.unlink(f"{name}.answer", dir_fd=directory)
                    # Only if nobody else waits.
                    self.directory.rmdir()
            return content
        return None

    def say_busy(self) -> None:
        """
        Let those who wait see that something is being done.
        """
        # Lest a clock that stands still, or goes back, make them see nothing.
        now = max(time.time_ns(), self.heard() + 1)
        with suppress(OSError):
            os.utime(self.directory, ns=(now, now), follow_symlinks=False)

    def heard(self) -> int:
        """
        Tell when something was done last, as a number that changes.
        """
        try:
            return self.directory.lstat().st_mtime_ns
        except OSError:
            return 0

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """
        Open the directory, which stays the same then whatever its name becomes.

        :raises OSError: where it can't be opened.
        :raises StoreUnavailable: where it is not to be trusted.
        """
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(self.directory, flags)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise self._unusable("it is a link, or no directory") from error
            raise
        try:
            status = os.fstat(descriptor)
            if status.st_uid not in (0, os.geteuid()):
                raise self._unusable("it is somebody else's")
            if status.st_mode & _OTHERS_WRITE:
                raise self._unusable("others may write into it")
            yield descriptor
        finally:
            os.close(descriptor)

    def _unusable(self, why: str | None) -> StoreUnavailable:
        return StoreUnavailable(
            f"requests can't be left for the daemon in {self.directory}: {why}; see"
            " what it is, and remove it"
        )


def _write(directory: int, name: str, content: Mapping[str, Any]) -> None:
    # As a whole or not at all.
    new = f".{name}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with suppress(FileNotFoundError):
        os.unlink(new, dir_fd=directory)
    descriptor = os.open(new, flags, 0o600, dir_fd=directory)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(descriptor)
    os.rename(new, name, src_dir_fd=directory, dst_dir_fd=directory)


def _read(directory: int, name: str) -> dict[str, Any] | None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=directory)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            ours = status.st_uid in (0, os.geteuid()) and stat.S_ISREG(status.st_mode)
            content = json.loads(file.read(_LARGEST)) if ours else None
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
