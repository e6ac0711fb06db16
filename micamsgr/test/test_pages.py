"""
Tests for :mod:`micamsgr.messenger.pages`.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import BotName, PageId
from micamsgr.errors import Refused, Unavailable
from micamsgr.messenger.pages import PageFinder
from micamsgr.testing import BOT, PAGE, memory_store

TOKEN = "EAAexamplepagetoken0123456789"


@define(eq=False)
class Graph:
    """
    A Graph API that says whose token it is when the test does.

    :ivar asked: questions without an answer, oldest first.
    """

    asked: list[Deferred[PageId]] = field(factory=list)

    async def page(self) -> PageId:
        question: Deferred[PageId] = Deferred()
        self.asked.append(question)
        try:
            return await question
        except CancelledError:
            # As HTTP does, which can't know how far it had got.
            raise Unavailable("canceled") from None


class PageFinderTests(SynchronousTestCase):
    """
    Tests for :class:`PageFinder`.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.graph = Graph()
        self.store = memory_store()
        self.events: list[LogEvent] = []
        hear: Any = self.events.append
        globalLogPublisher.addObserver(hear)
        self.addCleanup(globalLogPublisher.removeObserver, hear)

    def finder(
        self, page: PageId | None = None, token: str = TOKEN, bot: BotName = BOT
    ) -> PageFinder:
        """
        Start looking for a bot's Page.
        """
        graph: Any = self.graph
        finder = PageFinder(
            bot, self.clock, self.store, graph, token, lambda: 1.0, page
        )
        finder.startService()
        return finder

    def find(self) -> None:
        """
        Find a Page, by asking the Graph API.
        """
        finder = self.finder()
        self.graph.asked.pop().callback(PAGE)
        finder.stopService()

    def logged(self) -> list[tuple[str, str]]:
        """
        Take level and text of what was logged.
        """
        events, self.events[:] = list(self.events), []
        return [(it["log_level"].name, formatEvent(it)) for it in events]

    def test_configured(self) -> None:
        """
        A Page that the configuration names counts at once; the Graph API is
        asked once whether the token is of that Page.
        """
        finder = self.finder(PAGE)
        self.assertEqual(finder.page, PAGE)
        self.graph.asked.pop().callback(PAGE)
        self.assertEqual(finder.page, PAGE)
        self.assertFalse(finder.mistaken)
        self.assertEqual(self.logged(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_configured_otherwise(self) -> None:
        """
        If the token is of another Page than the configuration says, that
        counts nevertheless, and an error says what to check.
        """
        finder = self.finder(PageId("7"))
        self.graph.asked.pop().callback(PAGE)
        self.assertTrue(finder.mistaken)
        self.assertEqual(finder.page, "7")
        self.assertEqual(
            self.logged(),
            [
                (
                    "error",
                    f"the token of bot mica is of Page {PAGE}, not of 7: check"
                    " facebook.page_access_token and facebook.page_id",
                )
            ],
        )

    def test_configured_and_down(self) -> None:
        """
        A Page that is known stays so while the Graph API does not say, which
        is asked again.
        """
        finder = self.finder(PageId("7"))
        self.graph.asked.pop().errback(Unavailable("down"))
        [(level, text)] = self.logged()
        self.assertEqual(level, "error")
        self.assertEqual(
            text,
            "the Graph API does not say which Page bot mica speaks for: down;"
            " until it does, events of Page 7 are taken",
        )
        self.clock.advance(1.0)
        self.assertEqual((finder.page, len(self.graph.asked)), ("7", 1))

    def test_asked(self) -> None:
        """
        Otherwise the Graph API is asked; until it answers, nobody knows.
        """
        finder = self.finder()
        self.assertEqual(finder.page, None)
        self.graph.asked.pop().callback(PAGE)
        self.assertEqual(finder.page, PAGE)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_remembered(self) -> None:
        """
        What was found is remembered over a restart, and known before the Graph
        API says it again.
        """
        self.find()
        self.logged()
        finder = self.finder()
        self.assertEqual(finder.page, PAGE)
        self.graph.asked.pop().callback(PAGE)
        self.assertEqual(finder.page, PAGE)
        self.assertEqual(self.logged(), [])

    def test_remembered_otherwise(self) -> None:
        """
        If the Graph API names another Page than is remembered, it is believed,
        that is remembered from then on, and the operator is warned.
        """
        self.find()
        self.logged()
        finder = self.finder()
        self.graph.asked.pop().callback(PageId("7"))
        self.assertEqual(finder.page, "7")
        self.assertEqual(
            self.logged(),
            [("warn", f"bot mica speaks for Page 7, no longer for {PAGE}")],
        )
        self.assertEqual(self.finder().page, "7")

    def test_remembered_and_down(self) -> None:
        """
        What is remembered counts while the Graph API does not say.
        """
        self.find()
        finder = self.finder()
        self.graph.asked.pop().errback(Refused("code 190"))
        self.assertEqual(finder.page, PAGE)

    def test_other_token(self) -> None:
        """
        With another token, or for another bot, what is remembered does not
        count.
        """
        self.find()
        self.assertEqual(self.finder(token="another").page, None)
        self.assertEqual(self.finder(bot=BotName("another")).page, None)
        self.assertEqual(len(self.graph.asked), 2)

    def test_asked_again(self) -> None:
        """
        While the Graph API does not say, it is asked again, after waits that
        double from a second to five minutes.
        """
        finder = self.finder()
        for rest in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0):
            error = Refused("code 190") if rest == 4.0 else Unavailable("down")
            self.graph.asked.pop().errback(error)
            self.clock.advance(rest - 0.1)
            self.assertEqual(self.graph.asked, [], rest)
            self.clock.advance(0.2)
            self.assertEqual(len(self.graph.asked), 1, rest)
        self.graph.asked.pop().callback(PAGE)
        self.assertEqual(finder.page, PAGE)

    def test_asked_to_wait(self) -> None:
        """
        Where the Graph API names a time to wait, it is not asked before.
        """
        self.finder()
        self.graph.asked.pop().errback(Unavailable("too many calls", 60.0))
        self.clock.advance(59.9)
        self.assertEqual(self.graph.asked, [])
        self.clock.advance(0.2)
        self.assertEqual(len(self.graph.asked), 1)

    def test_store_fails(self) -> None:
        """
        If nothing can be remembered, the Graph API is asked, and what it says
        counts; that the disk is full is not taken for a defect.
        """
        self.store.database.failing = True
        finder = self.finder()
        self.graph.asked.pop().callback(PAGE)
        self.assertEqual(finder.page, PAGE)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_stopped_while_asking(self) -> None:
        """
        A stop ends the question, and asks no other.
        """
        finder = self.finder()
        finder.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.graph.asked), 1)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_stopped_while_waiting(self) -> None:
        """
        A stop ends the wait for the next question.
        """
        finder = self.finder()
        self.graph.asked.pop().errback(Unavailable("down"))
        finder.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.graph.asked, [])

    def test_defect(self) -> None:
        """
        A defect is logged, and stops nothing else.
        """
        finder = self.finder()
        self.graph.asked.pop().errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        finder.stopService()

    def test_private(self) -> None:
        """
        Neither the finder's repr nor the store shows the token.
        """
        self.find()
        rows = self.store.database.connection.execute("SELECT * FROM page").fetchall()
        self.assertEqual(len(rows), 1)
        self.assertNotIn(TOKEN, repr(rows) + repr(self.finder()))
