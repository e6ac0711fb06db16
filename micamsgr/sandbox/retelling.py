"""
What the daemon says of itself, event by event, as lines for a person who
wants to understand it.

The daemon's events are known by their fields, not by their words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen
from twisted.logger import LogEvent, LogLevel, formatEvent


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
    :ivar begins: that person writes: what comes next is about this.
    """

    station: str
    title: str
    detail: str = ""
    tone: str = "plain"
    psid: str | None = None
    at: float = 0.0
    since: float | None = None
    begins: bool = False


def from_log(event: LogEvent, *, doubtful: bool = False) -> Line | None:
    """
    Tell what the daemon says of itself; ``None``: nothing to tell.

    :param doubtful: the part that it names was in doubt until now.
    """
    tell = _TELLING.get(event.get("event", ""))
    if tell is not None:
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
    kind = event.get("kind", "answer")
    if kind != "answer":
        if tone == "good":
            title = _BESIDE.get(kind, title)
        detail = f"{kind}, {detail}"
    return Line(station="send", title=title, detail=detail, tone=tone)


_OUTCOMES = {
    "Sent": ("Sent, says the Graph API", "good"),
    "NotSent": ("Surely not sent: later again", "plain"),
    "NeverSent": ("Refused for good", "bad"),
    "InDoubt": ("In doubt: it may have arrived", "wait"),
}

# What is said beside the answer, or instead of it.
_BESIDE = {
    "apology": "Sent: the person knows that it takes longer",
    "notice": "Sent: the person knows that no answer comes",
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
    detail = f"with {count(event['count'], 'line')} of the chat"
    title = f"Turn {event['turn']}: the LLM is asked"
    return Line(station="llm", title=title, detail=detail)


def _answered(event: LogEvent, doubtful: bool) -> Line:
    detail = f"{_seconds(event)}, {count(event['tokens'], 'token')}"
    return Line(station="llm", title="The LLM answers", detail=detail, tone="good")


def _composed(event: LogEvent, doubtful: bool) -> Line:
    title = "The answer is kept before it is sent"
    detail = f"in {count(event['count'], 'message')}"
    return Line(station="store", title=title, detail=detail, tone="good")


def _parked(event: LogEvent, doubtful: bool) -> Line:
    title = f"The LLM fails: again in {event['delay']:.1f} s"
    return Line(station="llm", title=title, detail=event["detail"], tone="wait")


def _failed(event: LogEvent, doubtful: bool) -> Line:
    title = f"Turn {event['turn']} is given up, and the person is told so"
    return bad("llm", title, _reason(event))


def _reason(event: LogEvent) -> str:
    reason = str(event["reason"])
    return _REASONS.get(reason, reason)


_REASONS = {
    "patience": "there was no answer in time",
    "window": "Messenger allows no answer after 24 hours",
}


def _known(event: LogEvent, doubtful: bool) -> Line:
    return Line(station="store", title="Known already: it counts once", tone="good")


def _lapsed(event: LogEvent, doubtful: bool) -> Line:
    return bad("llm", "Not answered", _reason(event))


def _handed_over(event: LogEvent, doubtful: bool) -> Line:
    return Line(
        station="human", title="A human answers: the bot goes quiet", tone="wait"
    )


# By what docs/events.md calls it.
_TELLING: Mapping[str, Callable[[LogEvent, bool], Line]] = {
    "part.attempted": _attempted,
    "part.looked_up": _looked,
    "echo.taken": _echoed,
    "message.taken": _kept,
    "event.redelivered": _known,
    "turn.begun": _begun,
    "turn.answered": _answered,
    "turn.composed": _composed,
    "turn.parked": _parked,
    "turn.failed": _failed,
    "turn.lapsed": _lapsed,
    "human.took_over": _handed_over,
}


def bad(station: str, title: str, detail: str = "", psid: str | None = None) -> Line:
    """
    Tell of something that should not happen.
    """
    return Line(station=station, title=title, detail=detail, tone="bad", psid=psid)


def _seconds(event: LogEvent) -> str:
    seconds = event["seconds"]
    return f"{seconds:.1f} s" if seconds >= 1.0 else f"{1000.0 * seconds:.0f} ms"


def span(seconds: float) -> str:
    """
    Spell a long time.
    """
    if seconds < 120.0:
        return count(round(seconds), "second")
    return count(round(seconds / 60.0), "minute")


def count(number: int, what: str) -> str:
    """
    Spell a number of things.
    """
    plural = what + ("es" if what.endswith("o") else "s")
    return f"{number} {what if number == 1 else plural}"
