"""
Tests for how everything is asked at once, in :mod:`micamsgr.check.inquiry`,
and for what looks at a store.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.check.findings import Finding
from micamsgr.check.inquiry import Inquiry
from micamsgr.check.troubles import QUESTIONS
from micamsgr.config import Config, parse_config
from micamsgr.conversation.events import BotName
from micamsgr.httpcall import HTTPCaller
from micamsgr.store.database import open_database
from micamsgr.store.lock import lock
from micamsgr.store.look import NEWEST, is_taken, look

from .test_config import FILLED


class Threads(Clock):
    """
    A clock, and calls from threads that a test lets through.
    """

    def callFromThread(  # noqa: N802
        self, call: Callable[..., Any], *arguments: Any
    ) -> None:
        """Forget the call: the thread's answer never comes."""


class InquiryTests(SynchronousTestCase):
    """
    Tests for the whole of it.
    """

    def setUp(self) -> None:
        self.clock = Threads()
        self.calls: list[Deferred[Any]] = []
        directory = Path(self.mktemp())
        directory.mkdir()
        self.config = parse_config(
            f"{FILLED}listen: 'unix:{directory.absolute()}/mica.sock'\n",
            directory=directory,
            environ={},
        )

    def request(self, method: str, url: str, **more: Any) -> Deferred[Any]:
        """
        Begin a call that is never answered.
        """
        self.calls.append(Deferred())
        return self.calls[-1]

    def ask(self, config: Config) -> list[Finding]:
        """
        Ask, with nobody who ever answers.
        """
        caller = HTTPCaller(self.clock, self.request)
        path = Path("/nowhere/mica.yaml")
        inquiry = Inquiry(self.clock, caller, path, config, {}, lambda: 1.8e9)
        asking = Deferred.fromCoroutine(inquiry.ask())
        for _ in range(30):
            self.assertNoResult(asking)
            self.clock.advance(1.0)
            if asking.called:
                break
        return self.successResultOf(asking)

    def test_silence(self) -> None:
        """
        Where nothing is ever answered, not even by the disk, every question is
        answered within half a minute, and no timer is left.
        """
        found = self.ask(evolve(self.config, public_url="https://bot.example"))
        self.assertEqual(list(dict.fromkeys(it.question for it in found)), [*QUESTIONS])
        names = {it.question: it.name for it in found}
        self.assertEqual(names["store"], "store.unanswered")
        self.assertEqual(names["mode"], "mode.unanswered")
        self.assertEqual(names["graph"], "graph.unreachable")
        self.assertEqual(names["webhook"], "webhook.unreachable")
        self.assertEqual(names["llm"], "llm.unreachable")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_defect(self) -> None:
        """
        A defect in one question is told as such, without what was in it, and
        the others are answered.
        """

        def broken(method: str, url: str, **more: Any) -> Deferred[Any]:
            raise RuntimeError("EAAB1")

        self.request = broken  # type: ignore[method-assign]
        found = self.ask(self.config)
        lines = {it.question: it for it in found}
        self.assertEqual(lines["token"].name, "token.unanswered")
        self.assertEqual(lines["token"].line, "RuntimeError")
        self.assertEqual(lines["secrets"].name, "")
        self.assertEqual(list(dict.fromkeys(it.question for it in found)), [*QUESTIONS])

    def test_turns(self) -> None:
        """
        No more than eight bots are asked about at once.
        """
        (bot,) = self.config.bots
        bots = tuple(evolve(bot, name=BotName(f"bot{n}")) for n in range(9))
        asked: list[str] = []
        caller = HTTPCaller(self.clock, self.request)

        class Counting(Inquiry):
            def _ask_bot(self, bot: Any, looking: Any) -> Deferred[list[Finding]]:
                asked.append(bot.name)
                return Deferred()

        inquiry = Counting(
            self.clock,
            caller,
            Path("/nowhere/mica.yaml"),
            evolve(self.config, bots=bots),
            {},
            lambda: 1.8e9,
        )
        Deferred.fromCoroutine(inquiry.ask())
        self.assertEqual(len(asked), 8)

    def test_order(self) -> None:
        """
        Findings come in the order of the questions, and within one in that of
        the bots.
        """
        (bot,) = self.config.bots
        bots = (bot, evolve(bot, name=BotName("mick")))
        found = self.ask(evolve(self.config, bots=bots))
        order = [list(QUESTIONS).index(it.question) for it in found]
        self.assertEqual(order, sorted(order))
        about = [it.about for it in found if it.question == "llm"]
        self.assertEqual(about, ["mica", "mick"])


class LookTests(SynchronousTestCase):
    """
    Tests for looking at a store.
    """

    def setUp(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        self.path = directory / "mica.db"

    def test_none(self) -> None:
        """
        Where there is no store yet none is made, and nothing is left behind.
        """
        seen = look(self.path)
        self.assertEqual((seen.version, seen.mode, seen.problem), (0, None, ""))
        self.assertEqual(seen.unwritable, "")
        self.assertIsNotNone(seen.sync)
        self.assertEqual(list(self.path.parent.iterdir()), [])

    def test_store(self) -> None:
        """
        Version, mode and the people of each bot are seen.
        """
        database = open_database(str(self.path))
        for bot, psid in (("mica", "1"), ("mica", "2"), ("mick", "1")):
            database.execute(
                "INSERT INTO conversation (bot, page, psid, opened, heard)"
                " VALUES (?, '9', ?, 0, 0)",
                (bot, psid),
            )
        database.close()
        self.path.chmod(0o644)
        seen = look(self.path)
        self.assertEqual((seen.version, seen.mode), (NEWEST, 0o644))
        self.assertEqual(seen.people, {"mica": 2, "mick": 1})
        self.assertFalse(seen.taken)

    def test_newer(self) -> None:
        """
        A newer program's store is refused, and not changed; so also while that
        program has it.
        """
        database = open_database(str(self.path))
        database.execute(f"PRAGMA user_version = {NEWEST + 1}")
        database.close()
        before = self.path.read_bytes()
        self.assertIn("newer", look(self.path).problem)
        held = lock(str(self.path))
        self.addCleanup(held.release)
        self.assertIn("newer", look(self.path).problem)
        self.assertEqual(self.path.read_bytes(), before)

    def test_taken(self) -> None:
        """
        A store that a daemon has is seen to be its, and stays so; others may
        look at the same time.
        """
        open_database(str(self.path)).close()
        self.assertFalse(is_taken(self.path))
        held = lock(str(self.path))
        self.addCleanup(held.release)
        self.assertTrue(look(self.path).taken)
        self.assertTrue(look(self.path).taken)
        held.release()
        descriptor = os.open(f"{self.path}.lock", os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        self.assertFalse(is_taken(self.path))

    def test_unwritable(self) -> None:
        """
        Where nothing can be written, the directory is named.
        """
        seen = look(Path("/proc/mica.db"))
        self.assertIn("/proc", seen.unwritable)
        self.assertIsNone(seen.sync)
