"""
What happens, told step by step: the daemon's own log, and what the stand-ins
note, as lines for a person who wants to understand it.
"""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any

from attrs import asdict, define, evolve, field
from twisted.logger import ILogObserver, LogEvent
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
from micamsgr.sandbox.retelling import Line, bad, count, from_log, span

# How many lines a browser is shown that comes late, and how many turns and
# parts are remembered for those that name nothing else.
_MOST_LINES, _MOST_KNOWN = 300, 500

_SHORT = 40


@implementer(ILogObserver)
@define(eq=False, repr=False)
class Story:
    """
    Tell what happens as it happens.

    As an observer of the log it takes what the daemon says of itself.

    :ivar _now: tells the time, in seconds since the epoch.
    :ivar _psid: finds out whom the log names so.
    :ivar _tell: told each line, as JSON can hold it.
    :ivar _quiet: by bot of the sandbox, for how many seconds it says nothing once
        a human has answered.
    """

    _now: Callable[[], float]
    _psid: Callable[[str], str | None]
    _tell: Callable[[dict[str, Any]], None]
    _quiet: Mapping[str, float | None]

    _lines: deque[dict[str, Any]] = field(
        factory=lambda: deque(maxlen=_MOST_LINES), init=False
    )
    _wrote: dict[str, float] = field(factory=dict, init=False)
    # Whose turns, parts and conversations those are that the log names.
    _whose: OrderedDict[tuple[str, object], str] = field(
        factory=OrderedDict, init=False
    )
    _doubtful: set[str] = field(factory=set, init=False)
    # With whom humans speak; and with whom those do whose echoes came last.
    _human: set[str] = field(factory=set, init=False)
    _echoed: set[str] = field(factory=set, init=False)

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
        if line.begins and line.psid is not None:
            self._wrote[line.psid] = now
        began = self._wrote.get(line.psid or "")
        since = None if began is None else max(0.0, now - began)
        document = asdict(evolve(line, at=now, since=since))
        self._lines.append(document)
        self._tell(document)

    def fact(self, fact: Fact) -> None:
        """
        Go on with what a stand-in notes.
        """
        line = from_fact(fact)
        if line is not None:
            self.add(line)

    def __call__(self, event: LogEvent) -> None:
        where = str(event.get("log_namespace", ""))
        if not where.startswith("micamsgr.") or where.startswith("micamsgr.sandbox"):
            return
        if "bot" in event and str(event["bot"]) not in self._quiet:
            # One that is none of the sandbox's.
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
        self.add(self._with_human(event, evolve(line, psid=psid)))

    def _with_human(self, event: LogEvent, line: Line) -> Line:
        """
        Tell who it is that a human answers, and when the bot speaks again.
        """
        if "echo" in event:
            if event["part"] is None and line.psid is not None:
                self._echoed.add(line.psid)
            return line
        echoed, self._echoed = self._echoed, set()
        if line.station == "human":
            # To whom the bot never spoke, nothing but the echo is known by.
            if line.psid is None and len(echoed) == 1:
                (psid,) = echoed
                self._whose["conversation", event["conversation"]] = psid
                line = evolve(line, psid=psid)
            quiet = self._quiet.get(str(event["bot"]))
            if quiet is not None:
                detail = f"for {span(quiet)} after the human's last word"
                line = evolve(line, detail=detail)
            if line.psid is not None:
                self._human.add(line.psid)
        elif line.psid in self._human and event.get("state") == "new":
            self._human.remove(line.psid)
            line = evolve(line, title="Kept on disk; the bot is awake again")
        return line

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
            begins=True,
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
        title = f"The thread is read: {count(len(fact.mids), 'message')}"
        return Line(station="evidence", title=title, psid=fact.psid)
    if isinstance(fact, Refused):
        error = fact.error
        detail = f"code {error.code}: {error.message}"
        return bad("send", "Graph API refuses", detail, fact.call.psid)
    if isinstance(fact, Spoiled):
        return bad("send", "Graph API will answer 500", "", fact.call.psid)
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
        count(number, what)
        for number, what in ((len(items) - echoes, "event"), (echoes, "echo"))
        if number
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
    return bad("webhook", title, detail, psid)


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


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHORT else line[: _SHORT - 1] + "…"
