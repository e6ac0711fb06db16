"""
``micamessenger forget``: erasing what is kept of one person, here or in the
daemon that has the store.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from attrs import asdict
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from micamsgr.errors import StoreUnavailable

from .database import Work, in_transaction, open_database
from .erasure import Person
from .forgetting import Done, forget_person
from .lock import lock
from .requests import Requests
from .sweeping import empty_log

T = TypeVar("T")

# Seconds that the command waits for the daemon to get on; and between two looks.
_PATIENCE, _LOOK = 120.0, 0.2


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
