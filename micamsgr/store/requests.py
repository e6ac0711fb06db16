"""
Requests that a command leaves for the daemon that has the store: files beside
it, since only the daemon may write into it.

A request lies there until it is done, also over a restart.  Then an answer
takes its place, until the command has read it.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from attrs import frozen

_LARGEST = 1 << 16

# The most requests of one look.
_MOST = 16


@frozen
class Requests:
    """
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

        :raises OSError: where that can't be done.
        """
        self.directory.mkdir(mode=0o700, exist_ok=True)
        name = os.urandom(8).hex()
        self._write(self.directory / f"{name}.request", request)
        return name

    def waiting(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """
        Read the requests that wait, by name.  What is none of ours, or of
        root's, counts as none.
        """
        try:
            found = sorted(path.name for path in self.directory.iterdir())
        except OSError:
            return
        names = [name for name in found if name.endswith(".request")]
        read = ((name, _read(self.directory / name)) for name in names)
        readable = ((name, content) for name, content in read if content is not None)
        for name, content in islice(readable, _MOST):
            yield name.removesuffix(".request"), content

    def answer(self, name: str, answer: Mapping[str, Any]) -> None:
        """
        Put an answer in the place of a request.

        :raises OSError: where that can't be done.
        """
        self._write(self.directory / f"{name}.answer", answer)
        (self.directory / f"{name}.request").unlink(missing_ok=True)

    def answered(self, name: str) -> dict[str, Any] | None:
        """
        Read and remove the answer to a request; ``None``: there is none yet.
        """
        path = self.directory / f"{name}.answer"
        content = _read(path)
        if content is None:
            return None
        with suppress(OSError):
            path.unlink()
            # Only if nobody else waits.
            self.directory.rmdir()
        return content

    def _write(self, path: Path, content: Mapping[str, Any]) -> None:
        # As a whole or not at all.
        new = path.with_name(f".{path.name}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, flags, 0o600), "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            ours = status.st_uid in (0, os.geteuid()) and stat.S_ISREG(status.st_mode)
            content = json.loads(file.read(_LARGEST)) if ours else None
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
