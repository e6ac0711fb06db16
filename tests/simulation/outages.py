"""
What Meta did not deliver, and what was to become of it.

For runs in which Meta gives up what it can't deliver, and the subscription.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator

from micamsgr.sandbox.journal import Applied, Journal, LookedUp, Posted, Wrote
from micamsgr.sandbox.meta import FIELDS, Meta, Page
from tests.oracle import Database, Row, mids, rows

# So many of a thread's messages are shown.
_SHOWN = 20

# Times in threads are whole seconds.
_SECOND = 1.0

# For so long somebody is answered, in seconds: Meta's day less some minutes; and
# so inexact may clocks be.
_WINDOW, _INEXACT = 24 * 3600.0 - 600.0, 5.0

# Why something that was read from a thread is left to the operator.
_LISTED = "backfill: "
_LATER = "backfill: the Page has written since"
_SPOKEN_SINCE = "backfill: the bot has written since"
_OVERTAKEN = "backfill: a later message was delivered"
_TOO_OLD = "backfill: window"


def accepted(journal: Journal) -> dict[str, float]:
    """
    Find out when what was accepted was accepted first, by mid.
    """
    found: dict[str, float] = {}
    for posted in journal.of(Posted):
        if posted.status == 200:
            for mid in mids(posted.body):
                found.setdefault(mid, posted.at)
    return found


def over(page: Page, database: Database, readable: bool) -> bool:
    """
    Say whether all consequences of an outage are over: the Page is subscribed,
    and nothing is left to be read, if it can be read at all.
    """
    left = rows(
        database,
        "SELECT task FROM progress WHERE task LIKE 'gap:%' OR task LIKE 'lacked:%'",
    )
    return set(FIELDS) <= page.fields and not (readable and left)


def deliver_after_all(meta: Meta, page: str) -> int:
    """
    Let Meta deliver what it had given up.

    :return: how many notifications that are.
    """
    posted = meta.journal.of(Posted)
    taken = {it.body for it in posted if it.status == 200}
    left = dict.fromkeys(it.body for it in posted if it.body not in taken)
    for body in left:
        meta.raw(page, body)
    return len(left)


def missed(journal: Journal) -> list[Wrote]:
    """
    Find what people wrote that was never accepted.
    """
    taken = accepted(journal)
    return [wrote for wrote in journal.of(Wrote) if wrote.mid not in taken]


def unread(
    page: Page, database: Database, missed: Collection[Wrote], readable: bool
) -> frozenset[str]:
    """
    Name what of it may be lost: what threads don't show, and what was written
    before the daemon was first there.
    """
    if not readable:
        return frozenset(wrote.mid for wrote in missed)
    floors = rows(database, "SELECT value FROM progress WHERE task LIKE 'floor:%'")
    floor = min((row["value"] / 1000.0 for row in floors), default=0.0)
    shown = {said.mid for it in page.threads.values() for said in it[-_SHOWN:]}
    return frozenset(
        wrote.mid
        for wrote in missed
        if wrote.at < floor + _SECOND or wrote.mid not in shown
    )


def unheard(
    journal: Journal, database: Database, unread: Collection[str]
) -> Iterator[str]:
    """
    Say what was read from a thread and left, or answered, without a reason
    that the journal knows.
    """
    events = rows(database, "SELECT * FROM event WHERE kind = 'message'")
    # Also what was kept, though Meta was not told so.
    kept = {it["mid"] for it in events if it["source"] != "backfill"}
    judging = _Judging(journal, kept)
    for event in events:
        wrote = judging.wrote.get(event["mid"])
        if wrote is None:
            yield f"nobody wrote it: {event}"
            continue
        listed = (event["reason"] or "").startswith(_LISTED)
        if wrote.mid in judging.accepted:
            if listed and event["state"] == "dead" and event["reason"] != _TOO_OLD:
                yield f"delivered after all, and not answered: {event}"
        elif listed and not judging.excused(wrote, event):
            yield f"left to the operator without a reason: {event}"
        elif event["source"] == "backfill" and event["state"] == "done":
            why = judging.forbidden(wrote)
            if why:
                yield f"answered, though {why}: {wrote}, {event}"


class _Judging:
    def __init__(self, journal: Journal, kept: Collection[str]) -> None:
        self._kept = kept
        self.accepted = accepted(journal)
        self.wrote = {wrote.mid: wrote for wrote in journal.of(Wrote)}
        said = journal.of(Applied)
        apps = {it.app_id for it in said if (it.metadata or "").startswith("mica:1:")}
        self._theirs: dict[str, list[Applied]] = defaultdict(list)
        self._ours: dict[str, list[Applied]] = defaultdict(list)
        for it in said:
            (self._ours if it.app_id in apps else self._theirs)[it.psid].append(it)
        self._people: dict[str, list[Wrote]] = defaultdict(list)
        for wrote in self.wrote.values():
            self._people[wrote.psid].append(wrote)
        self._looked: dict[str, list[LookedUp]] = defaultdict(list)
        for looked in journal.of(LookedUp):
            self._looked[looked.psid or ""].append(looked)

    def excused(self, wrote: Wrote, event: Row) -> bool:
        """
        Say whether there is a cause for what an event is said to be left for.
        """
        after = int(wrote.at)
        causes = {
            _LATER: any(it.at >= after for it in self._theirs[wrote.psid]),
            _SPOKEN_SINCE: any(it.at >= after for it in self._ours[wrote.psid]),
            _OVERTAKEN: any(
                it.at >= after and it.mid in self._kept and it is not wrote
                for it in self._people[wrote.psid]
            ),
            _TOO_OLD: any(
                looked.at - wrote.at > _WINDOW - _INEXACT
                for looked in self._looked[wrote.psid]
            ),
        }
        return causes.get(event["reason"], False)

    def forbidden(self, wrote: Wrote) -> str:
        """
        Say why a message must not be answered, though it was missed, whenever
        its thread was read; nothing, if there was a time when it might.
        """
        looks = [it for it in self._looked[wrote.psid] if wrote.mid in it.mids]
        if not looks:
            return "nobody can know of it"
        found = ""
        for looked in looks:
            theirs = [
                it
                for it in self._theirs[wrote.psid]
                if it.at > wrote.at and it.mid in looked.mids
            ]
            known = [
                it
                for it in self._people[wrote.psid]
                if it.at > wrote.at
                and it.mid in looked.mids
                and self.accepted.get(it.mid, looked.at) < looked.at - _INEXACT
            ]
            if theirs:
                found = f"the Page wrote {theirs[0]}"
            elif known:
                found = f"a later message was delivered, {known[0]}"
            else:
                return ""
        return found
