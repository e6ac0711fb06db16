"""
Makes the store that later programs are tried on, by the daemon as it is now:

    MICA_STORE=micamsgr/test/stores/version_9.sql trial tests.test_old_stores
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from twisted.internet.task import deferLater

from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.journal import (
    HANGING,
    INTERNAL,
    EchoFault,
    always,
    in_turn,
    rejection,
)
from micamsgr.store.database import open_database
from tests.daemon import DELIVERY, DaemonCase, eventually, reactor

ALICE, BOB, CAROL, DAVE, ERIN, FRANK, GRACE, HEIDI = (
    f"628491377510284{n}" for n in range(8)
)

TARGET = os.environ.get("MICA_STORE")

_LONG = "This answer is so long that it takes two messages. " * 45

# Longer than the daemon takes what comes from the inbox for a greeting.
_GREETING = 4.0

# What does not come by itself while nobody waits for hours.  :now is in
# milliseconds, :page the Page.
_REST = """
INSERT INTO conversation (id, bot, page, psid, opened, heard, seen)
    VALUES (20, 'mica', :page, '6284913775102848', :now, :now, :now),
        (21, 'mica', :page, '6284913775102849', :now, :now, :now);
INSERT INTO event
    (id, key, conversation, bot, page, kind, mid, at, received, text, state, source)
    VALUES
    (50, randomblob(16), 20, 'mica', :page, 'message', 'm_parked', :now, :now,
        'I wait', 'new', 'webhook'),
    (51, randomblob(16), 21, 'mica', :page, 'message', 'm_unresolved', :now, :now,
        'Did you get this?', 'new', 'webhook'),
    (52, randomblob(16), 21, 'mica', :page, 'message', 'm_expired', :now, :now,
        'Nobody came', 'new', 'backfill');
INSERT INTO turn (id, conversation, state, began) VALUES (30, 20, 'ready', :now);
UPDATE event SET state = 'in_turn', turn = 30 WHERE id = 50;
UPDATE turn SET state = 'generating', tries = 1 WHERE id = 30;
UPDATE turn SET state = 'ready', rest = 100.5, boot = 'gone' WHERE id = 30;
INSERT INTO turn (id, conversation, state, began) VALUES (31, 21, 'ready', :now);
UPDATE event SET state = 'in_turn', turn = 31 WHERE id = 51;
UPDATE turn SET state = 'generating', tries = 1 WHERE id = 31;
UPDATE turn SET state = 'composed', tokens = 33 WHERE id = 31;
UPDATE event SET state = 'done' WHERE id = 51;
INSERT INTO part (id, turn, conversation, kind, number, text, state)
    VALUES ('01M8358M6SK7RNDD80BYPMWBZZ', 31, 21, 'answer', 1, 'I did.', 'composed');
UPDATE part SET state = 'sending', attempt = 1, first_wall = :now,
    first_intended = 90.0, intended = 90.0, boot = 'gone' WHERE turn = 31;
UPDATE part SET state = 'unknown' WHERE turn = 31;
UPDATE part SET state = 'dead', reason = 'unresolved' WHERE turn = 31;
UPDATE turn SET state = 'closed' WHERE id = 31;
INSERT INTO turn (id, conversation, state, began) VALUES (32, 21, 'ready', :now);
UPDATE event SET state = 'in_turn', turn = 32 WHERE id = 52;
UPDATE turn SET state = 'expired', reason = 'window' WHERE id = 32;
UPDATE event SET state = 'dead', reason = 'window' WHERE id = 52;
INSERT INTO tombstone VALUES (randomblob(32), :now);
INSERT OR IGNORE INTO progress VALUES ('texts.event', 3);
INSERT INTO deletion (code, bots, at, psid)
    VALUES ('CODEOPEN234567ABCDEF', '["mica"]', :now, '6284913775102899');
INSERT INTO deletion (code, bots, at, done)
    VALUES ('CODEDONE234567ABCDEF', '["mica"]', :now, :now);
UPDATE conversation SET farewell = (SELECT id FROM part WHERE kind = 'notice')
    WHERE id = (SELECT conversation FROM part WHERE kind = 'notice');
