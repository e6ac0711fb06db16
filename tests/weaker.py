"""
The daemon with ``synchronous = NORMAL``, as a control: tests that pass with it
prove nothing.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import Any


class Weaker(sqlite3.Connection):
    """
    A connection that does not wait for the disk, and says that it does.
    """

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if sql == "PRAGMA synchronous = FULL":
            sql = "PRAGMA synchronous = NORMAL"
        elif sql == "PRAGMA synchronous":
            sql = "SELECT 2"
        return super().execute(sql, *arguments)


if __name__ == "__main__":
    weaker: Any = partial(sqlite3.connect, factory=Weaker)
    sqlite3.connect = weaker
    from twisted.scripts.twistd import run

    run()
