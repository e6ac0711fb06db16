"""
A start that dies at every moment: ``python -m tests.dying STORE DIRECTORY MODE``.

Copies the store again and again, and lets a process of its own open each copy,
until one lives to the end; each process dies by SIGKILL a little later than the
one before it.  Its cache is so small that it writes long before it commits.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define

from micamsgr.store.database import open_database

#: After each statement that begins; after so many steps of SQLite's machine.
MODES = {"statements": 1, "steps": 2000}

_connect = sqlite3.connect


@define(eq=False)
class _Countdown:
    """
    Kills this process the next time that nothing is left.
    """

    left: int

    def __call__(self, *_: object) -> None:
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


def _dying(path: str, mode: str, countdown: _Countdown) -> Callable[..., Any]:
    """
    Make what stands for ``sqlite3.connect``.
    """

    def connect(name: str, *arguments: Any, **how: Any) -> sqlite3.Connection:
        database: sqlite3.Connection = _connect(name, *arguments, **how)
        if name == path:
            database.execute("PRAGMA cache_size = 5")
            if mode == "statements":
                database.set_trace_callback(countdown)
            else:
                database.set_progress_handler(countdown, MODES[mode])
        return database

    return connect


def main(store: Path, directory: Path, mode: str) -> None:
    """
    Leave in the directory what each death has left.
    """
    for number in range(10_000):
        copy = directory / f"{number:05}.db"
        shutil.copy(store, copy)
        child = os.fork()
        if not child:
            dying = _dying(str(copy), mode, _Countdown(number))
            sqlite3.connect = dying
            open_database(str(copy))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            copy.unlink()
            raise SystemExit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
