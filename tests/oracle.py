"""
Whether the daemon kept its promises, from evidence alone: the stand-ins'
journal of what people wrote and were told, and the store that was left.

Written against the tables and states as they are documented, with no code of
the daemon's.
"""

from __future__ import annotations

import re
import sqlite3
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field

from micamsgr.sandbox.journal import Applied, Journal, LookedUp, Posted, Spoiled, Wrote

# The legal states; the first ones are those in which something is to be done.
_OPEN = {
    "event": ("new", "in_turn"),
    "turn": ("ready", "generating", "composed"),
    "part": ("composed", "sending", "unknown"),
}
_ENDS = {
    "event": {"done", "ignored", "dead"},
    "turn": {"closed", "failed", "expired"},
    "part": {"sent", "refused", "expired", "dead"},
}
# These want no reason.
_GOOD_ENDS = {"done", "closed", "sent"}

# As Meta's stand-in writes it, whatever else is in a body.
_MID = re.compile(rb'"mid"\s*:\s*"([^"\\]*)"')

# As its threads may, other than webhooks.
_FROM_THREAD = re.compile(r"(t\.)?[A-Za-z0-9_-]{64}")

Row = dict[str, Any]


# A file; or, of a simulated daemon, what it writes with.
Database = Path | sqlite3.Connection


def complaints(
    journal: Journal,
    database: Database,
    *,
    settled: bool = False,
    unread: Collection[str] = (),
) -> list[str]:
    """
    Say what is wrong; nothing, if all is well.

    :param journal: of the stand-ins, all of the daemon's life.
    :param database: the store; it may be in use.
    :param settled: whether nothing may be left to do.
    :param unread: the mids of what was not delivered, and may be lost.
    """
    oracle = _Oracle(journal, _read(database), settled, unread)
    return [*_integrity(database), *oracle.complain()]


def rows(database: Database, query: str, *values: object) -> list[Row]:
    """
    Query the store.
    """
    with _opened(database) as connection:
        return _rows(connection, query, *values)


def _rows(connection: sqlite3.Connection, query: str, *values: object) -> list[Row]:
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    return [_as_delivered(dict(row)) for row in cursor.execute(query, values)]


def _as_delivered(row: Row) -> Row:
    """
    Give in a row, for an ID from a thread, the one that a webhook would have.
    """
    mid = row.get("mid")
    if mid is not None and _FROM_THREAD.fullmatch(mid):
        return {**row, "mid": "m_" + mid.removeprefix("t.")}
    return row


@contextmanager
def _opened(database: Database) -> Iterator[sqlite3.Connection]:
    if isinstance(database, sqlite3.Connection):
        yield database
        return
    # Not read-only: what a killed process left in the log is to be seen.
    url = f"{database.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(url, uri=True, isolation_level=None)
    with closing(connection):
        yield connection


def unfinished(database: Database) -> int:
    """
    Count what the daemon has yet to do.
    """
    # Worded so that the indexes of what is open serve, however much there is.
    return sum(
        row["count"]
        for table, states in _OPEN.items()
        for row in rows(
            database,
            f"SELECT count(*) AS count FROM {table} WHERE state IN"
            f" ({', '.join(repr(state) for state in states)})",
        )
    )


def misspoken(
    journal: Journal,
    named: Callable[[str], Sequence[str]],
    whose: Callable[[str], bool] = lambda psid: True,
) -> list[str]:
    """
    Say where answers do not name what was written, each text once and in
    order, person by person.

    :param named: reads from an answer the texts that it answers.
    :param whose: says of a PSID whether that person must be answered.
    """
    wrote: dict[str, list[str]] = defaultdict(list)
    answered: dict[str, list[str]] = defaultdict(list)
    for text in journal.of(Wrote):
        wrote[text.psid].append(text.text)
    for said in journal.of(Applied):
        answered[said.psid] += named(said.text)
    return [
        f"{psid}: {problem}"
        for psid in wrote
        if whose(psid)
        for problem in _differences(wrote[psid], answered[psid])
    ]


