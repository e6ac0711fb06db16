"""
What happens, told step by step: the daemon's own log, and what the stand-ins
note, as lines for a person who wants to understand it.

The daemon's events are known by their fields, not by their words.
"""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any

from attrs import asdict, define, evolve, field, frozen
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

from micamsgr.sandbox.journal import (
    Acted,
    Applied,
    Fact,
    LookedUp,
    Refused,
    Spoiled,
    Subscribed,
    Wrote,
)

# How many lines a browser is shown that comes late, and how many turns and
# parts are remembered for those that name nothing else.
_MOST_LINES, _MOST_KNOWN = 300, 500

_SHORT = 40


@frozen(kw_only=True)
class Line:
    """
    One thing that happened.

    :ivar station: where: ``person``, ``webhook``, ``store``, ``llm``, ``send``,
        ``evidence``, ``human`` or ``daemon``.
    :ivar tone: ``plain``, ``good``, ``wait`` or ``bad``.
    :ivar psid: to whom it happened, where it was to one person.
    :ivar at: seconds since the epoch.
    :ivar since: seconds since that person last wrote.
    """

    station: str
    title: str
    detail: str = ""
    tone: str = "plain"
    psid: str | None = None
    at: float = 0.0
    since: float | None = None


@implementer(ILogObserver)
@define(eq=False)
class Story:
    """
    Tell what happens as it happens.

    As an observer of the log it takes what the daemon says of itself.

    :ivar _now: tells the time, in seconds since the epoch.
    :ivar _psid: finds out whom the log names so.
    :ivar _tell: told each line, as JSON can hold it.
    """

    _now: Callable[[], float]
    _psid: Callable[[str], str | None]
    _tell: Callable[[dict[str, Any]], None]

    _lines: deque[dict[str, Any]] = field(
        factory=lambda: deque(maxlen=_MOST_LINES), init=False
    )
    _wrote: dict[str, float] = field(factory=dict, init=False)
    # Whose turns, parts and conversations those are that the log names.
    _whose: OrderedDict[tuple[str, object], str] = field(
        factory=OrderedDict, init=False
    )
    _doubtful: set[str] = field(factory=set, init=False)

    def lines(self) -> list[dict[str, Any]]:
        """
        Give the last lines, oldest first, as JSON can hold them.
        """
        return list(self._lines)

    def add(self, line: Line) -> None:
        """
        Go on with a line, now.
        """
        now = self._now()
        began = self._wrote.get(line.psid or "")
        since = None if began is None else max(0.0, now - began)
        document = asdict(evolve(line, at=now, since=since))
        self._lines.append(document)
        self._tell(document)

    def fact(self, fact: Fact) -> None:
        """
        Go on with what a stand-in notes.
        """
        if isinstance(fact, Wrote):
            self._wrote[fact.psid] = self._now()
        line = from_fact(fact)
        if line is not None:
            self.add(line)

    def __call__(self, event: LogEvent) -> None:
        where = str(event.get("log_namespace", ""))
        if not where.startswith("micamsgr.") or where.startswith("micamsgr.sandbox"):
            return
        psid = self._person(event)
        part = str(event.get("part"))
        line = from_log(event, doubtful=part in self._doubtful)
        if line is None:
            return
        if line.tone == "wait" and line.station in ("send", "evidence"):
            self._doubtful.add(part)
        elif line.station in ("send", "evidence"):
            self._doubtful.discard(part)
        self.add(evolve(line, psid=psid))

    def _person(self, event: LogEvent) -> str | None:
        """
        Find out whom an event is about, and remember what else it names.
        """
        named = [
            (kind, event[kind])
            for kind in ("turn", "part", "conversation")
            if event.get(kind) is not None
        ]
        alias = event.get("person")
        psid = None if alias is None else self._psid(str(alias))
        if psid is None:
            return next((self._whose[it] for it in named if it in self._whose), None)
        self._whose.update(dict.fromkeys(named, psid))
        while len(self._whose) > _MOST_KNOWN:
            _kind, name = self._whose.popitem(last=False)[0]
            self._doubtful.discard(str(name))
        return psid


