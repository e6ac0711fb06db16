"""
Whether what did not end well had to end so, as told by the stand-ins' journal.

A part of :mod:`tests.oracle`, for runs of which all that went wrong is in the
journal.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence

from micamsgr.sandbox.journal import (
    Acted,
    Applied,
    Journal,
    LookedUp,
    Posted,
    Refused,
    Spoiled,
    Subscribed,
    Wrote,
)
from tests.oracle import Database, Row, rows

# So often an attempt is proved absent before the person counts as unreachable.
_MOST_ABSENT = 3

# What follows a message so soon is Meta's own reply; and so inexact may clocks
# be.  Seconds.
_INSTANT, _INEXACT = 3.5, 5.0

# So late bytes may be that are held back, in seconds.
_HELD = 13.0

# For so long after their message people are answered: Meta's day less some
# minutes, in seconds.
_WINDOW = 24 * 3600.0 - 600.0 - _INEXACT

# Meta waits no longer for an answer.
_OFFERING = 5.0

_NEVER = float("inf")

Named = Callable[[str], Sequence[str]]


def unanswered(journal: Journal, database: Database, named: Named) -> Iterator[str]:
    """
    Say what was answered other than once, though it should have been, or at
    all, though it should not.

    :param named: reads from a text the names of what was written in it, and
        from an answer those of what it answers.
    """
    said: dict[str, Counter[str]] = defaultdict(Counter)
    for applied in journal.of(Applied):
        said[applied.psid].update(named(applied.text))
    events = {e["mid"]: e for e in rows(database, "SELECT * FROM event")}
    unsent = {
        part["turn"]
        for part in rows(
            database,
            "SELECT turn FROM part WHERE kind = 'answer' AND state <> 'sent'",
        )
    }
    for wrote in journal.of(Wrote):
        event = events.get(wrote.mid)
        for name in named(wrote.text):
            count = said[wrote.psid][name]
            done = (event or {}).get("state") == "done"
            if count > 1:
                yield f"answered {count} times: {wrote}, {event}"
            elif event and done and not count and event["turn"] not in unsent:
                yield f"not answered: {wrote}"


def unexcused(
    journal: Journal,
    database: Database,
    *,
    lookups: bool = True,
    patience: float = 900.0,
) -> Iterator[str]:
    """
    Say what ended other than well, and nothing happened that explains it.

    :param lookups: whether look-ups could be had.
    :param patience: for how many seconds from its message an answer is sought.
    """
    people = {row["id"]: row for row in rows(database, "SELECT * FROM conversation")}
    parts = rows(database, "SELECT * FROM part")
    ours = {
        said.app_id
        for said in journal.of(Applied)
        if (said.metadata or "").startswith("mica:1:")
    }
    humans = {s.psid for s in journal.of(Applied) if s.app_id not in ours}
    spoiled = [fact.call for fact in journal.of(Spoiled)]
    calls = [*spoiled, *(fact.call for fact in journal.of(Refused))]
    refused = {(call.metadata or "::").split(":")[2] for call in calls}
    failed = [call.text or "" for call in spoiled if call.kind == "completion"]
    wrote = {message.mid: message.at for message in journal.of(Wrote)}
    told = _told(journal, parts)
    posted, looked_up = journal.of(Posted), journal.of(LookedUp)
    seen: list[Posted | LookedUp | Subscribed | Spoiled] = [*posted, *looked_up]
    seen += journal.of(Subscribed)
    seen += journal.of(Spoiled)
    last = max((fact.at for fact in seen), default=0.0)
    events = rows(database, "SELECT * FROM event WHERE kind = 'message'")
    # Of several messages that are answered together the oldest counts.
    began: dict[int, float] = {}
    for event in events:
        at = wrote.get(event["mid"], _NEVER)
        began[event["turn"]] = min(at, began.get(event["turn"], _NEVER))
    for part in parts:
        why = part["reason"] if part["state"] == "expired" else part["state"]
        excused = {
            "human": people[part["conversation"]]["psid"] in humans,
            # An apology is too late once there is an answer.
            "sibling": part["kind"] == "apology"
            or any(_before(other, part) for other in parts),
            "refused": part["id"] in refused,
            # So long ago that nobody may be written to any more.
            "dead": not lookups
            or _absent(part, journal)
            or last - began.get(part["turn"], _NEVER) > _WINDOW,
        }
        if why in excused and not excused[why]:
            yield f"no reason for it: {part}"
    for turn in rows(database, "SELECT * FROM turn WHERE state = 'expired'"):
        psid = people[turn["conversation"]]["psid"]
        if turn["reason"] == "human" and psid not in humans:
            yield f"given up without a reason: {turn}"
    for event in events:
        psid = people[event["conversation"]]["psid"]
        if event["state"] == "ignored" and psid not in humans:
            yield f"ignored without a reason: {event}"
        text = event["text"] or ""
        limited = (event["reason"] or "").startswith("limits.")
        # What was read from a thread is another matter.
        listed = (event["reason"] or "").startswith("backfill: ")
        closed = event["reason"] == "window" and last - wrote[event["mid"]] > _WINDOW
        # Whether it was sought for long enough is looked at below.
        sought_long = event["reason"] == "patience" and event["turn"] in told
        blamed = limited or listed or closed or sought_long
        blamed = blamed or any(text in it for it in failed)
        if event["state"] == "dead" and not blamed:
            yield f"given up without a reason: {event}"
        if event["reason"] == "patience" and event["turn"] in began:
            sought = told.get(event["turn"], _NEVER) - began[event["turn"]]
            if sought < patience - _INEXACT:
                yield f"given up after {sought} s: {event}"


def _told(journal: Journal, parts: Sequence[Row]) -> dict[int, float]:
    """
    Find out when people were first to read that a turn had failed, whether they
    could or not.
    """
    notices = {part["id"]: part["turn"] for part in parts if part["kind"] == "notice"}
    named = [(said.metadata, said.at) for said in journal.of(Applied)]
    named += [(fact.call.metadata, fact.at) for fact in journal.of(Spoiled)]
    named += [(fact.call.metadata, fact.at) for fact in journal.of(Refused)]
    told: dict[int, float] = {}
    for metadata, at in sorted(named, key=lambda it: it[1]):
        part = (metadata or "::").split(":")[2]
        if part in notices:
            told.setdefault(notices[part], at)
    return told


def _before(other: Row, part: Row) -> bool:
    return bool(
        other["turn"] == part["turn"]
        and other["kind"] == part["kind"]
        and other["number"] < part["number"]
        and other["state"] != "sent"
    )


def _absent(part: Row, journal: Journal) -> bool:
    there = any(
        (said.metadata or "::").split(":")[2] == part["id"]
        for said in journal.of(Applied)
    )
    return part["absent"] >= _MOST_ABSENT and not there


def unreached(journal: Journal, database: Database, named: Named) -> set[str]:
    """
    Say what :func:`tests.oracle.misspoken` says of what was given up as it must
    be: an answer's part was not there after three attempts, so that its person
    counts as unreachable, and it goes with those behind it.
    """
    parts = rows(
        database,
        "SELECT part.*, psid FROM part"
        " JOIN conversation ON conversation.id = part.conversation"
        " WHERE kind = 'answer' AND part.state IN ('dead', 'expired')",
    )
    given_up = {
        part["turn"]: part["number"]
        for part in parts
        if part["state"] == "dead" and _absent(part, journal)
    }
    return {
        f"{part['psid']}: lost {text!r}"
        for part in parts
        if part["number"] >= given_up.get(part["turn"], _NEVER)
        for text in named(part["text"])
    }


def belated(
    journal: Journal, named: Named, psids: Collection[str], seconds: float
) -> Iterator[str]:
    """
    Say what certain people wrote that was not answered in time, so that
    somebody else's trouble delayed it.
    """
    answered: dict[str, float] = {}
    for applied in journal.of(Applied):
        for name in named(applied.text):
            answered.setdefault(name, applied.at)
    for wrote in journal.of(Wrote):
        for name in named(wrote.text) if wrote.psid in psids else ():
            late = answered.get(name, float("inf")) - wrote.at
            if late > seconds:
                yield f"answered after {late:.1f} s: {wrote}"


def talked_over(
    journal: Journal, database: Database, quiet: float, *, landing: float = 30.0
) -> Iterator[str]:
    """
    Say where the bot spoke, or wrote to be seen, although it knew that a human
    answers.

    :param quiet: for how many seconds it is to be quiet.
    :param landing: after so many seconds nothing lands that was under way.
    """
    states = {
        e["mid"]: (e["state"], e["reason"])
        for e in rows(database, "SELECT * FROM event")
    }
    sources = {e["mid"]: e["source"] for e in rows(database, "SELECT * FROM event")}
    # When each was first offered, and when it was first accepted.
    offered: dict[str, float] = {}
    accepted: dict[str, float] = {}
    for posted in journal.of(Posted):
        for entry in json.loads(posted.body)["entry"]:
            for item in entry["messaging"]:
                mid = item["message"]["mid"]
                offered.setdefault(mid, posted.at - _OFFERING)
                if posted.status == 200:
                    accepted.setdefault(mid, posted.at)
    wrote = defaultdict(list)
    for fact in journal.of(Wrote):
        wrote[fact.psid].append(fact)
    said = journal.of(Applied)
    ours = {it.app_id for it in said if (it.metadata or "").startswith("mica:1:")}
    calls = [it.call for it in journal.of(Spoiled)]
    spoiled = {call.psid for call in calls if call.kind == "action"}
    for human in said:
        known = accepted.get(human.mid, float("inf"))
        theirs = wrote[human.psid]
        if human.app_id in ours or any(
            0.0 <= human.at - it.at <= _INSTANT for it in theirs
        ):
            continue
        end = human.at + quiet - _INEXACT
        for message in theirs:
            late = known < offered.get(message.mid, 0.0) and (
                accepted.get(message.mid, end) < end
            )
            # What was read from the thread may have been answered before.
            late = late and sources[message.mid] == "webhook"
            if late and states[message.mid][0] != "ignored":
                yield f"answered while a human answers, {human}: {message}"
        for spoken in said:
            own = spoken.app_id in ours and spoken.psid == human.psid
            if own and known + landing < spoken.at < end:
                yield f"said while a human answers, {human}: {spoken}"
        for shown in journal.of(Acted):
            under_way = landing if shown.psid in spoiled else _HELD
            theirs_too = shown.psid == human.psid
            if theirs_too and known + under_way < shown.at < end:
                yield f"shown while a human answers, {human}: {shown}"
