"""
Tests for what is counted and shown of conversations.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from prometheus_client import generate_latest
from twisted.logger import LogPublisher

from micamsgr.conversation.events import Other, Unreadable
from micamsgr.conversation.outcomes import InDoubt, NeverSent, NotSent
from micamsgr.conversation.policy import Limits
from micamsgr.errors import Refused
from micamsgr.test.conversation_case import ConversationTestCase
from micamsgr.test.test_metrics import MetricsCase, value
from micamsgr.testing import ALICE, BOB, BOT, NOW, PAGE
from micamsgr.watching import Watching


class ConversationTests(MetricsCase, ConversationTestCase):
    """
    Tests for what is counted of conversations.
    """

    def setUp(self) -> None:
        super().setUp()
        self.metrics = self.listen()
        self.watching = self.watch(None)

    def watch(self, bots: Collection[str] | None) -> Watching:
        """
        Begin to look.
        """
        database = self.store.database
        watching = Watching(
            self.clock,
            lambda: self.clocks.now(),
            self.metrics,
            database.transact,
            database.transact,
            "/nowhere/mica.db",
            lambda: {BOT: 100},
            LogPublisher(),
            bots=lambda: bots,
        )
        watching.startService()
        self.addCleanup(watching.stopService)
        return watching

    def value(self, name: str, **labels: str) -> float:
        """
        Read a sample, after the next look.
        """
        self.wait(15)
        return value(self.metrics, name, **labels)

    def test_answered(self) -> None:
        """
        An answer moves what is counted of event, turn, part and send, and how
        long it took.
        """
        self.say()
        self.wait(3)
        self.assistant.answer()
        self.messenger.settle()
        self.assertEqual(
            self.value("mica_events_total", type="message", outcome="new"), 1
        )
        for name, state in (
            ("event", "new"),
            ("event", "in_turn"),
            ("event", "done"),
            ("turn", "ready"),
            ("turn", "generating"),
            ("turn", "composed"),
            ("turn", "closed"),
            ("part", "composed"),
            ("part", "sending"),
            ("part", "sent"),
        ):
            self.assertEqual(self.value(f"mica_{name}_states_total", state=state), 1)
        self.assertEqual(self.value("mica_send_total", outcome="sent"), 1)
        self.assertEqual(self.value("mica_turn_seconds_sum"), 3)
        self.assertEqual(self.value("mica_turn_seconds_count"), 1)

    def test_open(self) -> None:
        """
        What is open is shown by its state, and since when the oldest waits.
        """
        self.say()
        self.say("hi", BOB)
        self.assistant.answer()
        self.wait(14)
        self.assertEqual(self.value("mica_queue_depth", state="in_turn"), 1)
        self.assertEqual(self.value("mica_turns", state="generating"), 1)
        self.assertEqual(self.value("mica_turns", state="composed"), 1)
        self.assertEqual(self.value("mica_parts", state="sending"), 1)
        self.assertGreater(self.value("mica_queue_oldest_age_seconds"), 70)
        self.assistant.answer()
        self.messenger.settle_all()
        self.assertEqual(self.value("mica_queue_depth", state="in_turn"), 0)
        self.assertEqual(self.value("mica_queue_oldest_age_seconds"), 0)

    def test_unsent(self) -> None:
        """
        Somebody waits also where the answer is made and can't be sent, as while
        the Graph API is not reached.
        """
        self.say()
        self.assistant.answer()
        for _ in range(6):
            self.messenger.settle(NotSent(detail="refused", rest=20.0))
            self.wait(20)
        self.assertEqual(self.value("mica_queue_depth", state="in_turn"), 0)
        self.assertGreater(self.watching.oldest or 0.0, 100.0)
        self.messenger.settle()
        self.wait(15)
        self.assertEqual(self.watching.oldest, 0.0)

    def test_oldest(self) -> None:
        """
        How long somebody waits goes on between two looks, and is not known
        where nothing was seen for a minute.
        """
        self.wait(15)
        self.assertEqual(self.watching.oldest, 0.0)
        waited = 0.0
        self.say()
        self.wait(15)
        waited = self.watching.oldest or 0.0
        self.wait(14)
        self.assertEqual(self.watching.oldest, waited + 14.0)
        self.watching.stopService()
        self.wait(60)
        self.assertIsNone(self.watching.oldest)

    def test_left_behind(self) -> None:
        """
        Nobody waits for the answers of a bot that was taken away.
        """
        self.watching.stopService()
        for bots, waits in (((), False), (("other", BOT), True), (("other",), False)):
            self.say()
            watching = self.watch(bots)
            self.wait(15)
            self.assertEqual((watching.oldest or 0.0) > 0.0, waits, bots)
            oldest = value(self.metrics, "mica_queue_oldest_age_seconds")
            self.assertEqual(oldest > 0.0, waits, bots)
            watching.stopService()

    def test_sends(self) -> None:
        """
        Each kind of end of an attempt is counted, and what is in doubt shown,
        as are the look-ups.
        """
        for name, outcome in (
            ("not_sent", NotSent(detail="busy", rest=1.0)),
            ("refused", NeverSent("person", "gone")),
            ("unknown", InDoubt("timeout")),
        ):
            self.say()
            self.assistant.answer()
            self.messenger.settle(outcome)
            self.wait(2)
            self.messenger.settle_all()
            self.assertEqual(self.value("mica_send_total", outcome=name), 1)
        self.assertEqual(value(self.metrics, "mica_send_unknown"), 1)
        self.assertEqual(self.value("mica_part_states_total", state="refused"), 1)
        self.wait(30)
        self.assertEqual(self.value("mica_lookups_total", evidence="absent"), 2)

    def test_dead(self) -> None:
        """
        What is given up is counted by its reason, but not in the words of an
        LLM's server.
        """
        self.say()
        self.assistant.fail(Refused("HTTP 400: Alice said"))
        self.receive(
            Unreadable(key=b"k" * 16, page=PAGE, at=NOW, raw=b"{", why="odd"),
            Other(key=b"l" * 16, page=PAGE, at=NOW, kind="read", psid=ALICE),
        )
        self.assertEqual(self.value("mica_dead_letters_total", reason="assistant"), 1)
        self.assertEqual(self.value("mica_dead_letters_total", reason="unreadable"), 1)
        self.assertEqual(
            self.value("mica_events_total", type="read", outcome="ignored"), 1
        )
        self.assertEqual(self.value("mica_turn_states_total", state="failed"), 1)
        self.assertNotIn("Alice", generate_latest(self.metrics.registry).decode())

    def test_money(self) -> None:
        """
        What is spent of the day's tokens is shown, and a limit that is reached
        is counted.
        """
        self.restart(limits=Limits(person_turns_per_day=1, bot_tokens_per_day=100))
        self.say()
        self.assistant.answer(tokens=25)
        self.messenger.settle()
        self.say()
        self.assertEqual(self.value("mica_budget_spent_ratio", bot="mica"), 0.25)
        self.assertEqual(
            self.value("mica_limits_reached_total", limit="person.turns_per_day"), 1
        )

    def test_rolled_back(self) -> None:
        """
        What was not kept is not counted.
        """
        transact = self.store.database.transact

        def fails(database: Any) -> None:
            database.execute(
                "INSERT INTO event (key, bot, page, kind, at, received, state)"
                " VALUES (x'00', 'mica', '1', 'message', 0, 0, 'new')"
            )
            raise KeyError

        self.failureResultOf(transact(fails), KeyError)
        self.assertEqual(self.value("mica_event_states_total", state="new"), 0)

    def test_store_fails(self) -> None:
        """
        While the store fails the last figures stay, and they come again.
        """
        self.say()
        self.assertEqual(self.value("mica_queue_depth", state="in_turn"), 1)
        self.store.database.failing = True
        self.assertEqual(self.value("mica_queue_depth", state="in_turn"), 1)
        self.store.database.failing = False
        self.assistant.answer()
        self.assertEqual(self.value("mica_queue_depth", state="in_turn"), 0)

    def test_lag(self) -> None:
        """
        How late the reactor is, is measured once in a second.
        """
        self.clock.advance(1)
        self.clock.advance(1.3)
        self.assertAlmostEqual(value(self.metrics, "mica_reactor_lag_seconds_sum"), 0.3)
        self.assertEqual(value(self.metrics, "mica_reactor_lag_seconds_count"), 2)

    def test_stop(self) -> None:
        """
        A stop leaves no timer behind.
        """
        self.successResultOf(self.dispatcher.stopService())
        self.watching.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_disk(self) -> None:
        """
        The size of the log and the free space are shown.
        """
        path = self.mktemp()
        with open(f"{path}-wal", "wb") as log:  # noqa: PTH123
            log.write(b"x" * 123)
        evolve_path: Any = self.watching
        evolve_path._path = path
        self.assertEqual(self.value("mica_sqlite_wal_bytes"), 123)
        self.assertGreater(self.value("mica_store_free_bytes"), 0)
