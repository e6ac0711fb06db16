"""
What happened at the stand-ins, and what is made to happen to their callers.

The journal is evidence: a fact is added at the moment at which it becomes
true, and never changed or removed.  Times are seconds since the epoch by the
stand-in's clock.  What goes wrong is decided call by call, by a plan.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from random import Random
from typing import Any, Generic, TextIO, TypeVar, cast

from attrs import asdict, define, field, frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import ITCPTransport
from twisted.web.server import Request


@frozen(kw_only=True)
class Wrote:
    """
    A person wrote to a Page, or tapped a button that shows as words.
    """

    at: float
    page: str
    psid: str
    mid: str
    text: str


@frozen(kw_only=True)
class Applied:
    """
    A message of the Page reached the person.

    :ivar metadata: what the sender gave the Send API, if anything.
    :ivar app_id: who sent it: an app of ours, or an inbox of Meta's.
    """

    at: float
    page: str
    psid: str
    mid: str
    text: str
    metadata: str | None
    app_id: str


@frozen(kw_only=True)
class Refused:
    """
    The Graph API answered with an error of its own, and nothing was applied.
    """

    at: float
    call: Call
    error: GraphError


@frozen(kw_only=True)
class Acted:
    """A sender action took effect: the person saw it."""

    at: float
    page: str
    psid: str
    action: str


@frozen(kw_only=True)
class LookedUp:
    """
    The Page's threads were read.

    :ivar psid: ``None`` where all of them were asked for.
    :ivar mids: of the messages shown, thread by thread, newest first.
    """

    at: float
    page: str
    psid: str | None
    mids: tuple[str, ...]


@frozen(kw_only=True)
class Subscribed:
    """
    The fields of which the Page's app is notified changed; none: it is not
    subscribed any more.
    """

    at: float
    page: str
    fields: tuple[str, ...]


@frozen(kw_only=True)
class Spoiled:
    """
    A call did not get the answer that it should have had.

    :ivar fault: what was done to it.
    """

    at: float
    call: Call
    fault: str


@frozen(kw_only=True)
class Posted:
    """
    A notification was delivered, or not.

    :ivar body: the bytes that were posted.
    :ivar attempt: from 1.
    :ivar status: what the callback answered; ``None`` where it gave no whole
        answer in time.
    """

    at: float
    url: str
    body: bytes
    attempt: int
    status: int | None


@frozen(kw_only=True)
class Asked:
    """
    The language model was asked, authentically and in proper form.

    :ivar messages: pairs of role and content, oldest first.
    :ivar parameters: the request's other members, in order of name.
    """

    at: float
    model: str
    messages: tuple[tuple[str, str], ...]
    parameters: tuple[tuple[str, Any], ...]


@frozen(kw_only=True)
class Declined:
    """
    The language model was asked in a form that its reference doesn't allow.

    :ivar status: of HTTP.
    """

    at: float
    status: int
    why: str


Fact = (
    Wrote
    | Applied
    | Refused
    | Acted
    | LookedUp
    | Subscribed
    | Spoiled
    | Posted
    | Asked
    | Declined
)
F = TypeVar(
    "F",
    Wrote,
    Applied,
    Refused,
    Acted,
    LookedUp,
    Subscribed,
    Spoiled,
    Posted,
    Asked,
    Declined,
)


@define(eq=False)
class Journal:
    """
    An append-only list of facts.

    :ivar _file: where each fact is also written, as one line of JSON that
        has its type under ``fact``.
    :ivar facts: oldest first.
    """

    _file: TextIO | None = None
    facts: list[Fact] = field(factory=list, init=False)
    _waiting: list[tuple[Callable[[], bool], Deferred[None]]] = field(
        factory=list, init=False
    )

    def add(self, fact: Fact) -> None:
        """
        Note a fact, and call back those who waited for it.
        """
        self.facts.append(fact)
        if self._file is not None:
            line = {"fact": type(fact).__name__, **asdict(fact)}
            self._file.write(json.dumps(line, default=_ascii) + "\n")
            self._file.flush()
        waiting, self._waiting = self._waiting, []
        for condition, met in waiting:
            if met.called:
                continue
            if condition():
                met.callback(None)
            else:
                self._waiting.append((condition, met))

    def of(self, kind: type[F]) -> list[F]:
        """
        Find the facts of one type, oldest first.
        """
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        """
        Wait for facts.

        :param condition: asked at once, and after each fact.
        """
        if condition():
            return succeed(None)
        met: Deferred[None] = Deferred()
        self._waiting.append((condition, met))
        return met


def _ascii(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii", "backslashreplace")
    raise TypeError(f"not a value that a fact may hold: {value!r}")


@frozen(kw_only=True)
class Call:
    """
    A call, as far as a plan may want to know it.

    :ivar kind: ``completion`` at the language model; at the Graph API
        ``message``, ``action``, ``page``, or the last part of the path, such
        as ``conversations``.
    :ivar text: of the message, or what the language model is to answer.
    """

    kind: str
    page: str = ""
    psid: str | None = None
    text: str | None = None
    metadata: str | None = None


T = TypeVar("T")

#: Decides what goes wrong with a call; ``None``: nothing.
Plan = Callable[[Call, Random], T | None]


def nothing(call: Call, random: Random) -> None:
    """
    Plan that all goes well.
    """


def always(kind: str, fault: T) -> Plan[T]:
    """
    Plan the same fault for every call of a kind.
    """
    return lambda call, random: fault if call.kind == kind else None


def in_turn(kind: str, *faults: T | None) -> Plan[T]:
    """
    Plan a fault each for the next calls of a kind, and none after.
    """
    left = deque(faults)
    return lambda call, random: left.popleft() if left and call.kind == kind else None


@frozen
class Chances(Generic[T]):
    """
    A plan by chance.

    :ivar _faults: by kind of call, pairs of a chance, from 0.0 to 1.0, and a
        fault; the chances of a kind sum up to 1.0 at most.
    """

    _faults: Mapping[str, tuple[tuple[float, T], ...]]

    def __call__(self, call: Call, random: Random) -> T | None:
        at = random.random()
        for chance, fault in self._faults.get(call.kind, ()):
            at -= chance
            if at < 0.0:
                return fault
        return None


class Ending(Enum):
    """
    What becomes of an answer: it is sent whole, only its first half is, none
    of it ever is, or the connection is closed instead.
    """

    WHOLE = "whole"
    STALL = "stall"
    HANG = "hang"
    DROP = "drop"


def end(request: Request, ending: Ending, body: bytes) -> None:
    """
    Answer a request, or don't.
    """
    request.setHeader("Content-Length", str(len(body)))
    if ending is Ending.WHOLE:
        request.write(body)
        request.finish()
    elif ending is Ending.STALL:
        request.write(body[: len(body) // 2])
    elif ending is Ending.DROP:
        cast(ITCPTransport, request.transport).abortConnection()


@frozen
class GraphError(Exception):
    """
    An error that the Graph API answers with.

    Source: docs/messenger-platform.md, section 5.1.
    """

    message: str
    code: int = 100
    subcode: int | None = field(default=None, kw_only=True)
    status: int = field(default=400, kw_only=True)


@frozen(kw_only=True)
class EchoFault:
    """
    What goes wrong with the echo of a message.

    :ivar delay: in seconds.
    :ivar app_id: whether it says which app spoke.
    :ivar metadata: whether it carries the message's metadata.
    """

    lost: bool = False
    delay: float = 0.0
    app_id: bool = True
    metadata: bool = True


@frozen(kw_only=True)
class Fault:
    """
    What goes wrong with one call.  Times are in seconds.

    :ivar applied: whether the call takes effect.
    :ivar error: what is answered instead.
    :ivar body: what is answered instead, raw, with *status*.
    :ivar headers: what is added to the answer's.
    :ivar landing: until the call takes effect, even if its caller has gone.
    :ivar delay: from then until the answer.
    """

    ending: Ending = Ending.WHOLE
    applied: bool = True
    error: GraphError | None = None
    body: bytes | None = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    landing: float = 0.0
    delay: float = 0.0


#: A gateway's page, which tells nothing of what became of the call.
HTML = Fault(status=502, body=b"<!DOCTYPE html><html><title>Error</title></html>")
#: A success whose answer can't be read.
GARBAGE = Fault(body=b"for (;;);")
#: A server error after the call took effect.
INTERNAL = Fault(error=GraphError("An unknown error has occurred.", 1, status=500))
#: The connection ends before, or after, the call takes effect.
DROPPED_BEFORE = Fault(applied=False, ending=Ending.DROP)
DROPPED_AFTER = Fault(ending=Ending.DROP)
#: The call takes effect and is never answered.
HANGING = Fault(ending=Ending.HANG)


def rejection(code: int, subcode: int | None = None, status: int = 400) -> Fault:
    """
    Make a fault by which the API refuses a call that it should not refuse.
    """
    error = GraphError(f"(#{code}) Refused", code, subcode=subcode, status=status)
    return Fault(applied=False, error=error)
