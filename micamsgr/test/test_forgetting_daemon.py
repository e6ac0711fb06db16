"""
Tests for forgetting a person while a daemon has the store.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.events import Mid, Psid
from micamsgr.conversation.moment import Tick
from micamsgr.conversation.outcomes import Sent
from micamsgr.conversation.parts import Kind
from micamsgr.store.deletions import Deletions
from micamsgr.store.erasure import Person
from micamsgr.store.forgetting import Forgetting, run
from micamsgr.store.requests import Requests
from micamsgr.test.test_forgetting import WORDS, ForgetCase, request
from micamsgr.test.test_store_record import moment
from micamsgr.testing import ALICE, BOB


class RunningTests(ForgetCase):
    """
    Tests for the command while a daemon has the store.
    """

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.say(WORDS)
        self.say("Bob's words", BOB)

    def alone(self, work: Any) -> Deferred[Any]:
        return self.memory.alone(work)

    def daemon(self) -> Forgetting:
        """
        Start what does it in the daemon.
        """
        transact = self.memory.transact
        service = Forgetting(
            self.clock,
            moment,
            transact,
            self.alone,
            Requests(self.path),
            Deletions(transact, transact),
        )
        service.startService()
        self.addCleanup(service.stopService)
        return service

    def ask(self) -> tuple[int, str]:
        """
        Run the command, with the daemon's time passing while it waits.
        """

        def sleep(seconds: float) -> None:
            self.clock.pump([seconds / 20] * 20)

        return run(self.path, Person(psid=ALICE), sleep)

    def test_gone(self) -> None:
        """
        The daemon does it, and the command says so.
        """
        self.daemon()
        status, line = self.ask()
        self.assertEqual(
            (status, line.split(";")[0]), (0, "forgotten: 1 conversations, 1 rows")
        )
        self.assertGone(WORDS, ALICE)
        self.assertIn(BOB.encode(), self.bytes())
        self.assertFalse(Requests(self.path).directory.exists())

    def test_in_memory(self) -> None:
        """
        What the daemon was doing for that person comes to nothing.
        """
        begun = self.begin(1)
        self.daemon()
        self.ask()
        part = lifecycle.compose(
            begun.turn.id, Kind.ANSWER, 1, "too late", moment(), bytes(10)
        )
        situation = self.now(
            self.store.compose(begun.turn, "too late", [part], 7, moment())
        )
        self.assertEqual((situation.turn, situation.parts), (None, ()))
        parked = self.now(self.store.park(begun.turn, Tick(1.0, "boot"), "why", 7))
        self.assertEqual((parked.turn, parked.waiting), (None, None))
        self.assertGone("too late", ALICE)

    def test_slow(self) -> None:
        """
        Where the daemon doesn't answer, the request lies there for it, and is
        done at its next start.
        """
        status, line = self.ask()
        self.assertEqual(status, 1)
        self.assertIn("has not answered", line)
        self.daemon()
        self.clock.pump([0.1] * 30)
        self.assertGone(WORDS, ALICE)

    def test_killed(self) -> None:
        """
        What a killed daemon had begun is finished at the next start, without
        the person's name.
        """
        self.answer("to Bob", Sent(Mid("m_1")))
        self.say("more of Bob's words", BOB)
        service = self.daemon()
        self.memory.stepped = True
        name = Requests(self.path).leave(request(BOB))
        while BOB.encode() in b"".join(
            r[0].encode()
            for r in self.database.execute("SELECT psid FROM conversation")
        ):
            self.clock.advance(0.5)
            self.memory.step()
        service.stopService()
        (Requests(self.path).directory / f"{name}.request").unlink()
        self.memory.stepped = False
        while self.memory.step():
            pass
        self.daemon()
        self.clock.pump([0.1] * 60)
        self.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.assertGone("Bob's words", "to Bob", BOB)

    def test_not_ours(self) -> None:
        """
        What somebody else put there, or what is no request, is not done.
        """
        requests = Requests(self.path)
        self.daemon()
        for content in (
            {"psid": 1},
            {},
            request(Psid("")),
            {"psid": ALICE, "page": 1, "bot": None},
            {"psid": ALICE, "page": "\udcff", "bot": None},
        ):
            name = requests.leave(content)
            self.clock.pump([0.1] * 20)
            self.assertIn("failed", requests.answered(name) or {})
        target = Path(self.path).with_name(f"{Path(self.path).name}.elsewhere")
        target.write_text(json.dumps(request(ALICE)))
        requests.directory.mkdir(exist_ok=True)
        (requests.directory / "x.request").symlink_to(target)
        (requests.directory / "y.request").write_text("no JSON")
        self.clock.pump([0.1] * 30)
        self.assertIn(WORDS.encode(), self.bytes())

    def test_store_fails(self) -> None:
        """
        Where the store fails it is tried again.
        """
        self.daemon()
        self.memory.failing = True
        Requests(self.path).leave(request(ALICE))
        self.clock.pump([0.5] * 6)
        self.memory.failing = False
        self.clock.pump([0.1] * 40)
        self.assertGone(WORDS)
