"""
Tests for forgetting a person while a daemon has the store.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher

from micamsgr.clock import Clocks
from micamsgr.composition import build
from micamsgr.config import load_config
from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.events import Mid, Psid, Unreadable
from micamsgr.conversation.moment import Tick
from micamsgr.conversation.outcomes import Sent
from micamsgr.conversation.parts import Kind
from micamsgr.errors import StoreUnavailable
from micamsgr.store.deletions import Deletions
from micamsgr.store.erasure import Person, pending
from micamsgr.store.forget_command import run
from micamsgr.store.forgetting import Forgetting
from micamsgr.store.requests import Requests
from micamsgr.store.retention import Ages
from micamsgr.store.sweeping import Sweeping
from micamsgr.test.test_forgetting import WORDS, ForgetCase, request
from micamsgr.test.test_store_record import moment
from micamsgr.test.test_tap import DaemonCase
from micamsgr.testing import ALICE, BOB, NOW, PAGE


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
        self.assertIn("has not got on with this for 120 s", line)
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

    def fill(self, count: int) -> None:
        """
        Put ended events of nobody's into the store.
        """
        self.database.executemany(
            "INSERT INTO event (key, bot, page, kind, at, received, text, state)"
            " VALUES (randomblob(16), 'mica', '1', 'message', ?, ?, 'old', 'ignored')",
            [(NOW, NOW)] * count,
        )

    def test_few_steps(self) -> None:
        """
        Of many who wrote, one is found in few steps, and what is theirs is
        gone, wherever it stands.
        """
        self.fill(12_000)
        raw = json.dumps({"sender": {"id": ALICE}, "odd": WORDS}).encode()
        unreadable = Unreadable(key=b"k" * 16, page=PAGE, at=NOW, raw=raw, why="odd")
        self.record(unreadable)
        self.say(f"{WORDS} again")
        self.daemon()
        self.memory.stepped = True
        Requests(self.path).leave(request(ALICE))
        steps = 0
        for _ in range(400):
            self.clock.advance(0.1)
            steps += self.memory.step()
        self.assertLess(steps, 25)
        self.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.assertGone(WORDS, ALICE)

    def test_many_words(self) -> None:
        """
        Who wrote more than is erased in one step is forgotten as a whole; so is
        what nobody could read, however much of it names them.
        """
        for number in range(600):
            self.say(f"{WORDS} {number}")
            raw = f"{WORDS} {number} to {ALICE}".encode()
            key = number.to_bytes(16, "big")
            self.record(Unreadable(key=key, page=PAGE, at=NOW, raw=raw, why="odd"))
        self.daemon()
        self.assertEqual(self.ask()[0], 0)
        self.assertGone(WORDS, ALICE)
        left = self.database.execute("SELECT mid FROM event WHERE mid IS NOT NULL")
        self.assertEqual(len(left.fetchall()), 1)

    def test_first(self) -> None:
        """
        Their name, and what is open of theirs, goes before anything is
        searched, and before what is left of somebody else.
        """
        self.fill(6000)
        self.database.execute(
            "INSERT INTO progress (task, value) VALUES ('erased.event:2', 0)"
        )
        self.memory.stepped = True
        Requests(self.path).leave(request(ALICE))
        self.daemon()
        self.clock.advance(1.0)
        self.memory.step()
        self.assertEqual(
            self.database.execute(
                "SELECT count(*) FROM conversation WHERE psid = ?", (ALICE,)
            ).fetchone(),
            (0,),
        )
        self.assertEqual(self.store.events()[0], ("dead", "erased"))
        while any(not task.endswith(":2") for task in pending(self.database)):
            self.assertIn("erased.event:2", pending(self.database))
            self.clock.advance(0.1)
            self.memory.step()
        self.memory.stepped = False
        self.memory.step()
        self.clock.pump([0.1] * 50)
        self.assertEqual(pending(self.database), [])

    def test_patience(self) -> None:
        """
        The command waits for as long as the daemon gets on, however slowly.
        """
        self.fill(6000)
        self.daemon()
        self.memory.stepped = True
        waited = 0.0

        def sleep(seconds: float) -> None:
            nonlocal waited
            waited += seconds
            self.clock.advance(seconds)
            if round(waited, 1) % 100 == 0:
                self.memory.step()

        status, line = run(self.path, Person(psid=ALICE), sleep)
        self.assertEqual(status, 0, line)
        self.assertGreater(waited, 500)

    def test_sweep_waits(self) -> None:
        """
        While somebody is being forgotten nothing is erased for its age; then it
        goes on.
        """
        service = self.daemon()
        self.fill(3)
        ages = Ages(texts=-1.0, raw=-1.0, ledger=9e9)
        sweeping = Sweeping(
            self.clock,
            moment,
            self.memory.transact,
            self.alone,
            lambda: ages,
            held=lambda: service.busy,
        )
        self.memory.stepped = True
        Requests(self.path).leave(request(ALICE))
        self.clock.advance(1.0)
        self.assertTrue(service.busy)
        sweeping.startService()
        self.addCleanup(sweeping.stopService)
        self.clock.pump([1.0] * 70)
        self.assertEqual(len(self.memory._waiting), 1)
        self.memory.stepped = False
        self.memory.step()
        self.clock.pump([0.1] * 100)
        self.assertFalse(service.busy)
        left = self.database.execute("SELECT 1 FROM event WHERE text = 'old'")
        self.assertEqual(left.fetchall(), [])

    def test_others_directory(self) -> None:
        """
        Neither the command nor the daemon uses a directory for requests that
        others could write to, or a link to one: both say so, the daemon once.
        """
        directory = Requests(self.path).directory
        elsewhere = directory.with_name(f"{directory.name}.elsewhere")
        elsewhere.mkdir(mode=0o700)
        Requests(self.path).leave(request(ALICE))
        (found,) = directory.iterdir()
        (elsewhere / found.name).write_bytes(found.read_bytes())

        def link() -> None:
            found.unlink()
            directory.rmdir()
            directory.symlink_to(elsewhere)

        for make, why in (
            (lambda: directory.chmod(0o770), "others may write into it"),
            (lambda: directory.chmod(0o703), "others may write into it"),
            (link, "it is a link, or no directory"),
        ):
            make()
            events = EventLoggingObserver()
            globalLogPublisher.addObserver(events)
            self.addCleanup(globalLogPublisher.removeObserver, events)
            service = self.daemon()
            self.clock.pump([0.1] * 50)
            status, line = self.ask()
            self.assertEqual(status, 1)
            self.assertIn(f"in {directory}: {why}; see what it is", line)
            self.assertIn(WORDS.encode(), self.bytes())
            told = [
                event["detail"]
                for event in events
                if "nobody is forgotten" in (event.get("log_format") or "")
            ]
            self.assertEqual(told, [line])
            service.stopService()

    def test_somebody_elses(self) -> None:
        """
        Nor one that is somebody else's, who is not root.
        """
        Requests(self.path).leave(request(ALICE))
        directory = Requests(self.path).directory
        self.patch(os, "geteuid", lambda: os.getuid() + 1)
        real = os.fstat

        def fstat(descriptor: int) -> os.stat_result:
            fields = list(real(descriptor))
            fields[4] = os.getuid() + 2
            return os.stat_result(fields)

        self.patch(os, "fstat", fstat)
        self.daemon()
        self.clock.pump([0.1] * 50)
        self.assertIn(WORDS.encode(), self.bytes())
        with self.assertRaises(StoreUnavailable) as caught:
            Requests(self.path).leave(request(ALICE))
        self.assertIn("it is somebody else's", caught.exception.detail)
        self.assertEqual(len(list(directory.iterdir())), 1)

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


class WholeDaemonTests(DaemonCase):
    """
    Tests for how the daemon is put together.
    """

    def test_goes_first(self) -> None:
        """
        In the daemon, too, what is erased for its age waits while somebody is
        being forgotten.
        """
        config = load_config(self.write(), {})
        services = build(self.reactor, config, Clocks("first boot"))
        (forgetting,) = (each for each in services if isinstance(each, Forgetting))
        (sweeping,) = (each for each in services if isinstance(each, Sweeping))
        self.assertFalse(sweeping._held())
        forgetting._busy = True
        self.assertTrue(sweeping._held())
