"""
Who waited, for how long, and what they read meanwhile.

For runs of which it is known when nothing but the LLM may keep anybody waiting.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from attrs import frozen

from micamsgr.sandbox.journal import Applied, Asked, Journal, Posted, Wrote
from tests.oracle import Database, Row, mids, rows

# What lies so near together may have happened in any order, in seconds.
_TOGETHER = 1.0

# After a start: until the first answer; until all the others, if nothing is in
# doubt; and until those where something is.  Seconds.
_FIRST, _ALL, _IN_DOUBT = 2.0, 5.0, 60.0

# An apology in doubt is looked for once the LLM has answered, if it is being
# asked: seconds that this may take.
_ASKED = 60.0

# After a look-up that failed the next one may be as far away, in seconds, or a
# tenth of the time since the attempt.
_LONGEST_REST = 300.0

_NEVER = float("inf")

Named = Callable[[str], Sequence[str]]


@frozen(kw_only=True)
class Up:
    """
    A time in which the daemon was up.

    :ivar ended: when it died, or was told to stop.
    :ivar doubtful: the people to whom something was in doubt when it
        died.
    """

    began: float
    ended: float
    died: float
    doubtful: frozenset[str]


@frozen(kw_only=True)
class Waited:
    """
    What a person knows of a turn.

    :ivar wrote: when the oldest of its messages was written.
    :ivar since: when they began to wait for it, at the latest: that message was
        accepted, and the turn before it was over.
    :ivar came: the same, at the earliest.
    :ivar asked: when the LLM was first asked.
    :ivar heard: the first they read of it.
    :ivar apologized: whether the first was an apology.
    :ivar noticed: how many notices they read.
    :ivar excused: there is a reason for it if they never read anything.
    """

    turn: Row
    psid: str
    wrote: float
    since: float
    came: float
    asked: float
    heard: float
    apologized: bool
    noticed: int
    excused: bool

    @property
    def limited(self) -> bool:
        """Whether it was given up since a limit was reached."""
        return (self.turn["reason"] or "").startswith("limits.")


def doubtful(database: Database) -> frozenset[str]:
    """
    Name the people to whom something is in doubt.
    """
    found = rows(
        database,
        "SELECT psid FROM part JOIN conversation ON conversation.id = conversation"
        " WHERE state IN ('sending', 'unknown')",
    )
    return frozenset(row["psid"] for row in found)


def read(
    journal: Journal, database: Database, named: Named, epoch: float
) -> list[Waited]:
    """
    Find out how people waited, turn by turn.

    :param named: reads from a text the names of what was written in it.
    :param epoch: what Meta's clock showed when the run began.
    """
    accepted = _accepted(journal, epoch)
    asked: dict[str, float] = {}
    for call in journal.of(Asked):
        for name in named(call.messages[-1][1]):
            asked.setdefault(name, call.at)
    events = {event["mid"]: event for event in rows(database, "SELECT * FROM event")}
    wrote: dict[int, list[Wrote]] = defaultdict(list)
    for message in journal.of(Wrote):
        event = events.get(message.mid)
        if event and event["turn"] is not None and message.mid in accepted:
            wrote[event["turn"]].append(message)
    parts = {part["id"]: part for part in rows(database, "SELECT * FROM part")}
    said: dict[int, list[tuple[float, str]]] = defaultdict(list)
    for applied in journal.of(Applied):
        part = parts.get((applied.metadata or "::").split(":")[2])
        if part is not None:
            said[part["turn"]].append((applied.at - epoch, part["kind"]))
    unsent = {part["turn"] for part in parts.values() if part["state"] != "sent"}
    over: dict[int, float] = defaultdict(float)
    found = []
    for turn in rows(database, "SELECT * FROM turn ORDER BY id"):
        theirs, heard = wrote[turn["id"]], said[turn["id"]]
        whose, before = turn["conversation"], over[turn["conversation"]]
        over[whose] = max([before, *(at for at, _ in heard)])
        if (turn["reason"] or "").startswith("limits."):
            # When it was given up nobody is told, where they were told before.
            over[whose] = _NEVER
        if not theirs:
            continue
        first, kind = min(heard, default=(_NEVER, ""))
        names = [name for it in theirs for name in named(it.text)]
        came = min(it.at for it in theirs) - epoch
        found.append(
            Waited(
                turn=turn,
                psid=theirs[0].psid,
                wrote=came,
                came=max(before, came),
                since=max(before, min(accepted[it.mid] for it in theirs)),
                asked=min(asked.get(name, _NEVER) for name in names),
                heard=first,
                apologized=kind == "apology",
                noticed=sum(kind == "notice" for _, kind in heard),
                excused=turn["state"] == "expired" or turn["id"] in unsent,
            )
        )
    return found


def _accepted(journal: Journal, epoch: float) -> dict[str, float]:
    """
    Find out when each message was accepted first.
    """
    found: dict[str, float] = {}
    for posted in journal.of(Posted):
        if posted.status == 200:
            for mid in mids(posted.body):
                found.setdefault(mid, posted.at - epoch)
    return found


def silent(
    waited: Sequence[Waited], ups: Sequence[Up], seconds: float, calm: float
) -> Iterator[str]:
    """
    Say who read nothing for too long, neither an apology, nor an answer, nor
    that there will be none, while the daemon was up.

    :param seconds: how long that may be.
    :param calm: since when nothing else keeps anybody waiting.
    """
    for it in waited:
        limited = it.limited and not it.noticed
        if it.heard == _NEVER and (it.excused or limited):
            continue
        doubtful: frozenset[str] = frozenset()
        for up in ups:
            begin, end = max(it.since, up.began, calm), min(it.heard, up.ended)
            most = seconds
            if it.psid in doubtful:
                sought = min(_LONGEST_REST, max(0.0, up.began - it.since) / 10.0)
                most = _IN_DOUBT + _ASKED + sought
            if end - begin > most:
                yield f"read nothing for {end - begin:.1f} s: {it}"
            doubtful = up.doubtful


def hasty(waited: Sequence[Waited], seconds: float) -> Iterator[str]:
    """
    Say who read an apology though nothing was late.

    :param seconds: until something is.
    """
    for it in waited:
        if it.apologized and it.heard < it.wrote + seconds:
            yield f"apologized too early: {it}"


def overtaken(waited: Sequence[Waited], ups: Sequence[Up]) -> Iterator[str]:
    """
    Say who waited for the LLM while others were served who had come later.

    A place that is free while somebody is being apologized to goes to the next.
    """
    for up in ups:
        queue = [it for it in waited if up.began < it.came < up.ended]
        for it in queue:
            for late in queue:
                if (
                    it.since + _TOGETHER < late.came
                    and late.asked + _TOGETHER < min(it.asked, up.ended)
                    and not it.limited
                    and abs(it.heard - late.asked) > _TOGETHER
                ):
                    yield f"forgotten, or overtaken by turn {late.turn['id']}: {it}"


def idle(
    journal: Journal, named: Named, ups: Sequence[Up], epoch: float
) -> Iterator[str]:
    """
    Say what was not taken up again soon after a start, though the LLM answers
    at once.
    """
    accepted = _accepted(journal, epoch)
    answered: dict[str, float] = {}
    for said in journal.of(Applied):
        for name in named(said.text):
            answered.setdefault(name, said.at - epoch)
    for before, up in pairwise(ups):
        left = [
            (wrote, answered.get(name, _NEVER) - up.began)
            for wrote in journal.of(Wrote)
            for name in named(wrote.text)
            if accepted.get(wrote.mid, _NEVER) < before.died
            and answered.get(name, _NEVER) > before.died
        ]
        lasted = up.ended - up.began
        sure = [after for wrote, after in left if wrote.psid not in before.doubtful]
        if min(sure, default=0.0) > _FIRST and lasted > _FIRST:
            yield f"the first answer came {min(sure):.1f} s after the start"
        for wrote, after in left:
            most = _IN_DOUBT if wrote.psid in before.doubtful else _ALL
            if after > most and lasted > most:
                yield f"answered {after:.1f} s after the start: {wrote}"


def overspent(waited: Sequence[Waited], most: int) -> Iterator[str]:
    """
    Say who had more turns than they may have, or fewer than they wanted; and
    who was told so other than once.

    :param most: for each person; 0: there is no limit.
    """
    served = Counter(it.psid for it in waited if it.asked < _NEVER)
    refused = [it for it in waited if it.limited]
    told = Counter({it.psid: 0 for it in refused})
    for it in refused:
        told[it.psid] += it.noticed
        if served[it.psid] < most or not most:
            yield f"refused, though there was room: {it}"
    for psid, count in served.items():
        if most and count > most:
            yield f"{count} turns of {psid}, who may have {most}"
    for psid, count in told.items():
        if count != 1:
            yield f"told {count} times of a limit: {psid}"
