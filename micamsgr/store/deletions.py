"""
The requests of people who ask through Facebook to be erased.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from attrs import define, field, frozen

from micamsgr.conversation.deletion import Deletion, Progress
from micamsgr.conversation.moment import Moment
from micamsgr.errors import StoreUnavailable

from .group import Transact

#: How many requests are kept; beyond, the oldest goes of those that are done,
#: or that nobody has said to be theirs.
MOST = 10_000

#: How many of them may wait.
MOST_WAITING = 1000

# Those of the app, among all bots.
_APP = "(SELECT value FROM json_each(:bots))"


@frozen(kw_only=True)
class Waiting:
    """
    A request that is to be carried out.

    :ivar bots: those that know the person.
    """

    id: int
    psid: str = field(repr=False)
    bots: tuple[str, ...]


@define(eq=False)
class Deletions:
    """
    What is kept of the requests.  Each method is one transaction, and may raise
    :exc:`~micamsgr.errors.StoreUnavailable`; it may then be tried again.

    Who asked is kept only where that is also whose conversations they are, and
    only until these are erased.

    :ivar waiting: whether :meth:`next` may find something.
    :ivar _write: commits, durably.
    :ivar _read: sees what was committed; may be the same.
    """

    _write: Transact
    _read: Transact

    # At the start nobody knows.
    waiting: bool = field(default=True, init=False)

    async def ask(
        self, code: str, user: str, bots: Iterable[str], now: Moment
    ) -> Deletion:
        """
        Keep a request; one that is known changes nothing.

        :param user: the ID that Facebook names the person by.
        :param bots: those of the app.

        :return: what comes of it.
        """
        values = {
            "code": code,
            "user": user,
            "bots": json.dumps(sorted(bots)),
            "now": now.wall,
            "most": MOST,
        }

        def work(database: sqlite3.Connection) -> Deletion:
            found = _read(database, code)
            if found is not None:
                return found
            known = database.execute(
                "SELECT 1 FROM conversation WHERE psid = :user AND bot IN"
                f" {_APP} LIMIT 1",
                values,
            ).fetchone()
            if known is not None:
                _check_waiting(database)
            database.execute(
                "INSERT INTO deletion (code, bots, at, psid) VALUES"
                " (:code, :bots, :now, :psid)",
                {**values, "psid": None if known is None else user},
            )
            database.execute(
                "DELETE FROM deletion WHERE psid IS NULL AND id <="
                " (SELECT max(id) FROM deletion) - :most",
                values,
            )
            return _found(database, code)

        try:
            return await self._write(work)
        finally:
            # Whatever came of it, for it may be kept all the same.
            self.waiting = True

    async def claim(self, code: str, bot: str, psid: str, at: int) -> Deletion | None:
        """
        Learn that a request is of the person who wrote its code to a bot; if it
        is one of the app to which the person asked to be erased.

        :param at: when that was written, in milliseconds by Meta's clock; what
            was written before something was erased last changes nothing.

        :return: ``None`` where there is no such request.
        """

        def work(database: sqlite3.Connection) -> Deletion | None:
            found = _read(database, code, bot)
            if found is None or found.progress is Progress.UNDER_WAY:
                return found
            if found.done is not None and at <= found.done:
                return found
            _check_waiting(database)
            database.execute(
                "UPDATE deletion SET psid = ? WHERE code = ?", (psid, code)
            )
            return _found(database, code)

        try:
            return await self._write(work)
        finally:
            self.waiting = True

    async def look_up(self, code: str, bot: str | None = None) -> Deletion | None:
        """
        Say what has come of a request.

        :param bot: if it is not one of the app, there is no such request.

        :return: ``None`` where there is none, or none any more.
        """
        return await self._read(lambda database: _read(database, code, bot))

    async def next(self) -> Waiting | None:
        """
        Read the request that has waited longest.

        :return: ``None`` where none waits.
        """
        if not self.waiting:
            return None
        # Before it is looked: what is asked for meanwhile is seen next time.
        self.waiting = False
        return await self._read(_next)

    async def finish(self, waiting: Waiting, now: Moment) -> None:
        """
        Keep that a request is carried out, and no longer whose it was.
        """

        def work(database: sqlite3.Connection) -> None:
            database.execute(
                "UPDATE deletion SET psid = NULL, done = ? WHERE id = ?",
                (now.wall, waiting.id),
            )

        self.waiting = True
        await self._write(work)


def _check_waiting(database: sqlite3.Connection) -> None:
    (count,) = database.execute(
        "SELECT count(*) FROM deletion WHERE psid IS NOT NULL"
    ).fetchone()
    if count >= MOST_WAITING:
        raise StoreUnavailable("too many wait to be erased")


def _read(
    database: sqlite3.Connection, code: str, bot: str | None = None
) -> Deletion | None:
    row = database.execute(
        "SELECT at, psid IS NOT NULL, done FROM deletion WHERE code = :code"
        " AND (:bot IS NULL OR :bot IN (SELECT value FROM json_each(bots)))",
        {"code": code, "bot": bot},
    ).fetchone()
    if row is None:
        return None
    asked, waiting, done = row
    if waiting:
        progress = Progress.UNDER_WAY
    else:
        progress = Progress.UNKNOWN if done is None else Progress.ERASED
    return Deletion(progress=progress, asked=asked, done=done)


def _found(database: sqlite3.Connection, code: str) -> Deletion:
    found = _read(database, code)
    assert found is not None
    return found


def _next(database: sqlite3.Connection) -> Waiting | None:
    row = database.execute(
        "SELECT id, psid, bots FROM deletion WHERE psid IS NOT NULL ORDER BY id LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    id, psid, bots = row
    known = database.execute(
        f"SELECT DISTINCT bot FROM conversation WHERE psid = :psid AND bot IN {_APP}",
        {"psid": psid, "bots": bots},
    )
    return Waiting(id=id, psid=psid, bots=tuple(sorted(bot for (bot,) in known)))