def held_up(journal: Journal) -> list[str]:
    """
    Say where nobody was answered while a message to somebody else was in
    doubt, although others waited; nothing where that is not the rule.

    :param journal: of a time in which the daemon was up throughout.
    """
    wrote, applied, spoiled = (
        _by_person((it.psid, it.at) for it in journal.of(Wrote)),
        _by_person((it.psid, it.at) for it in journal.of(Applied)),
        _by_person(
            (it.call.psid or "", it.at)
            for it in journal.of(Spoiled)
            if it.call.kind == "message"
        ),
    )
    found = []
    stretches = 0
    for looked in journal.of(LookedUp):
        begin, end = _last(spoiled[looked.psid or ""], looked.at), looked.at
        # What had begun before the doubt was known tells nothing.
        quarter, half = begin + (end - begin) / 4.0, begin + (end - begin) / 2.0
        others = [psid for psid in wrote if psid != looked.psid]
        # Who may be in doubt too may have to wait.
        waiting = [
            psid
            for psid in others
            if _last(wrote[psid], quarter) > _last(applied[psid], end)
            and _last(spoiled[psid], end) < begin - (end - begin)
        ]
        heard = any(_last(applied[psid], end) > half for psid in others)
        if begin and waiting:
            stretches += 1
            if not heard:
                found.append(f"nobody was answered while {looked.psid} was in doubt")
    # One stretch may be a slow machine's.
    return found if len(found) > max(2, stretches // 2) else []


def _by_person(times: Iterable[tuple[str, float]]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for psid, at in times:
        found[psid].append(at)
    return found


def _last(times: list[float], before: float) -> float:
    """
    Find the last of some times, oldest first, before another; 0.0: none.
    """
    at = bisect_left(times, before)
    return times[at - 1] if at else 0.0


def mids(body: bytes) -> list[str]:
    """
    Find the mids in a notification's body.
    """
    return [mid.decode("ascii", "replace") for mid in _MID.findall(body)]


def _differences(wrote: list[str], answered: list[str]) -> Iterator[str]:
    for text in wrote:
        if text not in answered:
            yield f"lost {text!r}"
    for text, count in Counter(answered).items():
        if count > 1:
            yield f"said {text!r} {count} times"
    once = list(dict.fromkeys(answered))
    if once != [text for text in wrote if text in once]:
        yield f"out of order: {once}"


def _read(database: Database) -> dict[str, list[Row]]:
    tables = ("conversation", "event", "turn", "part", "utterance")
    with _opened(database) as connection:
        connection.execute("BEGIN")
        read = {
            table: _rows(connection, f"SELECT * FROM {table} ORDER BY rowid")
            for table in tables
        }
        connection.execute("COMMIT")
        return read


def _integrity(database: Database) -> Iterator[str]:
    for row in rows(database, "PRAGMA integrity_check"):
        if row["integrity_check"] != "ok":
            yield f"the file is damaged: {row['integrity_check']}"
    for row in rows(database, "PRAGMA foreign_key_check"):
        yield f"a reference leads nowhere: {row}"


@define(eq=False)
class _Oracle:
    _journal: Journal
    _tables: dict[str, list[Row]]
    _settled: bool
    _unread: Collection[str]

    _conversations: dict[int, Row] = field(init=False)
    _turns: dict[int, Row] = field(init=False)
    _parts: dict[str, Row] = field(init=False)
    _parts_of: dict[int, list[Row]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._conversations = {row["id"]: row for row in self._tables["conversation"]}
        self._turns = {row["id"]: row for row in self._tables["turn"]}
        self._parts = {row["id"]: row for row in self._tables["part"]}
        self._parts_of = defaultdict(list)
        for part in self._tables["part"]:
            self._parts_of[part["turn"]].append(part)

    def complain(self) -> Iterator[str]:
        yield from self._states()
        yield from self._kept()
        yield from self._said()
        yield from self._ordered()
        for event in self._tables["event"]:
            yield from (f"{why}: {_brief(event)}" for why in self._event(event))
        for turn in self._tables["turn"]:
            yield from (f"{why}: {_brief(turn)}" for why in self._turn(turn))
        yield from self._history()

    def _states(self) -> Iterator[str]:
        for table, open_states in _OPEN.items():
            for row in self._tables[table]:
                state = row["state"]
                if state not in {*open_states, *_ENDS[table]}:
                    yield f"not a state of a {table}: {_brief(row)}"
                if self._settled and state in open_states:
                    yield f"unfinished {table}: {_brief(row)}"
                if state in _ENDS[table] - _GOOD_ENDS and not row["reason"]:
                    yield f"ended without a reason: {_brief(row)}"

    def _kept(self) -> Iterator[str]:
        """
        What was answered 200 is in the store, and to be answered once.
        """
        events = self._tables["event"]
        stored = {event["mid"] for event in events}
        accepted = {
            mid
            for posted in self._journal.of(Posted)
            if posted.status == 200
            for mid in mids(posted.body)
        }
        for mid in sorted(accepted - stored):
            yield f"accepted and lost: {mid}"
        for wrote in self._journal.of(Wrote):
            taken = wrote.mid in accepted
            ended = self._settled and wrote.mid not in self._unread
            if wrote.mid not in stored and (taken or ended):
                yield f"{'accepted' if taken else 'refused'} and lost: {wrote}"
        # An echo, and what came by the standby channel, is another event.
        wanted = [event for event in events if event["state"] != "ignored"]
        kept = Counter((event["bot"], event["mid"]) for event in wanted)
        for (bot, mid), count in kept.items():
            if mid is not None and count > 1:
                yield f"kept {count} times for {bot}: {mid}"

    def _said(self) -> Iterator[str]:
        """
        What reached people is what the parts say, once each.
        """
        copies: dict[str, list[Applied]] = defaultdict(list)
        apps = set()
        for said in self._journal.of(Applied):
            fields = (said.metadata or "").split(":")
            if fields[:2] == ["mica", "1"]:
                copies[fields[2]].append(said)
                apps.add(said.app_id)
        for said in self._journal.of(Applied):
            if said.app_id in apps and not (said.metadata or "").startswith("mica:1:"):
                yield f"said without saying which part it is: {said}"
        for unknown in copies.keys() - self._parts.keys():
            yield f"said, and not in the store: {copies[unknown]}"
        self._tell_apart(copies)
        for part in self._tables["part"]:
            for why in self._copies(part, copies[part["id"]]):
                yield f"{why}: {_brief(part)}, {copies[part['id']]}"

    def _tell_apart(self, copies: dict[str, list[Applied]]) -> None:
        """
        Give each of several notices with the same words the copy that it is
        believed to be: of two that are in doubt at once one may be taken for
        the other, and nobody who reads them notices.
        """
        alike: dict[tuple[int, str], list[Row]] = defaultdict(list)
        for part in self._tables["part"]:
            if part["kind"] != "answer":
                alike[part["conversation"], part["text"]].append(part)
        for parts in alike.values():
            there = [said for part in parts for said in copies[part["id"]]]
            for part in parts:
                own = {said.mid for said in there} & {part["mid"]}
                believed = {other["mid"] for other in parts} - {part["mid"]}
                copies[part["id"]] = [
                    said
                    for said in (there if own else copies[part["id"]])
                    if said.mid in own
                    or (said in copies[part["id"]] and said.mid not in believed)
                ]

    def _copies(self, part: Row, there: list[Applied]) -> Iterator[str]:
        whose = self._conversations[part["conversation"]]
        place = (whose["page"], whose["psid"], part["text"])
        if len(there) > 1:
            yield f"said {len(there)} times"
        if any((said.page, said.psid, said.text) != place for said in there):
            yield "said something else, or to somebody else"
        if part["state"] == "sent" and part["mid"] not in {said.mid for said in there}:
            yield "sent, and nobody saw it under this ID"
        if part["state"] in ("composed", "expired", "refused") and there:
            yield "said, and believed not to be"

    def _ordered(self) -> Iterator[str]:
        """
        Answers leave turn by turn and part by part, and turns follow what was
        written.
        """
        spoken: dict[int, tuple[int, int]] = {}
        for said in self._journal.of(Applied):
            part = self._parts.get((said.metadata or "::").split(":")[2])
            if part is None or part["kind"] != "answer":
                continue
            place = (part["turn"], part["number"])
            if place < spoken.get(part["conversation"], (0, 0)):
                yield f"said too late: {said}"
            spoken[part["conversation"]] = place
        # What Meta delivered later may be answered later.
        places = {e["mid"]: (e["id"], e["turn"]) for e in self._tables["event"]}
        earlier: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for wrote in self._journal.of(Wrote):
            event, turn = places.get(wrote.mid, (0, None))
            if turn is None:
                continue
            before = earlier[wrote.page, wrote.psid]
            if any(event > other and turn < theirs for other, theirs in before):
                yield f"answered before what was written earlier: {wrote}"
            before.append((event, turn))

    def _event(self, event: Row) -> Iterator[str]:
        state, turn = event["state"], self._turns.get(event["turn"] or 0)
        wanted = {"new": False, "in_turn": True, "done": True}.get(state)
        if wanted is not None and wanted != (turn is not None):
            yield "in no turn, or in one too early"
        if turn is None:
            return
        if turn["conversation"] != event["conversation"]:
            yield "in somebody else's turn"
        if state == "done" and turn["state"] not in ("composed", "closed"):
            yield f"done, and its turn is {turn['state']}"
        if state == "in_turn" and turn["state"] not in ("ready", "generating"):
            yield f"in a turn that is {turn['state']}"

    def _turn(self, turn: Row) -> Iterator[str]:
        answer = [p for p in self._parts_of[turn["id"]] if p["kind"] == "answer"]
        notices = [p for p in self._parts_of[turn["id"]] if p["kind"] == "notice"]
        waiting = [part for part in answer if part["state"] in _OPEN["part"]]
        if any(part["conversation"] != turn["conversation"] for part in answer):
            yield "its answer goes to somebody else"
        if [part["number"] for part in answer] != list(range(1, len(answer) + 1)):
            yield "parts are missing"
        if bool(answer) != (turn["state"] in ("composed", "closed")):
            yield "an answer too early, or none"
        if answer and bool(waiting) != (turn["state"] == "composed"):
            yield "closed too early, or not at all"
        if len(notices) > 1:
            yield "more than one notice"
        if sum(p["kind"] == "apology" for p in self._parts_of[turn["id"]]) > 1:
            yield "more than one apology"
        # Who is at a limit is told so once for all turns.
        limited = (turn["reason"] or "").startswith("limits.")
        if turn["state"] == "failed" and not notices and not limited:
            yield "failed, and nobody was told"

    def _history(self) -> Iterator[str]:
        answers = Counter(
            turn["conversation"]
            for turn in self._tables["turn"]
            if turn["state"] in ("composed", "closed")
        )
        spoken = Counter(
            row["conversation"]
            for row in self._tables["utterance"]
            if row["role"] == "bot"
        )
        if answers != spoken:
            yield f"the history tells of other answers: {answers} and {spoken}"


def _brief(row: Row) -> str:
    shown = ("id", "kind", "conversation", "turn", "number", "state", "reason", "mid")
    return ", ".join(f"{name} {row[name]}" for name in shown if name in row)
