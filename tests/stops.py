"""
Where a process may be stopped: in every gap between two commits, and around
everything that it writes to the network.

The product knows nothing of this.  What it is made of is wrapped before it
starts, and then the process kills itself as it passes a point for the n-th
time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

from attrs import define, evolve, field
from twisted.internet import tcp
from twisted.internet.defer import Deferred

from micamsgr import httpcall
from micamsgr.conversation.events import Echo
from micamsgr.conversation.moment import Moment
from micamsgr.conversation.parts import Part
from micamsgr.conversation.reception import Arrival
from micamsgr.messenger.webhook_resource import WebhookResource
from micamsgr.store.arrivals import record_all
from micamsgr.store.group import Alike
from micamsgr.store.thread import DatabaseThread
from micamsgr.store.turns import begin_all, change_all, compose_all

#: What is committed: by the method of the store, and for a part's change by
#: the states before and after.  ``doubt`` is also the adoption of what a dead
#: process left ``sending``; ``compose`` and ``apologize`` hold the first
#: intent; ``intend`` is each further one.
COMMITS = {
    "remember_page": "which Page the token is of",
    "record": "what a person wrote",
    "echo": "an echo, and what it settles",
    "interrupted": "something may have been missed, at each start",
    "told": "Meta tells of all that is needed",
    "begin": "a turn is taken up",
    "open": "a turn that waits to be taken up, for an apology",
    "compose": "the answer and its parts, the first of them sending",
    "composed>sending": "a further intent",
    "sending>sent": "200, with a mid",
    "sending>composed": "surely not sent",
    "sending>refused": "refused for good",
    "sending>unknown": "doubt, or what a dead process left behind",
    "unknown>sent": "found by a look-up",
    "unknown>unknown": "not found by the first look-up",
    "unknown>composed": "nor by the second",
    "unknown>dead": "three attempts proved absent",
    "composed>expired": "withdrawn, since a part before it failed",
    "apologize": "an apology",
    "park": "the language model failed",
    "fail": "and failed for too long",
    "lapse": "the window is closed",
    "take_over": "another app has the thread",
}

#: What else the store commits for the daemon, and why nothing ends there.
LEFT_OUT = {
    "refuse": "nobody reaches a limit here; in the simulation people do",
    "passed_on": "no thread is passed on here; test_steps_control kills around it",
    "lacked": "the Page stays subscribed, for Meta delivers all of it",
    "repaired": "no thread is read in lives as short as these",
    "record_missed": "likewise",
    "note_ids_agree": "likewise",
}

#: Who is called, and what of the request's bytes tells which call it is.
CALLS = {
    "model": b"/chat/completions ",
    "message": b'"metadata":',
    "look-up": b"/conversations?",
    "action": b'"sender_action"',
    "subscription": b"/subscribed_apps?",
}

#: Every point, by name.
POINTS = (
    *(f"{name}.{when}" for name in COMMITS for when in ("done", "kept")),
    *(
        f"{name}.{when}"
        for name in CALLS
        for when in ("begun", "half", "written", "answered")
    ),
    *(f"webhook.{when}" for when in ("read", "half", "written")),
)

#: Where a message is surely, or maybe, not sent that is believed to be.
COSTLY = (
    "compose.kept",
    "composed>sending.kept",
    "apologize.kept",
    "message.begun",
    "message.half",
    "message.written",
)

_OK = b"EVENT_RECEIVED"


@define(eq=False)
class Stop:
    """
    Kill this process.

    :ivar point: one of ``POINTS``.
    :ivar pass_: the how-manieth time that it is passed, from 1.
    """

    point: str
    pass_: int = 1
    _count: int = field(default=0, init=False)
    # Commits happen in a thread of their own.
    _lock: Any = field(factory=Lock, init=False)

    def due(self, point: str) -> bool:
        """
        Count a pass, and say whether it is the one.
        """
        if point != self.point:
            return False
        with self._lock:
            self._count += 1
            return self._count == self.pass_

    def __call__(self, point: str) -> None:
        if self.due(point):
            die()


def die() -> None:
    """
    End at once, as by ``kill -9``.
    """
    os.kill(os.getpid(), signal.SIGKILL)


def install(stop: Stop) -> None:
    """
    Put the points into the product, for the rest of this process.
    """
    _around_commits(stop)
    _around_writes(stop)
    _around_calls(stop)
    _around_webhooks(stop)


def commit_of(work: Callable[..., Any]) -> str:
    """
    Name what a transaction commits, as in ``COMMITS``.
    """
    if isinstance(work, Alike):
        return _NAMES[work.do_all](work.given)
    first, *rest = work.__qualname__.split(".")
    # A function, or a method of a class.
    return "".join([first] if rest[:1] in ([], ["<locals>"]) else rest[:1])


def _recorded(given: tuple[Sequence[Arrival], Moment]) -> str:
    arrivals, _ = given
    return "echo" if all(isinstance(it.event, Echo) for it in arrivals) else "record"


def _changed(given: tuple[Part, Part]) -> str:
    before, after = given
    return f"{before.state.value}>{after.state.value}"


# What is done for many at once.
_NAMES: dict[Callable[..., Any], Callable[[Any], str]] = {
    record_all: _recorded,
    begin_all: lambda _: "begin",
    compose_all: lambda _: "compose",
    change_all: _changed,
}


def _around_commits(stop: Stop) -> None:
    ask = DatabaseThread._ask

    def stopping(do_all: Callable[..., Any]) -> Callable[..., Any]:
        def all_done(database: Any, given: Sequence[Any]) -> Sequence[Any]:
            results: Sequence[Any] = do_all(database, given)
            for each in given:
                stop(f"{_NAMES[do_all](each)}.done")
            return results

        return all_done

    # One of each, so that several of them are still done at once.
    at_once = {do_all: stopping(do_all) for do_all in _NAMES}

    def stopped(
        self: DatabaseThread, work: Callable[..., Any], *how: Any, **more: Any
    ) -> Deferred[Any]:
        name = commit_of(work)

        def done(database: Any) -> Any:
            result = work(database)
            stop(f"{name}.done")
            return result

        def kept(result: Any) -> Any:
            stop(f"{name}.kept")
            return result

        doing: Any = done
        if isinstance(work, Alike):
            doing = evolve(work, do_all=at_once[work.do_all])
        return ask(self, doing, *how, **more).addCallback(kept)

    DatabaseThread._ask = stopped  # type: ignore[method-assign]


def _around_writes(stop: Stop) -> None:
    write = tcp.Connection.writeSomeData

    def written(self: tcp.Connection, data: bytes) -> Any:
        whole = bytes(data)
        names = [name for name, sign in CALLS.items() if sign in whole]
        if _OK in whole:
            names.append("webhook")
        for name in names:
            if stop.due(f"{name}.half"):
                write(self, whole[: len(whole) // 2])
                die()
        result = write(self, data)
        for name in names:
            stop(f"{name}.written")
        return result

    tcp.Connection.writeSomeData = written  # type: ignore[method-assign]


def _around_calls(stop: Stop) -> None:
    call = httpcall.HTTPCaller.call

    async def called(
        self: httpcall.HTTPCaller, method: str, url: Any, **more: Any
    ) -> httpcall.Answer:
        # What the request's bytes will be, as far as it matters here.
        sign = f"{url} ".encode() + (more.get("body") or b"")
        names = [name for name, sign_ in CALLS.items() if sign_ in sign]
        for name in names:
            stop(f"{name}.begun")
        answer = await call(self, method, url, **more)
        for name in names:
            stop(f"{name}.answered")
        return answer

    httpcall.HTTPCaller.call = called  # type: ignore[method-assign]


def _around_webhooks(stop: Stop) -> None:
    deliver = WebhookResource._deliver

    def delivered(self: WebhookResource, request: Any) -> int:
        stop("webhook.read")
        return deliver(self, request)

    WebhookResource._deliver = delivered  # type: ignore[method-assign]


def plan(points: Sequence[str], times: int) -> list[str]:
    """
    Name each point so many times, the same ones far from one another, and so
    those that cost an attempt at a message: three of them in a row, and its
    person counts as unreachable.

    The Page is remembered once and for all, so that this comes first, and
    cannot be passed again once it is kept.
    """
    once = [point for point in points if point.startswith("remember_page.")]
    first = [it for it in once for _ in range(1 if it.endswith(".kept") else times)]
    costly = [point for point in points if point in COSTLY]
    others = [point for point in points if point not in once and point not in COSTLY]
    # One of these, and then so many of the others.
    share = -(-len(others) // max(1, len(costly)))
    each: list[str] = []
    while costly or others:
        each += [*costly[:1], *others[:share]]
        del costly[:1], others[:share]
    return [*first, *each * times]
