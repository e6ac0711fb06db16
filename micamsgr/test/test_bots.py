"""
Tests for :mod:`micamsgr.composition.bots`: what a reload changes of a bot, and
what it leaves.
"""

from __future__ import annotations

import json
import random
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, cast
from unittest import SkipTest
from urllib.parse import urlsplit

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from micamsgr.clock import Clocks
from micamsgr.composition.bots import Bots, RunningBot, Surroundings, alias_of
from micamsgr.composition.changes import BotChanges
from micamsgr.config.values import Bot, Secret
from micamsgr.conversation.pacing import Pressure
from micamsgr.conversation.policy import Delivery
from micamsgr.httpcall import Answer
from micamsgr.messenger.subscriptions import NEEDED
from micamsgr.messenger.token_facts import NEEDED as SCOPES
from micamsgr.testing import ALICE, BOB, memory_store
from micamsgr.web.readiness import Subscribed

from .test_changes import config

(BOT,) = config("mica").bots
OTHER_TOKEN = evolve(
    BOT, facebook=evolve(BOT.facebook, page_access_token=Secret("another-token"))
)


class AliasTests(SynchronousTestCase):
    """
    Tests for how the log names people.
    """

    def test_found(self) -> None:
        """
        Who has the app's secret finds out by the script in the manual who it is
        that the log names, and nobody else.
        """
        manual = Path(__file__).parents[2] / "docs" / "operating.md"
        if not manual.exists():
            raise SkipTest("needs docs/operating.md")
        text = manual.read_text(encoding="utf-8")
        [script] = re.findall(r"^python3 - .* <<'END'\n(.*?)^END$", text, re.M | re.S)
        path = self.mktemp()
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE conversation (psid TEXT)")
            rows = [(ALICE,), (BOB,), ("erased 1",)]
            database.executemany("INSERT INTO conversation VALUES (?)", rows)
        name = alias_of(BOT)(BOB)
        for secret, found in ((BOT.facebook.secret.value, f"{BOB}\n"), ("other", "")):
            said = subprocess.run(
                [sys.executable, "-", name, path],
                input=script,
                env={"SECRET": secret},
                capture_output=True,
                text=True,
                check=True,
            )
            self.assertEqual(said.stdout, found)


