"""
Tests for :mod:`micamsgr.messenger.subscriptions`.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.errors import Refused, Unavailable
from micamsgr.messenger.subscriptions import (
    NEEDED,
    State,
    Subscription,
    Subscriptions,
    ours,
    read_subscriptions,
    unclear,
    wanted,
)
from micamsgr.testing import BOT, PAGE

from .repair_case import APP, DENIED, RepairCase
from .test_graph import answer

ALL = Subscription(APP, NEEDED)


class ReadTests(SynchronousTestCase):
    """
    Tests for :func:`read_subscriptions`.
    """

    def test_shapes(self) -> None:
        """
        Each app is listed with what it is told of, where that is said.
        """
        for fields, read in (
            (["messages", "feed"], ("messages", "feed")),
            ([{"name": "messages", "version": "v25.0"}], ("messages",)),
            ([], ()),
            (None, None),
            (["messages", 7, None, ""], ("messages",)),
        ):
            app = {"id": APP, "name": "Mica", "link": "x", "subscribed_fields": fields}
            told = read_subscriptions(answer(200, {"data": [app]}))
            self.assertEqual(told, (Subscription(APP, read),), fields)
        self.assertEqual(read_subscriptions(answer(200, {"data": []})), ())

    def test_trouble(self) -> None:
        """
        An answer without a list is no list that is empty.
        """
        for status, document, error in (
            (200, {}, Unavailable),
            (200, {"data": None}, Unavailable),
            (500, {"data": []}, Unavailable),
            (*DENIED, Refused),
        ):
            with self.assertRaises(error):
                read_subscriptions(answer(status, document))


class DecisionTests(SynchronousTestCase):
    """
    Tests for :func:`ours` and :func:`wanted`.
    """

    def test_ours(self) -> None:
        """
        Ours is the app with our ID; where we don't know it, the only one.
        """
        some = Subscription("8", ("messages", "feed", "mention", "leadgen"))
        self.assertEqual(ours((some, ALL), "8"), some)
        self.assertEqual(ours((some, ALL), "9"), None)
        self.assertEqual(ours((ALL,), None), ALL)
        self.assertEqual(ours((), None), None)

    def test_unclear(self) -> None:
        """
        Of several apps nobody knows which is ours without our ID, however much
        any is told; nor whose one is that shows no ID; nor to what an app is
        subscribed where that is not said.
        """
        other, silent = Subscription("8", ()), Subscription(APP, None)
        nameless = Subscription("", NEEDED)
        for there, app, is_unclear in (
            ((), None, False),
            ((), APP, False),
            ((ALL,), None, False),
            ((ALL,), APP, False),
            ((ALL,), "9", False),
            ((ALL, other), APP, False),
            ((ALL, other), "9", False),
            ((ALL, other), None, True),
            ((ALL, nameless), APP, False),
            ((nameless,), APP, True),
            ((nameless,), None, False),
            ((silent,), APP, True),
            ((silent,), None, True),
            ((other, silent), "8", False),
        ):
            told = unclear(there, app)
            self.assertEqual(told is not None, is_unclear, (there, app))

    def test_wanted(self) -> None:
        """
        What is there stays, and what is missing is added; where nothing is,
        nothing is wanted.
        """
        for there, want in (
            (None, NEEDED),
            (ALL, None),
            (Subscription(APP, (*NEEDED, "standby")), None),
            (Subscription(APP, None), None),
            (Subscription(APP, ()), NEEDED),
            (
                Subscription(APP, ("standby", "messages", "messaging_handovers")),
                (
                    "standby",
                    "messages",
                    "messaging_handovers",
                    "messaging_postbacks",
                    "message_echoes",
                ),
            ),
        ):
            self.assertEqual(wanted(there), want, there)


class CheckTests(RepairCase):
    """
    Tests for :class:`Subscriptions`.
    """

    def check(self) -> State:
        """
        Look at the subscription once.
        """
        state: State = self.successResultOf(self.subscriptions.check(PAGE))
        return state

    def setUp(self) -> None:
        super().setUp()
        self.found: list[bool] = []
        self.subscriptions = Subscriptions(
            BOT, self.graph(), APP, True, self.found.append
        )

    def test_intact(self) -> None:
        """
        Where all is well one question is asked, and nothing said.
        """
        self.assertEqual(self.check(), State.INTACT)
        self.assertEqual(self.meta.edges(), ["GET subscribed_apps"])
        self.assertEqual(self.events, [])
        self.assertEqual(self.found, [True])

    def test_mended(self) -> None:
        """
        What is missing is subscribed to, beside what is there, and the log
        warns of it.
        """
        self.meta.fields = ["standby", "messages"]
        self.assertEqual(self.check(), State.MENDED)
        self.assertEqual(self.meta.fields, ["standby", "messages", *NEEDED[1:]])
        self.assertEqual(
            self.logged("warn"),
            [
                "bot mica was not told of all that it needs on Page"
                f" {PAGE}: only of standby, messages; it is subscribed again, to"
                " standby, messages, messaging_postbacks, message_echoes"
            ],
        )
        self.assertEqual(self.check(), State.INTACT)

    def test_only_told(self) -> None:
        """
        With subscriptions.repair off it is told, each time, and left as it is.
        """
        self.subscriptions = Subscriptions(
            BOT, self.graph(), APP, False, self.found.append
        )
        self.meta.fields = None
        for _ in range(2):
            self.assertEqual(self.check(), State.BROKEN)
            [told] = self.logged("warn")
            self.assertIn("only of nothing", told)
        self.assertEqual(self.meta.fields, None)
        self.assertEqual(self.found, [False, False])

    def test_denied(self) -> None:
        """
        Where a permission is missing, the log says once what to do, until that
        has changed.
        """
        for _ in range(2):
            self.meta.trouble["subscribed_apps"] = DENIED
            self.assertEqual(self.check(), State.UNKNOWN)
            [told] = self.logged("error")
            self.assertIn("pages_manage_metadata", told)
            self.assertEqual(self.check(), State.UNKNOWN)
            self.assertEqual(self.logged("error"), [])
            self.meta.trouble.clear()
            self.check()

    def test_unclear(self) -> None:
        """
        Where it is not clear to what our app is subscribed nothing is changed,
        and nothing taken for well; the log says so once, until that has
        changed.
        """
        app = {"id": APP, "name": "Mica"}
        other = {"id": "8", "name": "Other", "subscribed_fields": list(NEEDED)}
        for mine, listed, word in (
            (APP, [app], "subscribed_fields"),
            (None, [app | other, app | {"subscribed_fields": []}], "facebook.app_id"),
            (None, [app], "subscribed_fields"),
        ):
            self.meta.fields = [*NEEDED[1:]]
            self.subscriptions = Subscriptions(
                BOT, self.graph(), mine, word == "facebook.app_id", self.found.append
            )
            for _ in range(2):
                self.meta.trouble["subscribed_apps"] = (200, {"data": listed})
                self.assertEqual(self.check(), State.UNKNOWN)
                [told] = self.logged("warn")
                self.assertIn(word, told)
                self.assertEqual(self.check(), State.UNKNOWN)
                self.assertEqual(self.logged("warn"), [])
                self.assertEqual(set(self.meta.edges()), {"GET subscribed_apps"})
                self.assertEqual(self.found, [])
                self.meta.trouble.clear()
                self.assertNotEqual(self.check(), State.UNKNOWN)
                self.found.clear()
                self.events.clear()
                self.meta.edges()

    def test_lacks(self) -> None:
        """
        That something was missing is told before that is changed, also where
        it is only told, and not where all is well or nothing clear.
        """
        seen: list[list[str] | None] = []

        async def lacks() -> None:
            seen.append(self.meta.fields)

        for repairs in (True, False):
            self.subscriptions = Subscriptions(BOT, self.graph(), APP, repairs)
            self.meta.fields = ["messages"]
            self.successResultOf(self.subscriptions.check(PAGE, lacks))
            self.assertEqual(seen, [["messages"]])
            self.meta.fields = list(NEEDED)
            self.successResultOf(self.subscriptions.check(PAGE, lacks))
            self.meta.trouble["subscribed_apps"] = (200, {"data": [{"id": APP}]})
            self.successResultOf(self.subscriptions.check(PAGE, lacks))
            self.meta.trouble.clear()
            self.assertEqual(len(seen), 1)
            seen.clear()

    def test_no_success(self) -> None:
        """
        It is not said to be mended if the Graph API doesn't say so.
        """
        self.meta.fields = None
        self.meta.trouble["subscribed_apps"] = (200, {"data": [], "success": False})
        self.failureResultOf(self.subscriptions.check(PAGE), Unavailable)
        self.assertEqual(self.logged("warn"), [])
