"""
Tests for :mod:`micamsgr.messenger.token_watch`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.clock import Clocks
from micamsgr.errors import OutcomeUnknown, Unavailable
from micamsgr.httpcall import Answer
from micamsgr.messenger.calling import GraphCalls
from micamsgr.messenger.graph import appsecret_proof
from micamsgr.messenger.token_facts import Outlook
from micamsgr.messenger.token_watch import DEADLINE, TokenWatch
from micamsgr.messenger.told import Told
from micamsgr.testing import BOT, PAGE

from .test_check_meta import APP, DAY, DOWN, HTML, NOW, OF_APP, debug, error, told

TOKEN, SECRET = "token-of-the-page", "secret-of-the-app"
HOUR = 3600.0


class App:
    """
    A Graph API that tells an app of a token.

    :ivar shown: what ``/debug_token`` answers, or fails with; ``None``: never.
    :ivar app: so with ``/app``.
    :ivar asked: for each call the end of the path, who asked, and its query.
    """

    def __init__(self) -> None:
        self.shown: Told | Exception | None = debug()
        self.app: Told | Exception | None = OF_APP
        self.asked: list[tuple[str, str, dict[str, list[str]]]] = []

    async def call(
        self, method: str, url: str, *, headers: Any, body: Any, deadline: float
    ) -> Answer:
        parts = urlsplit(url)
        path = parts.path.rpartition("/")[2]
        [whose] = headers.getRawHeaders("Authorization")
        assert (method, body, deadline) == ("GET", None, DEADLINE)
        self.asked.append((path, whose, parse_qs(parts.query)))
        said = self.shown if path == "debug_token" else self.app
        if isinstance(said, Exception):
            raise said
        if said is None:
            await Deferred[None]()
        assert isinstance(said, Told)
        assert said.answer is not None
        return said.answer


class TokenWatchTests(SynchronousTestCase):
    """
    Tests for :class:`TokenWatch`.
    """

    def setUp(self) -> None:
        self.clock, self.app = Clock(), App()
        self.clocks = Clocks("boot", lambda: NOW, self.clock.seconds)
        self.logged: Any = []
        self.chance = 0.5

    def start(self, app: str | None = APP) -> TokenWatch:
        """
        Look at a token.
        """
        calls = GraphCalls(
            self.app.call,
            "https://graph.example/v25.0",
            lambda: NOW,
            self.clock.seconds,
            DEADLINE,
        )
        watch = TokenWatch(
            BOT,
            self.clock,
            self.clocks.now,
            calls,
            TOKEN,
            SECRET,
            app,
            lambda: PAGE,
            lambda: self.chance,
        )
        captured = capturedLogs()
        self.logged = captured.__enter__()
        self.addCleanup(captured.__exit__, None, None, None)
        watch.startService()
        self.addCleanup(watch.stopService)
        return watch

    def said(self) -> list[tuple[str, str]]:
        """
        Tell what was logged since the last look: names and levels.
        """
        for event in self.logged:
            line = formatEvent(event)
            for hidden in (TOKEN, SECRET):
                self.assertNotIn(hidden, line)
            self.assertNotIn(TOKEN, repr(event))
        said = [(it["event"], it["log_level"].name) for it in self.logged]
        self.logged.clear()
        return said

    def hours(self, count: float) -> None:
        """
        Let time go by.
        """
        self.clock.pump([60.0] * round(count * 60))

    def test_asked(self) -> None:
        """
        The app asks about the token at once, and then once an hour; nothing
        else is asked, and of what is well nothing is said.
        """
        watch = self.start()
        asked = ("debug_token", f"Bearer {APP}|{SECRET}", {"input_token": [TOKEN]})
        self.assertEqual(self.app.asked, [asked])
        self.hours(10.5)
        self.assertEqual(self.app.asked, [asked] * 11)
        self.assertEqual(watch.outlook, Outlook())
        self.assertIsNone(watch.expires)
        self.assertEqual(self.said(), [])

    def test_jitter(self) -> None:
        """
        The hour is 57 minutes to 63, so that daemons that were started together
        do not ask together for ever.
        """
        for self.chance, seconds in ((0.0, 57 * 60.0), (1.0, 63 * 60.0)):
            watch = self.start()
            self.app.asked.clear()
            self.clock.advance(seconds - 1.0)
            self.assertEqual(len(self.app.asked), 0)
            self.clock.advance(1.5)
            self.assertEqual(len(self.app.asked), 1)
            watch.stopService()

    def test_app(self) -> None:
        """
        Where the app is not configured the token is asked for it, once it has
        told no more.
        """
        watch = self.start(None)
        proof = {"fields": ["id"], "appsecret_proof": [appsecret_proof(SECRET, TOKEN)]}
        self.assertEqual(self.app.asked[0], ("app", f"Bearer {TOKEN}", proof))
        self.assertEqual(
            self.app.asked[1][:2], ("debug_token", f"Bearer {APP}|{SECRET}")
        )
        self.app.shown = debug(expires_at=int(NOW) + 3 * DAY)
        self.hours(1.1)
        self.assertEqual([it[0] for it in self.app.asked[2:]], ["debug_token"])
        self.assertIsNotNone(watch.outlook.expires)

    def test_no_app(self) -> None:
        """
        If it does not tell, nothing is known of its end; that is said, once, and
        it is asked again an hour later.
        """
        self.app.app = error(100)
        watch = self.start(None)
        self.assertEqual(self.said(), [("token.unknown", "info")])
        self.hours(5.5)
        self.assertEqual([it[0] for it in self.app.asked], ["app"] * 6)
        self.assertEqual(self.said(), [])
        self.assertEqual(watch.outlook, Outlook())
        self.app.app = OF_APP
        self.hours(1.0)
        self.assertEqual(self.app.asked[-1][0], "debug_token")

    def test_failing(self) -> None:
        """
        A look that fails changes nothing that was known, and is tried again an
        hour later; that it fails is said once.
        """
        failures: tuple[Told | Exception, ...] = (
            Unavailable("no connection"),
            OutcomeUnknown("no answer"),
            DOWN,
            HTML,
            error(4),
            error(190),
            told({"data": {}}),
        )
        soon = int(NOW) + 3 * DAY
        for failure in failures:
            self.app.shown = debug(expires_at=soon)
            watch = self.start()
            self.assertEqual(self.said(), [("token.expires", "warn")])
            self.app.asked.clear()
            self.app.shown = failure
            self.hours(1.1)
            self.assertEqual(len(self.app.asked), 1)
            [(name, _)] = self.said()
            self.assertEqual(name, "token.unknown")
            self.hours(3.0)
            self.assertEqual(len(self.app.asked), 4)
            self.assertEqual(self.said(), [])
            self.assertEqual(watch.expires, soon)
            self.assertLess(watch.outlook.expires or DAY * 9, 3.0 * DAY)
            self.app.shown = debug()
            self.hours(1.0)
            self.assertEqual(watch.outlook, Outlook())
            self.app.shown = failure
            self.hours(1.0)
            self.assertEqual([name for name, _ in self.said()], ["token.unknown"])
            watch.stopService()

    def test_blame(self) -> None:
        """
        That the app is refused is a warning, as somebody has to act; that there
        was no answer is none.
        """
        for failure, level in (
            (error(190), "warn"),
            (DOWN, "info"),
            (Unavailable("no connection"), "info"),
        ):
            self.app.shown = failure
            self.start().stopService()
            self.assertEqual(self.said(), [("token.unknown", level)])

    def test_once_a_day(self) -> None:
        """
        What will come of the token is said once a day.
        """
        self.app.shown = debug(
            expires_at=int(NOW) + 5 * DAY,
            data_access_expires_at=int(NOW) + 5 * DAY,
            scopes=[],
        )
        self.start()
        said = [
            ("token.expires", "warn"),
            ("token.access_expires", "warn"),
            ("token.lacking", "warn"),
        ]
        self.assertIn("expires in 5.0 days", formatEvent(self.logged[0]))
        self.assertIn("expires in 5.0 days", formatEvent(self.logged[1]))
        self.assertIn("pages_messaging, pages_man", formatEvent(self.logged[2]))
        self.assertEqual(self.said(), said)
        self.hours(23.0)
        self.assertEqual(self.said(), [])
        self.hours(2.0)
        self.assertIn("expires in 4.0 days", formatEvent(self.logged[0]))
        self.assertEqual(self.said(), said)

    def test_bad(self) -> None:
        """
        One that is not good is told as an error, and looked at every five
        minutes, as it may be good again.
        """
        for shown, word in (
            (debug(is_valid=False), "is not valid"),
            (debug(expires_at=int(NOW) - 1), "is expired"),
            (debug(app_id="999"), "is another app's"),
        ):
            self.app.shown = shown
            watch = self.start()
            self.assertIn(word, formatEvent(self.logged[0]))
            self.assertEqual(self.said(), [("token.invalid", "error")])
            self.app.asked.clear()
            self.hours(1.0)
            self.assertEqual(len(self.app.asked), 12)
            self.assertEqual(self.said(), [])
            self.app.shown = debug()
            self.clock.pump([60.0] * 6)
            self.assertEqual(watch.outlook, Outlook())
            self.app.asked.clear()
            self.hours(0.9)
            self.assertEqual(self.app.asked, [])
            self.assertEqual(self.said(), [])
            watch.stopService()

    def test_passes(self) -> None:
        """
        As time goes by, what is known comes nearer without being asked again.
        """
        self.app.shown = debug(expires_at=int(NOW) + 7 * DAY + 1800)
        watch = self.start()
        self.assertEqual(watch.outlook, Outlook())
        self.app.shown = Unavailable("no connection")
        self.hours(0.6)
        self.assertIsNotNone(watch.outlook.expires)
        self.clock.advance(7.0 * DAY)
        self.assertTrue(watch.outlook.expired)

    def test_stopped(self) -> None:
        """
        A stop ends a look that is under way, and leaves no timer.
        """
        for app in (APP, None):
            self.app.shown = self.app.app = None
            watch = self.start(app)
            watch.stopService()
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.assertEqual(self.said(), [])
            self.app.shown, self.app.app = debug(), OF_APP
            self.start(app).stopService()
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_in_a_call(self) -> None:
        """
        So does one where the call does not say that it was canceled.
        """
        for app in (APP, None):
            watch = None

            async def call(*args: Any, **more: Any) -> Answer:
                try:
                    await Deferred[None]()
                except BaseException as canceled:
                    raise OutcomeUnknown("canceled") from canceled
                raise AssertionError

            self.patch(self.app, "call", call)
            watch = self.start(app)
            watch.stopService()
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.assertEqual(self.said(), [])

    def test_defect(self) -> None:
        """
        A defect in one look leaves the next.
        """
        self.app.shown = ZeroDivisionError()
        watch = self.start()
        self.assertEqual(self.said(), [("defect", LogLevel.critical.name)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.app.shown = debug(expires_at=int(NOW) + DAY)
        self.hours(1.1)
        self.assertIsNotNone(watch.outlook.expires)