class Silent:
    """
    A caller to whom nobody ever answers.

    :ivar asked: for each call, the end of the path, and the token with it.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def call(self, method: str, url: Any, *, headers: Any, **more: Any) -> Any:
        text = url.decode() if isinstance(url, bytes) else str(url)
        [authorization] = headers.getRawHeaders("Authorization", ["none"])
        token = authorization.rpartition(" ")[2]
        self.asked.append((urlsplit(text).path.rpartition("/")[2], token))
        return await Deferred[Any]()


class BotsCase(SynchronousTestCase):
    """
    Bots whose calls a test sees.
    """

    def setUp(self) -> None:
        self.clock, self.caller = Clock(), Silent()
        caller: Any = self.caller
        self.around = Surroundings(
            reactor=self.clock,
            clocks=Clocks("boot", lambda: 1.8e9, self.clock.seconds),
            store=memory_store(),
            caller=caller,
            chance=random.Random(1),
            troubled=lambda bot, assistant: assistant,
            subscribed=lambda bot, is_so: None,
        )

    def asked(self) -> list[tuple[str, str]]:
        """
        Tell what was asked of the Graph API since the last look.
        """
        asked, self.caller.asked = self.caller.asked, []
        return asked


class Answering:
    """
    A Graph API to whose app one Page is subscribed.

    :ivar error: what is answered instead of all else; ``None``: all is well.
    :ivar shown: what the app is shown of the token.
    """

    def __init__(self) -> None:
        self.error: dict[str, object] | None = None
        self.shown: dict[str, object] = {"is_valid": True}

    async def call(self, method: str, url: Any, **more: Any) -> Answer:
        told: dict[str, object] = {"id": "9", "name": "A Page", "data": []}
        if "subscribed_apps" in str(url):
            told = {"data": [{"id": "7", "subscribed_fields": list(NEEDED)}]}
        elif "/debug_token" in str(url):
            told = {"data": self.shown}
        status = 200
        if self.error is not None:
            status, told = 400, {"error": self.error}
        return Answer(status, Headers(), json.dumps(told).encode())


class HourlyTests(BotsCase):
    """
    Tests for what is found out while nobody writes.
    """

    def setUp(self) -> None:
        super().setUp()
        self.graph = Answering()
        around = evolve(self.around, caller=cast(Any, self.graph))
        self.bot = RunningBot(around, BOT, texts=False)
        self.bot.startService()
        self.addCleanup(self.bot.stopService)
        self.clock.pump([1.0] * 60)

    def test_token(self) -> None:
        """
        A token that is ended while nobody writes is known within about an hour,
        and a few minutes after it is good again, that.
        """
        self.assertIs(self.bot.facts.token, True)
        self.assertIs(self.bot.facts.subscribed, Subscribed.YES)
        self.graph.error = {"code": 190, "error_subcode": 460}
        self.clock.pump([60.0] * 65)
        self.assertIs(self.bot.facts.token, False)
        self.graph.error = None
        self.clock.pump([30.0] * 11)
        self.assertIs(self.bot.facts.token, True)

    def test_secret(self) -> None:
        """
        So it is with an app secret that was reset at Meta, though the token is
        as good as before; that is told apart.
        """
        self.assertIs(self.bot.facts.unproved, False)
        self.graph.error = {"code": 100, "message": "Invalid appsecret_proof provided"}
        self.clock.pump([60.0] * 65)
        self.assertIs(self.bot.facts.unproved, True)
        self.graph.error = None
        self.clock.pump([60.0] * 65)
        self.assertIs(self.bot.facts.unproved, False)


class TokenTests(BotsCase):
    """
    Tests for what is known of a token before it has ended.
    """

    def setUp(self) -> None:
        super().setUp()
        self.graph = Answering()
        self.at = int(self.around.clocks.now().wall / 1000) + 3 * 86400
        self.graph.shown["expires_at"] = self.at
        around = evolve(self.around, caller=cast(Any, self.graph))
        self.bot = RunningBot(around, BOT, texts=False)
        self.bot.startService()
        self.addCleanup(self.bot.stopService)

    def test_soon(self) -> None:
        """
        That it is about to expire is known from the start on, by the second.
        """
        self.assertEqual(self.bot.token_expires, self.at)
        self.clock.advance(60.0)
        self.assertEqual(self.bot.facts.expires, 3 * 86400.0 - 60.0)

    def test_elsewhere(self) -> None:
        """
        A permission that was given for another Page than the bot's is known as
        missing.
        """
        self.graph.shown["scopes"] = list(SCOPES)
        granted = {"scope": SCOPES[0], "target_ids": ["10"]}
        self.graph.shown["granular_scopes"] = [granted]
        self.clock.pump([60.0] * 65)
        self.assertEqual(self.bot.facts.missing, (SCOPES[0],))

    def test_bad(self) -> None:
        """
        What makes it useless is told apart.
        """
        for more, name in (
            ({"app_id": "10"}, "other_app"),
            ({"is_valid": False}, "invalid"),
            ({"expires_at": 1}, "expired"),
        ):
            self.graph.shown = {"app_id": "9", **more}
            self.clock.pump([60.0] * 65)
            facts = self.bot.facts
            bad = [
                it for it in ("other_app", "invalid", "expired") if getattr(facts, it)
            ]
            self.assertEqual(bad, [name])

    def test_renewed(self) -> None:
        """
        With another token all of that is forgotten, and asked anew at once.
        """
        del self.graph.shown["expires_at"]
        self.bot.change(OTHER_TOKEN, texts=False)
        self.assertIsNone(self.bot.token_expires)
        self.assertIsNone(self.bot.facts.expires)

    def test_kept(self) -> None:
        """
        Any other change leaves it as it is.
        """
        del self.graph.shown["expires_at"]
        seen = evolve(BOT.facebook, mark_seen=not BOT.facebook.mark_seen)
        self.bot.change(evolve(BOT, facebook=seen), texts=False)
        self.assertEqual(self.bot.token_expires, self.at)


class RunningBotTests(BotsCase):
    """
    Tests for a bot that is changed while it runs.
    """

    def setUp(self) -> None:
        super().setUp()
        self.bot = RunningBot(self.around, BOT, texts=False)
        self.bot.startService()
        self.addCleanup(self.bot.stopService)

    def test_instructions(self) -> None:
        """
        Other instructions ask nothing of the Graph API again, and keep the pace
        and the pauses of the Page.
        """
        self.assertEqual(
            self.asked(), [("me", "token-of-mica"), ("app", "token-of-mica")]
        )
        outlet, channel = self.bot._steps.outlet, self.bot.channel
        told = evolve(BOT.assistant, instructions="Be brief.")
        self.bot.change(evolve(BOT, assistant=told), texts=False)
        self.clock.advance(0.0)
        self.assertEqual(self.asked(), [])
        self.assertIs(self.bot._steps.outlet, outlet)
        self.assertEqual(self.bot.channel.kept, channel.kept)

    def test_token(self) -> None:
        """
        Another token is asked for its Page and its app at once, and nothing that
        was learned with the old one is kept.
        """
        self.asked()
        outlet, channel = self.bot._steps.outlet, self.bot.channel
        self.bot.change(OTHER_TOKEN, texts=False)
        self.assertEqual(
            self.asked(), [("me", "another-token"), ("app", "another-token")]
        )
        self.assertIsNot(self.bot._steps.outlet, outlet)
        self.assertNotEqual(self.bot.channel.kept, channel.kept)

    def test_token_forgotten(self) -> None:
        """
        Whether another token is good nobody knows before it was asked for.
        """
        self.bot._token.good = False
        self.bot.change(evolve(BOT, allow=("4711",)), texts=False)
        self.assertIs(self.bot.facts.token, False)
        self.bot.change(OTHER_TOKEN, texts=False)
        self.assertIsNone(self.bot.facts.token)

    def test_concurrency(self) -> None:
        """
        The LLM is asked by as many at once as the configuration says now.
        """
        slots = self.bot._steps.slots
        llm = evolve(BOT.llm, concurrency=BOT.llm.concurrency + 7)
        self.bot.change(evolve(BOT, llm=llm), texts=False)
        self.assertEqual(self.bot._steps.slots.limit, llm.concurrency)
        self.assertIs(self.bot._steps.slots, slots)

    def test_look_ups(self) -> None:
        """
        Their pace goes on through a change of something else: no more of them
        at once than Meta allows.
        """
        bucket = self.bot._look_ups
        self.bot.change(evolve(BOT, allow=("4711",)), texts=False)
        self.assertIs(self.bot._look_ups, bucket)
        self.bot.change(evolve(BOT, delivery=Delivery(lookup_rate=7.0)), texts=False)
        self.assertIsNot(self.bot._look_ups, bucket)

    def test_repaired(self) -> None:
        """
        Who may be answered, and how humans are heeded, holds for what is read
        from threads, too.
        """
        for changed in (
            evolve(BOT, allow=("4711",)),
            evolve(BOT, handover=evolve(BOT.handover, quiet=60.0)),
        ):
            before = self.bot.channel.kept
            self.bot.change(changed, texts=False)
            self.assertNotEqual(self.bot.channel.kept, before)

    def test_pace(self) -> None:
        """
        Another rate holds at once, and no pause is forgotten for it.
        """
        outlet = self.bot._steps.outlet
        outlet.press(Pressure(source="613", rest=30.0))
        self.bot.change(evolve(BOT, delivery=Delivery(rate=1.0)), texts=False)
        self.assertIs(self.bot._steps.outlet, outlet)
        self.assertTrue(self.bot.paused)
        self.clock.advance(30.0)
        taken = [outlet.take(conversation) for conversation in range(3)]
        self.assertEqual(taken, [True, False, False])


class BotsTests(BotsCase):
    """
    Tests for bots that come and go.
    """

    def bots(self, *bots: Bot) -> Bots:
        """
        Start bots.
        """
        started = Bots(self.around, bots, texts=False)
        started.startService()
        self.addCleanup(started.stopService)
        return started

    def test_taken_back(self) -> None:
        """
        A bot that comes back while it finishes what it is at is the same one:
        two could work on the same conversation.
        """
        bots = self.bots(BOT)
        (before,) = bots.by_name.values()
        retired: Deferred[None] = Deferred()
        self.patch(before, "retire", lambda: retired)
        bots.apply(BotChanges((), (), ("mica",)), (), texts=False)
        self.assertEqual(bots.channels, {})
        bots.apply(BotChanges(("mica",), (), ()), (BOT,), texts=False)
        retired.callback(None)
        self.assertIs(bots.by_name["mica"], before)
        self.assertTrue(before.running)
        self.assertEqual(list(bots.channels), ["mica"])

    def test_gone(self) -> None:
        """
        One that is taken away is stopped once it has finished, and leaves no
        timer.
        """
        bots = self.bots(BOT)
        (before,) = bots.by_name.values()
        bots.apply(BotChanges((), (), ("mica",)), (), texts=False)
        self.clock.advance(10.0)
        self.assertFalse(before.running)
        self.assertEqual(self.clock.getDelayedCalls(), [])