def from_fact(fact: Fact) -> Line | None:
    """
    Tell what a stand-in noted; ``None``: nothing to tell.
    """
    if isinstance(fact, Wrote):
        return Line(
            station="person",
            title="Writes to the Page",
            detail=_short(fact.text),
            psid=fact.psid,
        )
    if isinstance(fact, Applied):
        # Without metadata it is nobody's that the story is about.
        if fact.metadata is None:
            title, station = "Somebody of the Page's staff writes", "human"
        else:
            title, station = "The message arrives", "person"
        detail = _short(fact.text)
        return Line(station=station, title=title, detail=detail, psid=fact.psid)
    if isinstance(fact, Acted):
        title = _ACTIONS.get(fact.action, fact.action)
        return Line(station="send", title=title, psid=fact.psid)
    if isinstance(fact, LookedUp):
        title = f"The thread is read: {_count(len(fact.mids), 'message')}"
        return Line(station="evidence", title=title, psid=fact.psid)
    if isinstance(fact, Refused):
        error = fact.error
        detail = f"code {error.code}: {error.message}"
        return _bad("send", "Graph API refuses", detail, fact.call.psid)
    if isinstance(fact, Spoiled):
        return _bad("send", "Graph API will answer 500", "", fact.call.psid)
    if isinstance(fact, Subscribed):
        detail = ", ".join(fact.fields) or "none"
        return Line(station="webhook", title="Subscribed fields", detail=detail)
    return None


_ACTIONS = {
    "mark_seen": "Shows that it was seen",
    "typing_on": "Shows the typing dots",
    "typing_off": "Takes the typing dots away",
}


def delivering(body: bytes, attempt: int) -> Line:
    """
    Tell that Meta delivers a notification.

    :param attempt: how often these bytes are delivered now, from 1.
    """
    items = read_items(body)
    echoes = sum("is_echo" in item.get("message", {}) for item in items)
    parts = [
        _count(count, what)
        for count, what in ((len(items) - echoes, "event"), (echoes, "echo"))
        if count
    ]
    again = attempt > 1
    return Line(
        station="webhook",
        title="Meta delivers it again" if again else "Meta delivers, signed",
        detail=" and ".join(parts),
        psid=_only_person(items),
        tone="wait" if again else "plain",
    )


def delivered(body: bytes, status: int | None, seconds: float) -> Line:
    """
    Tell how the daemon answered a notification.

    :param status: ``None`` where it gave no answer.
    """
    psid = _only_person(read_items(body))
    detail = f"in {1000.0 * seconds:.0f} ms"
    if status == 200:
        title = "Meta is told 200: kept"
        return Line(
            station="webhook", title=title, detail=detail, tone="good", psid=psid
        )
    title = f"Answered {status or 'not at all'}: Meta will try again"
    return _bad("webhook", title, detail, psid)


def read_items(body: bytes) -> list[Mapping[str, Any]]:
    """
    List the events of a notification that the stand-in made.
    """
    entries = json.loads(body)["entry"]
    return [item for entry in entries for item in entry.get("messaging", ())]


def person_of(item: Mapping[str, Any]) -> str:
    """
    Tell whom one event of a notification is about.
    """
    echo = "is_echo" in item.get("message", {})
    return str(item["recipient" if echo else "sender"]["id"])


def _only_person(items: list[Mapping[str, Any]]) -> str | None:
    people = {person_of(item) for item in items}
    return people.pop() if len(people) == 1 else None


def from_log(event: LogEvent, *, doubtful: bool = False) -> Line | None:
    """
    Tell what the daemon says of itself; ``None``: nothing to tell.

    :param doubtful: the part that it names was in doubt until now.
    """
    for fields, tell in _TELLING:
        if all(name in event for name in fields):
            return tell(event, doubtful)
    level = event.get("log_level")
    if level is not None and level >= LogLevel.warn:
        tone = "wait" if level is LogLevel.warn else "bad"
        return Line(station="daemon", title=formatEvent(event), tone=tone)
    return None


def _attempted(event: LogEvent, doubtful: bool) -> Line:
    outcome = event["outcome"]
    detail = f"attempt {event['attempt']}, {_seconds(event)}"
    title, tone = _OUTCOMES[type(outcome).__name__]
    return Line(station="send", title=title, detail=detail, tone=tone)


_OUTCOMES = {
    "Sent": ("Sent, says the Graph API", "good"),
    "NotSent": ("Surely not sent: later again", "plain"),
    "NeverSent": ("Refused for good", "bad"),
    "InDoubt": ("In doubt: it may have arrived", "wait"),
}


