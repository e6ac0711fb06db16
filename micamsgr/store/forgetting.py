"""
Erasing what is kept of one person, by the daemon that has the store.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from attrs import asdict, define, field, frozen
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from micamsgr.conversation.moment import Moment
from micamsgr.errors import StoreUnavailable

from .database import Transact, Work
from .deletions import Deletions
from .erasure import (
    PSID,
    Person,
    forget,
    forget_raw,
    go_on,
    pending,
    remembered_pages,
)
from .requests import Requests
from .retention import SLICE
from .sweeping import empty_soon, pause

T = TypeVar("T")

# Seconds between two looks for requests, and between two slices.
_INTERVAL, _PAUSE = 1.0, 0.01

# Seconds after which whoever waits is told again that it gets on, with the next
# commit.
_SAID_BUSY = 5.0

_HOUR = 3_600_000


@frozen(kw_only=True)
class Done:
    """
    What came of forgetting a person.

    :ivar conversations: how many were theirs.
    :ivar known: whether the store knew them, now or before.
    :ivar rows: how many rows held something of theirs.
    :ivar emptied: whether nothing is left in the log: not, while somebody
        reads the store.
    """

    conversations: int
    known: bool
    rows: int
    emptied: bool


async def forget_person(
    write: Transact,
    person: Person,
    now: int,
    rest: Callable[[], Awaitable[None]],
    *,
    sure: bool,
) -> tuple[int, bool, int]:
    """
    Erase what is kept of a person, but for what is in the log.  Who they are,
    and what is open of theirs, goes first, then their other rows; these are
    found bit by bit, and so is, after them, what could not be read and names
    the person.

    :param now: milliseconds; what is older stays erased.
    :param sure: it is Meta's time; otherwise it counts only up to an hour
        after the store's last event, lest a clock that is ahead silence the
        person until then.
    :param rest: called between two slices.

    :return: how many conversations were theirs, whether the store knew them,
        how many rows held something of theirs.
    """
    forgotten = await write(lambda database: _forget(database, person, now, sure))
    await rest()
    rows = 0
    for task in forgotten.tasks:
        rows += await _complete(write, task, rest)
    known = bool(forgotten.conversations) or forgotten.before
    after: int | None = 0
    while after is not None:
        after, count = await write(_raw(person.psid, after))
        rows, known = rows + count, known or bool(count)
        await rest()
    # Also what is left of a time when this was begun, and not finished.
    rows += await finish(write, rest)
    return forgotten.conversations, known, rows


def _raw(psid: str, after: int) -> Work[tuple[int | None, int]]:
    return lambda database: forget_raw(database, psid, after, SLICE)


def _forget(database: sqlite3.Connection, person: Person, now: int, sure: bool) -> Any:
    (latest,) = database.execute(
        "SELECT max(received) FROM (SELECT received FROM event ORDER BY id DESC"
        " LIMIT 100)"
    ).fetchone()
    if latest is not None and not sure:
        now = min(now, latest + _HOUR)
    pages = tuple(
        (bot, page)
        for bot, page in {*person.pages, *remembered_pages(database)}
        if person.bot in (None, bot) and person.page in (None, page)
    )
    person = Person(psid=person.psid, page=person.page, bot=person.bot, pages=pages)
    return forget(database, person, now)


async def finish(write: Transact, rest: Callable[[], Awaitable[None]]) -> int:
    """
    Finish what was begun to be erased, also by a process that died.

    :return: how many rows that were.
    """
    rows = 0
    for task in await write(pending):
        rows += await _complete(write, task, rest)
    return rows


async def _complete(
    write: Transact, task: str, rest: Callable[[], Awaitable[None]]
) -> int:
    rows, more = 0, True
    while more:
        part = await write(_next(task))
        rows, more = rows + part.changed, part.more
        await rest()
    return rows


def _next(task: str) -> Work[Any]:
    return lambda database: go_on(database, task, SLICE)


@define(eq=False)
class Forgetting(Service):
    """
    Forget people as commands, and they themselves, ask for it, and finish what
    a process that died had begun.

    :ivar _clock: for every wait; usually the reactor.
    :ivar _now: reads the clocks.
    :ivar _deletions: what they ask for through Facebook.
    """

    _clock: IReactorTime
    _now: Callable[[], Moment]
    _write: Transact
    _alone: Transact
    _requests: Requests
    _deletions: Deletions

    _call: IDelayedCall | None = field(default=None, init=False)
    _working: Deferred[None] | None = field(default=None, init=False)
    # Whether what a process had begun that died is finished.
    _finished: bool = field(default=False, init=False)
    _busy: bool = field(default=False, init=False)
    _said_busy: float = field(default=0.0, init=False)
    _trouble: str | None = field(default=None, init=False)

    _log = Logger()

    @property
    def busy(self) -> bool:
        """Whether somebody is being forgotten: whatever has time is to wait."""
        return self._busy

    def startService(self) -> None:
        super().startService()
        self._call = self._clock.callLater(_INTERVAL, self._look)

    def stopService(self) -> None:
        super().stopService()
        if self._call is not None and self._call.active():
            self._call.cancel()
        if self._working is not None:
            self._working.cancel()

    def _look(self) -> None:
        self._call = None
        working = Deferred.fromCoroutine(self._work())
        self._working = working
        working.addErrback(self._failed)
        working.addCallback(self._worked)

    def _failed(self, failure: Failure) -> None:
        if failure.check(StoreUnavailable, OSError):
            detail = getattr(failure.value, "detail", None) or str(failure.value)
            # Once for each trouble: it is tried again every second.
            if detail != self._trouble:
                self._trouble = detail
                self._log.error(
                    "nobody is forgotten for now: {detail}",
                    event="erasure.postponed",
                    detail=detail,
                )
        elif not failure.check(CancelledError):
            self._log.failure("a defect, forgetting somebody", failure, event="defect")

    def _worked(self, _: None) -> None:
        self._working = None
        if self.running:
            self._call = self._clock.callLater(_INTERVAL, self._look)

    async def _work(self) -> None:
        trouble: StoreUnavailable | None = None
        try:
            requests = self._requests.waiting()
        except StoreUnavailable as error:
            requests, trouble = [], error
        # They come before what is left of others, whose names are gone already.
        for name, request in requests:
            try:
                answer = await self._answer(request)
            except (StoreUnavailable, CancelledError):
                raise
            except Exception:
                # One that can't be done holds up no other.
                self._log.failure("a defect, forgetting somebody", event="defect")
                answer = {"failed": "a defect; see the daemon's log"}
            await self._reply(name, answer)
        await self._delete()
        if not self._finished:
            await finish(self._write, self._rest)
            self._finished = True
        if trouble is not None:
            raise trouble
        self._trouble = None

    async def _reply(self, name: str, answer: dict[str, Any]) -> None:
        # With fsync, for which the reactor has no time.
        await self._alone(lambda _: self._requests.answer(name, answer))

    async def _delete(self) -> None:
        """
        Forget those who ask for it through Facebook.
        """
        while (asked := await self._deletions.next()) is not None:
            try:
                for bot in asked.bots:
                    await self._forget(Person(psid=asked.psid, bot=bot))
                await self._deletions.finish(asked, self._now())
            except StoreUnavailable:
                self._deletions.waiting = True
                raise
            # Last, for the request named them, too.
            if not await empty_soon(self._alone, self._clock):
                self._log.warn(
                    "what was erased may stay in the store's log",
                    event="erasure.lingers",
                )

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            person = _person(request)
        except (TypeError, ValueError, KeyError):
            return {"failed": "the daemon doesn't understand the request"}
        conversations, known, rows = await self._forget(person)
        emptied = await empty_soon(self._alone, self._clock)
        return asdict(
            Done(conversations=conversations, known=known, rows=rows, emptied=emptied)
        )

    async def _forget(self, person: Person) -> tuple[int, bool, int]:
        now = self._now()
        self._busy = True
        try:
            conversations, known, rows = await forget_person(
                self._write, person, now.wall, self._rest, sure=now.sure
            )
        finally:
            self._busy = False
        self._log.info(
            "somebody is forgotten: {conversations} conversations, {rows} rows",
            event="erasure.done",
            conversations=conversations,
            rows=rows,
        )
        return conversations, known, rows

    async def _rest(self) -> None:
        if self._clock.seconds() - self._said_busy >= _SAID_BUSY:
            self._said_busy = self._clock.seconds()
            self._requests.say_busy()
        await pause(self._clock, _PAUSE)


def _person(request: dict[str, Any]) -> Person:
    psid, page, bot = (request[name] for name in ("psid", "page", "bot"))
    if not isinstance(psid, str) or not re.fullmatch(PSID, psid):
        raise ValueError("whom?")
    if not all(value is None or isinstance(value, str) for value in (page, bot)):
        raise ValueError("not text")
    pages = tuple((str(bot), str(page)) for bot, page in request["pages"])
    return Person(psid=psid, page=page, bot=bot, pages=pages)
