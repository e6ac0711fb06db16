"""
Tests for :mod:`micamsgr.store.looking`.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred

from micamsgr.errors import Declined, StoreUnavailable
from micamsgr.store.looking import Looking
from micamsgr.test.store_case import FileCase
from micamsgr.testing import said


class LookingTests(FileCase):
    """
    Tests for looks that may take their time.
    """

    def looking(self, path: str = "") -> Looking:
        return Looking(reactor, path or self.path)  # type: ignore[arg-type]

    async def test_found(self) -> None:
        """
        What was committed is seen, and can't be changed.
        """
        await self.arrive(said())
        query = "SELECT count(*) FROM event"
        found = await self.looking().read(lambda d: d.execute(query).fetchone())
        self.assertEqual(found, (1,))
        change = self.looking().read(lambda d: d.execute("DELETE FROM event"))
        await self.assertFailure(change, StoreUnavailable)

    async def test_failed(self) -> None:
        """
        What the look raises is told as it is, and that there is no store.
        """

        def declined(database: sqlite3.Connection) -> Any:
            raise Declined("so")

        await self.assertFailure(self.looking().read(declined), Declined)
        nowhere = self.looking(str(Path(self.path) / "none"))
        await self.assertFailure(nowhere.read(lambda d: None), StoreUnavailable)

    async def test_given_up(self) -> None:
        """
        A look that nobody waits for any more leaves off, without a word.
        """
        begun, ended = threading.Event(), Deferred[None]()

        def endless(database: sqlite3.Connection) -> None:
            begun.set()
            try:
                database.execute(
                    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
                    " SELECT max(i) FROM n"
                ).fetchone()
            finally:
                call: Any = reactor
                call.callFromThread(ended.callback, None)

        looking = self.looking().read(endless)
        begun.wait(10.0)
        looking.cancel()
        await self.assertFailure(looking, CancelledError)
        await ended