def _looked(event: LogEvent, doubtful: bool) -> Line:
    kind = type(event["evidence"]).__name__
    title, tone = _EVIDENCE[kind, event["state"] == "unknown"]
    return Line(station="evidence", title=title, tone=tone)


_EVIDENCE = {
    ("Found", False): ("It is there: nothing is sent twice", "good"),
    ("Absent", True): ("It is not there; a second look must agree", "wait"),
    ("Absent", False): ("It never arrived: that is proved", "plain"),
    ("NoEvidence", True): ("No evidence to be had yet", "wait"),
    ("NoEvidence", False): ("No evidence to be had", "bad"),
}


def _echoed(event: LogEvent, doubtful: bool) -> Line:
    if doubtful:
        title = "Its echo settles the doubt: it arrived"
        return Line(station="evidence", title=title, tone="good")
    ours = event["part"] is not None
    title = "The echo of our own message" if ours else "An echo that is not ours"
    return Line(station="evidence", title=title)


def _kept(event: LogEvent, doubtful: bool) -> Line:
    kind, state = event["kind"].replace("_", " "), event["state"]
    title = _FATES.get(state, "Kept on disk, not to be answered")
    detail = kind if state in _FATES else f"{kind}, {state}"
    return Line(station="store", title=title, detail=detail, tone="good")


_FATES = {
    "new": "Kept on disk",
    "human": "Kept on disk; a human is to answer",
}


def _begun(event: LogEvent, doubtful: bool) -> Line:
    detail = f"with {_count(event['count'], 'line')} of the chat"
    title = f"Turn {event['turn']}: the LLM is asked"
    return Line(station="llm", title=title, detail=detail)


def _answered(event: LogEvent, doubtful: bool) -> Line:
    detail = f"{_seconds(event)}, {_count(event['tokens'], 'token')}"
    return Line(station="llm", title="The LLM answers", detail=detail, tone="good")


def _composed(event: LogEvent, doubtful: bool) -> Line:
    title = "The answer is kept before it is sent"
    detail = f"in {_count(event['count'], 'message')}"
    return Line(station="store", title=title, detail=detail, tone="good")


def _parked(event: LogEvent, doubtful: bool) -> Line:
    title = f"The LLM fails: again in {event['delay']:.1f} s"
    return Line(station="llm", title=title, detail=event["detail"], tone="wait")


def _failed(event: LogEvent, doubtful: bool) -> Line:
    title = f"Turn {event['turn']} is given up, and the person is told so"
    return _bad("llm", title, event["reason"])


def _known(event: LogEvent, doubtful: bool) -> Line:
    return Line(station="store", title="Known already: it counts once", tone="good")


def _lapsed(event: LogEvent, doubtful: bool) -> Line:
    return _bad("llm", "Not answered", event["reason"])


def _handed_over(event: LogEvent, doubtful: bool) -> Line:
    return Line(
        station="human", title="A human answers: the bot goes quiet", tone="wait"
    )


# What an event is, by the fields that it has; the first that fits.
_TELLING: tuple[
    tuple[tuple[str, ...], Callable[[LogEvent, bool], Line]],
    ...,
] = (
    (("part", "attempt", "outcome"), _attempted),
    (("part", "attempt", "evidence"), _looked),
    (("echo", "part"), _echoed),
    (("mid", "kind", "state"), _kept),
    (("turn", "tokens", "seconds"), _answered),
    (("turn", "conversation", "count"), _begun),
    (("turn", "count"), _composed),
    (("turn", "delay", "detail"), _parked),
    (("turn", "reason"), _failed),
    (("bot", "person"), _known),
    (("bot", "conversation", "reason"), _lapsed),
    (("bot", "conversation"), _handed_over),
)


def _bad(station: str, title: str, detail: str = "", psid: str | None = None) -> Line:
    return Line(station=station, title=title, detail=detail, tone="bad", psid=psid)


def _seconds(event: LogEvent) -> str:
    seconds = event["seconds"]
    return f"{seconds:.1f} s" if seconds >= 1.0 else f"{1000.0 * seconds:.0f} ms"


def _count(count: int, what: str) -> str:
    plural = what + ("es" if what.endswith("o") else "s")
    return f"{count} {what if count == 1 else plural}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHORT else line[: _SHORT - 1] + "…"