"""


def answer(messages: Sequence[Mapping[str, str]]) -> str:
    """
    Answer at length who wants that.
    """
    text = messages[-1]["content"]
    return _LONG if "at length" in text else f"You said: {text}"


class MakeTests(DaemonCase):
    """
    Makes a store with something of everything in it.
    """

    if TARGET is None:
        skip = "MICA_STORE names no file to write"

    # It is killed in the middle of everything.
    judged = False

    async def until(self, query: str) -> None:
        """
        Wait for a row.
        """
        await eventually(lambda: self.kept(query))

    async def test_make(self) -> None:
        """
        A daemon answers, fails, is in doubt and is killed.
        """
        assert TARGET is not None
        self.stand_ins.model.reply = answer
        daemon = await self.serve(delivery=DELIVERY)
        await self.live()
        daemon.terminate()
        await daemon.exited
        daemon = await self.serve(delivery={"rate": 0})
        await self.work()
        daemon.kill()
        await daemon.exited
        self.add_rest(daemon.database)
        (Path(__file__).parents[1] / TARGET).write_text(
            self.dump(daemon.database), encoding="utf-8"
        )

    async def live(self) -> None:
        """
        Let come to its end what can.
        """
        meta, page = self.stand_ins.meta, self.page.id
        self.write(ALICE, "Are you open on Sunday?")
        await self.said(ALICE)
        meta.postback(page, ALICE, "HOURS", "Opening hours")
        await self.said(ALICE, 2)
        self.write(CAROL, "I want a human")
        await self.said(CAROL)
        await deferLater(reactor, _GREETING)
        meta.human(page, CAROL, "Here I am")
        await self.until("SELECT 1 FROM conversation WHERE quiet_until > 0")
        self.write(CAROL, "Thank you, human")
        await self.until("SELECT 1 FROM event WHERE reason = 'human'")
        fault = llm.Fault(status=400, body=b"{}")
        self.stand_ins.model.faults = in_turn("completion", fault)
        self.write(ERIN, "What nobody will answer")
        await self.until("SELECT 1 FROM turn WHERE state = 'failed'")
        await self.settled()
        self.stand_ins.graph.faults = in_turn("message", rejection(551))
        self.write(FRANK, "Tell me at length")
        await self.until("SELECT 1 FROM part WHERE state = 'refused'")
        await self.settled()
        odd = {"sender": GRACE, "timestamp": "never", "message": {"mid": 5}}
        entry = {"id": page, "time": 1, "messaging": [odd]}
        body = json.dumps({"object": "page", "entry": [entry]}).encode()
        await meta.raw(page, body)

    async def work(self) -> None:
        """
        Let something be in each state in which there is something to do.
        """
        graph, model = self.stand_ins.graph, self.stand_ins.model
        graph.echoes = always("message", EchoFault(lost=True))
        graph.faults = in_turn("message", INTERNAL)
        self.write(DAVE, "Was that heard?")
        await self.until("SELECT 1 FROM part WHERE state = 'unknown'")
        graph.faults = in_turn("message", HANGING)
        self.write(HEIDI, "Tell me at length, Heidi")
        await self.until("SELECT 1 FROM part WHERE state = 'sending'")
        model.faults = always("completion", llm.Fault(delay=60.0))
        self.write(BOB, "Is it raining?")
        await self.until("SELECT 1 FROM turn WHERE state = 'generating'")
        self.write(BOB, "And tomorrow?")
        await self.until("SELECT 1 FROM event WHERE state = 'new'")

    def add_rest(self, path: Path) -> None:
        """
        Add what is lacking, by changes that the store takes for legal.
        """
        with closing(open_database(str(path))) as database:
            (now,) = database.execute("SELECT max(received) FROM event").fetchone()
            values = {"now": now, "page": self.page.id}
            for statement in _REST.split(";\n"):
                if statement.strip():
                    database.execute(statement, values)

    def dump(self, path: Path) -> str:
        """
        Put a store into SQL.
        """
        with closing(sqlite3.connect(path)) as database:
            marks = [
                f"PRAGMA {name} = {database.execute(f'PRAGMA {name}').fetchone()[0]};"
                for name in ("application_id", "user_version")
            ]
            lines = [
                line
                for line in database.iterdump()
                if "sqlite_stat" not in line and not line.startswith("ANALYZE")
            ]
        head = (
            "-- Made by tests/test_old_stores.py, of the daemon as it was then; see\n"
            "-- docs/contributing.md."
        )
        return "\n".join([head, *lines[:-1], *marks, lines[-1], ""])
