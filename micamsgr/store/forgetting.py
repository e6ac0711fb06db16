"""
``micamessenger forget``: erasing what is kept of one person, here or in the
daemon that has the store.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from attrs import asdict, define, field, frozen
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from micamsgr.conversation.moment import Moment
from micamsgr.errors import StoreUnavailable

from .database import Transact, Work, in_transaction, open_database
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
from .lock import lock
from .requests import Requests
from .retention import SLICE
from .sweeping import empty_log, empty_soon, pause

T = TypeVar("T")

# Seconds between two looks for requests, and between two slices.
_INTERVAL, _PAUSE = 1.0, 0.01

# Seconds that the command waits for the daemon to get on; and after which that
# one says so again, with the next commit.
_PATIENCE, _SAID_BUSY = 120.0, 5.0

# Seconds between two looks of the command.
_LOOK = 0.2

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


def forget_here(path: str, person: Person, now: int) -> Done:
    """
    Forget a person in a store that no daemon has.

    :raises StoreUnavailable: where the store can't be used; see :func:`in_use`.
    """
    held = lock(path)
    try:
        with closing(open_database(path)) as database:

            def write(work: Work[T]) -> Deferred[T]:
                return maybeDeferred(in_transaction, database, work)

            async def rest() -> None:
                pass

            outcome: list[Any] = []
            forgetting = forget_person(write, person, now, rest, sure=False)
            Deferred.fromCoroutine(forgetting).addBoth(outcome.append)
            if isinstance(outcome[0], Failure):
                outcome[0].raiseException()
            conversations, known, rows = outcome[0]
            emptied = empty_log(database)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"can't use the store {path}: {error}") from error
    finally:
        held.release()
    return Done(conversations=conversations, known=known, rows=rows, emptied=emptied)


def in_use(error: StoreUnavailable) -> bool:
    """
    Say whether a store can't be used since a daemon has it.
    """
    return isinstance(error.__cause__, BlockingIOError)


def ask_daemon(path: str, person: Person, sleep: Callable[[float], None]) -> Done:
    """
    Have the daemon that has the store forget a person.

    :param sleep: waits for so many seconds.

    :raises StoreUnavailable: where it can't be asked; or where it does nothing
        for two minutes, and does this later.
    """
    requests = Requests(path)
    name = requests.leave(asdict(person))
    heard, waited = requests.heard(), 0.0
    while waited < _PATIENCE:
        answer = requests.answered(name)
        if answer is not None:
            if "failed" in answer:
                raise StoreUnavailable(str(answer["failed"]))
            return Done(**answer)
        sleep(_LOOK)
        waited += _LOOK
        before, heard = heard, requests.heard()
        if heard != before:
            waited = 0.0
    raise StoreUnavailable(
        f"the daemon has the store, and has not got on with this for {_PATIENCE:g} s;"
        " the request lies in"
        f" {requests.directory}, and is done when the daemon gets to it"
    )


def become_owner(path: Path) -> None:
    """
    If we are root, become the store's owner, so that nothing lies beside it
    that the daemon can't use.
    """
    owner = path.stat()
    if os.geteuid() == 0 != owner.st_uid:
        os.setgroups([])
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)


def run(
    path: str, person: Person, sleep: Callable[[float], None] = time.sleep
) -> tuple[int, str]:
    """
    Forget a person, wherever that is to be done.

    :return: the exit status, and a line for the operator.
    """
    return run_and_tell(path, person, sleep)[:2]


def run_and_tell(
    path: str, person: Person, sleep: Callable[[float], None] = time.sleep
) -> tuple[int, str, Done | None]:
    """
    Do as :func:`run` does.

    :return: the exit status, a line for the operator, and what came of it:
        ``None`` where nothing did.
    """
    if not Path(path).is_file():
        return _not_done(
            f"there is no store {path}; where the daemon is a service, set"
            " STATE_DIRECTORY to its directory, such as /var/lib/micamessenger"
        )
    try:
        become_owner(Path(path))
        try:
            done = forget_here(path, person, int(time.time() * 1000))
        except StoreUnavailable as error:
            if not in_use(error):
                raise
            done = ask_daemon(path, person, sleep)
    except StoreUnavailable as error:
        return _not_done(error.detail)
    except OSError as error:
        return _not_done(f"can't use the store {path}: {error.strerror}")
    if not done.emptied:
        line = "erased, but for the store's log, which somebody is reading: run this"
        return 1, f"{line} again when they are done", done
    if not done.known:
        line = "the store knows nobody of that ID; nothing is read from Meta"
        return 1, line, done
    line = f"forgotten: {done.conversations} conversations, {done.rows} rows; what Meta"
    return 0, f"{line} keeps, and copies of the store, are not touched", done


def _not_done(line: str) -> tuple[int, str, None]:
    return 1, line, None


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
                self._log.error("nobody is forgotten for now: {detail}", detail=detail)
        elif not failure.check(CancelledError):
            self._log.failure("a defect, forgetting somebody", failure)

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
                self._log.failure("a defect, forgetting somebody")
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
                self._log.warn("what was erased may stay in the store's log")

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
