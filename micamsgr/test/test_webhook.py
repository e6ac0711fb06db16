"""
Tests for :mod:`micamsgr.messenger.webhook`, from bytes to bytes: through the
real site, into the real store.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import BotName, PageId
from micamsgr.conversation.policy import Handover
from micamsgr.messenger.webhook import Channel, Webhook
from micamsgr.messenger.webhook_resource import webhooks
from micamsgr.testing import ALICE, INBOX, NOW, PAGE, FixedClocks, stepped_store
from micamsgr.web.site import Budget, LimitedSite

from .test_site import Peer

SECRET = b"3f1d9c0b7a6e4825b1c0d9e8f7a6b5c4"
TOKEN = b"a token, & more"
PATH = b"/v1/facebook/webhook/mica"
ALLY_PAGE = PageId("208463527190842")
AIDE_PAGE = PageId("408463527190842")
RIVAL_PAGE = PageId("308463527190842")
TEXT = "what Alice wrote"


def message(mid: str = "m_1", psid: str = ALICE, text: str = TEXT) -> dict[str, object]:
    """Make an item in which a person wrote something."""
    return {
        "sender": {"id": psid},
        "recipient": {"id": PAGE},
        "timestamp": NOW,
        "message": {"mid": mid, "text": text},
    }


def entry(*items: object, page: str = PAGE, channel: str = "messaging") -> object:
    """
    Make an entry of items for one Page.
    """
    return {"id": page, "time": NOW, channel: items}


def human(page: str = PAGE) -> dict[str, object]:
    """Make an item that tells of what a human wrote to Alice for a Page."""
    return {
        "sender": {"id": page},
        "recipient": {"id": ALICE},
        "timestamp": NOW + 60_000,
        "message": {"mid": "m_h", "is_echo": True, "text": "Me", "app_id": INBOX},
    }


def notification(*entries: object, about: str = "page") -> bytes:
    """
    Make what Meta would deliver.
    """
    return json.dumps({"object": about, "entry": entries}).encode("ascii")


def sign(body: bytes, secret: bytes = SECRET) -> bytes:
    """
    Make the header's value by which Meta shows that it knows the secret.
    """
    return b"sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest().encode()


def post(body: bytes, signature: bytes | None = None, path: bytes = PATH) -> bytes:
    """
    Make a POST as on the wire, rightly signed by default.
    """
    value = sign(body) if signature is None else signature
    header = b"X-Hub-Signature-256: " + value + b"\r\n" if value else b""
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    return b"POST " + path + b" HTTP/1.1\r\n" + header + length + body


class WebhookCase(SynchronousTestCase):
    """
    Four bots: *mica*; *ally* and *aide*, whose app is the same; and *rival*,
    whose isn't.

    :ivar woken: the bots told of something to do, oldest first.
    :ivar hushed: the bots, and in which conversation a human answers.
    :ivar answered: the statuses of deliveries, and after how many seconds.
    :ivar said: what was logged.
    """

    texts = reading = False

    def setUp(self) -> None:
        self.clock = Clock()
        self.store, self.step = stepped_store()
        self.woken: list[str] = []
        self.taken: list[bool] = []
        self.hushed: list[tuple[str, int]] = []
        self.answered: list[tuple[int, float]] = []
        self.pages: dict[str, PageId | None] = {
            "mica": PAGE,
            "ally": ALLY_PAGE,
            "aide": AIDE_PAGE,
            "rival": RIVAL_PAGE,
        }
        channels = [
            self.channel("mica", SECRET),
            self.channel("ally", SECRET),
            self.channel("aide", SECRET),
            self.channel("rival", SECRET[::-1]),
        ]
        webhook = Webhook(
            self.clock,
            FixedClocks(self.clock).now,
            self.store,
            {channel.bot: channel for channel in channels},
            texts=self.texts,
            answered=lambda *told: self.answered.append(told),
        )
        self.site = LimitedSite(
            webhooks(webhook, channels),
            self.clock,
            largest_body=3 << 20,
            unverified=Budget(64 << 20),
        )
        self.peer = Peer(self.site)
        self.said: list[str] = []
        hear: Any = self.hear
        globalLogPublisher.addObserver(hear)
        self.addCleanup(globalLogPublisher.removeObserver, hear)

    def channel(self, bot: str, secret: bytes) -> Channel:
        """
        Make what the webhook knows of a bot.
        """
        return Channel(
            bot=BotName(bot),
            verify_token=TOKEN if bot == "mica" else b"of " + bot.encode(),
            secret=secret,
            page=lambda: self.pages[bot],
            reading=lambda: self.reading,
            handover=Handover(),
            alias=lambda psid: f"person {psid[:2]}",
            arrived=lambda conversation, situation: self.woken.append(bot),
            hush=lambda conversation: self.hushed.append((bot, conversation)),
            kept=self.taken.append,
        )

    def hear(self, event: LogEvent) -> None:
        """
        Note what is logged.
        """
        self.said.append(formatEvent(event))

    def kept(self) -> list[tuple[str, str, str | None]]:
        """
        Tell which bot has which events, and what became of them.
        """
        query = "SELECT bot, state, reason FROM event ORDER BY id"
        return self.store.database.connection.execute(query).fetchall()

    def assert_refused(self, request: bytes, status: int) -> bytes:
        """
        A request is answered so, at once, and nothing is kept of it.

        :return: the answer.
        """
        self.peer.send(request)
        answer = self.peer.received()
        self.assertTrue(answer.startswith(b"HTTP/1.1 %d " % status), answer[:99])
        self.assertFalse(self.step(), "something was to be stored")
        return answer

    def deliver(self, request: bytes) -> None:
        """
        Deliver something, which is answered 200.
        """
        self.peer.send(request)
        self.step()
        self.assertEqual(self.peer.statuses(), [200])


class VerificationTests(WebhookCase):
    """
    Tests for Meta's question whether this is the webhook it means.
    """

    token = b"hub.verify_token=a%20token,+%26%20more"

    def ask(self, *parameters: bytes, path: bytes = PATH) -> bytes:
        """
        Ask with these parameters, and give the answer.
        """
        query = b"&".join(parameters)
        self.peer.send(b"GET " + path + b"?" + query + b" HTTP/1.1\r\n\r\n")
        return self.peer.received()

    def test_challenge(self) -> None:
        """
        Whoever knows the token gets the challenge back byte for byte, in
        whatever order the parameters come.
        """
        for sent, challenge in (
            (b"1158201444", b"1158201444"),
            (b"00042", b"00042"),
            (b"CHALLENGE_ACCEPTED", b"CHALLENGE_ACCEPTED"),
            (b"%ff%00%0d%0a%26", b"\xff\0\r\n&"),
        ):
            parameters = [b"hub.mode=subscribe", self.token, b"hub.challenge=" + sent]
            for _ in range(3):
                parameters.append(parameters.pop(0))
                head, _, body = self.ask(*parameters).partition(b"\r\n\r\n")
                self.assertTrue(head.startswith(b"HTTP/1.1 200 "))
                self.assertEqual(body, challenge)

    def test_no_page(self) -> None:
        """
        No browser takes the challenge for a page to show.
        """
        head, _, body = self.ask(
            b"hub.mode=subscribe", self.token, b"hub.challenge=<script>"
        ).partition(b"\r\n\r\n")
        self.assertEqual(body, b"<script>")
        self.assertIn(b"Content-Type: text/plain", head)
        self.assertIn(b"X-Content-Type-Options: nosniff", head)

    def test_wrong_token(self) -> None:
        """
        Whoever doesn't know the token is answered 403, and learns neither it
        nor the challenge.
        """
        for token in (
            b"x",
            b"A%20token,+%26%20more",
            b"a%20token,+%26%20mor",
            b"a%20token,+%26%20more+",
            b"of+ally",
            b"%ff%fe",
            b"%00",
            b"x&hub.verify_token=a%20token,+%26%20more",
        ):
            answer = self.ask(
                b"hub.mode=subscribe",
                b"hub.verify_token=" + token,
                b"hub.challenge=1158201444",
            )
            self.assertTrue(answer.startswith(b"HTTP/1.1 403 "), token)
            self.assertNotIn(b"1158201444", answer)
            self.assertNotIn(b"token", answer)

    def test_wrong_mode(self) -> None:
        """
        Any mode but the documented one is answered 403.
        """
        answer = self.ask(b"hub.mode=unsubscribe", self.token, b"hub.challenge=1")
        self.assertTrue(answer.startswith(b"HTTP/1.1 403 "))

    def test_incomplete(self) -> None:
        """
        A question without one of its parameters is answered 400.
        """
        parameters = [b"hub.mode=subscribe", self.token, b"hub.challenge=1"]
        for missing in parameters:
            rest = [one for one in parameters if one is not missing]
            empty = missing.partition(b"=")[0] + b"="
            for asked in (rest, [*rest, empty], []):
                self.assertTrue(self.ask(*asked).startswith(b"HTTP/1.1 400 "), asked)

    def test_unknown_bot(self) -> None:
        """
        Where there is no bot there is nothing, for any method.
        """
        for path in (
            b"/",
            b"//",
            b"/v1/facebook/webhook",
            b"/v1/facebook/webhook/",
            b"/v1/facebook/webhook/Mica",
            b"/v1/facebook/webhook/%ff%fe",
            b"/v1/facebook/webhook/mic%C3%A4",
            b"/v1/facebook/webhook/mica/",
            b"/v1/facebook/webhook/mica/more",
            b"/v1/facebook/webhook/../webhook/mica",
            b"http://bot.example/",
        ):
            answer = self.ask(
                b"hub.mode=subscribe", self.token, b"hub.challenge=1", path=path
            )
            self.assertTrue(answer.startswith(b"HTTP/1.1 404 "), path)
        self.assert_refused(post(b"{}", path=b"/v1/facebook/webhook/nobody"), 404)

    def test_other_methods(self) -> None:
        """
        Any other method is answered 405, with those that there are.
        """
        for method in (b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"get"):
            answer = self.assert_refused(
                method + b" " + PATH + b" HTTP/1.1\r\n\r\n", 405
            )
            self.assertIn(b"\r\nAllow: GET, POST\r\n", answer, method)
            self.assertNotIn(b"erver", answer)
            if method == b"HEAD":
                self.assertTrue(answer.endswith(b"\r\n\r\n"))


class RoutingTests(WebhookCase):
    """
    Tests for whose an event is, where several bots have webhooks.
    """

    def test_ally(self) -> None:
        """
        An event for the Page of another bot of the same app is that bot's, by
        whichever of the webhooks it comes.
        """
        self.deliver(post(notification(entry(message(), page=ALLY_PAGE))))
        self.assertEqual(self.kept(), [("ally", "new", None)])
        self.assertEqual(self.woken, ["ally"])

    def test_mixed(self) -> None:
        """
        One delivery can hold events for several bots.
        """
        entries = [
            entry(message(f"m_{page}"), page=page)
            for page in (ALLY_PAGE, PAGE, RIVAL_PAGE, "7")
        ]
        self.deliver(post(notification(*entries)))
        self.assertEqual(
            self.kept(),
            [
                ("ally", "new", None),
                ("mica", "new", None),
                ("mica", "ignored", "other page"),
                ("mica", "ignored", "other page"),
            ],
        )

    def test_rival(self) -> None:
        """
        Nobody who knows one app's secret can speak to a bot of another app.
        """
        body = notification(entry(message(), page=RIVAL_PAGE))
        rival = PATH.replace(b"mica", b"rival")
        self.assert_refused(post(body, path=rival), 403)
        self.deliver(post(body))
        self.assertEqual(self.woken, [])

    def test_page_unknown(self) -> None:
        """
        While a bot's Page is not known, what is for no other bot's Page is
        its own.
        """
        self.pages["mica"] = None
        entries = [
            entry(message("m_1"), page="7"),
            entry(message("m_2"), page=ALLY_PAGE),
        ]
        self.deliver(post(notification(*entries)))
        self.assertEqual(self.kept(), [("mica", "new", None), ("ally", "new", None)])

    def test_pages_unknown(self) -> None:
        """
        While it may be the Page of several bots, Meta keeps the event; others
        of the same delivery are kept here, and answered.
        """
        self.pages["mica"] = self.pages["ally"] = None
        entries = [
            entry(message("m_1"), page="7"),
            entry(message("m_2"), page=AIDE_PAGE),
        ]
        self.peer.send(post(notification(*entries)))
        self.step()
        self.assertEqual(self.peer.statuses(), [503])
        self.assertEqual(self.kept(), [("aide", "new", None)])
        self.assertEqual(self.woken, ["aide"])

    def test_unreadable_while_unknown(self) -> None:
        """
        What can't be read is kept at once: it is nobody's, and would come
        back for ever.
        """
        self.pages["mica"] = self.pages["ally"] = None
        self.deliver(post(b'{"object": "page", "entry": [7]}'))
        self.assertEqual(self.kept(), [("mica", "dead", "unreadable")])

    def test_takeover(self) -> None:
        """
        Where a human answers, the bot whose Page it is falls silent, whichever
        webhook tells of it.
        """
        words = human(ALLY_PAGE)
        self.deliver(post(notification(entry(message(), page=ALLY_PAGE))))
        self.deliver(post(notification(entry(words, page=ALLY_PAGE))))
        self.assertEqual(self.hushed, [("ally", 1)])


class LogTests(WebhookCase):
    """
    Tests for what the log tells of deliveries.
    """

    def test_private(self) -> None:
        """
        Neither what people write is logged, nor who they are, nor a secret.
        """
        body = notification(entry(message(), {"sender": {"id": ALICE}, "message": 7}))
        self.deliver(post(body))
        self.peer.send(post(body, b"sha256=" + b"0" * 64))
        self.peer.send(b"GET " + PATH + b"?hub.mode=x&hub.challenge=x")
        self.peer.send(b"&hub.verify_token=guess HTTP/1.1\r\n\r\n")
        log = "\n".join(self.said)
        self.assertIn("person 62", log)
        for secret in (TEXT, ALICE, SECRET.decode(), sign(body).decode(), "guess"):
            self.assertNotIn(secret, log)

    def test_unreadable(self) -> None:
        """
        What can't be read is told at level error, by its kind.
        """
        self.deliver(post(notification(entry({"sender": {"id": ALICE}, "message": 7}))))
        self.assertEqual(
            [line for line in self.said if "can't be read" in line],
            [
                "to mica: an event that can't be read is kept as it is:"
                " message is not an object"
            ],
        )


class TextsTests(WebhookCase):
    """
    Tests for an operator who wants to read along.
    """

    texts = True

    def test_texts(self) -> None:
        """
        Where it is asked for, what people write is logged.
        """
        self.deliver(post(notification(entry(message()))))
        self.assertIn(f"m_1: {TEXT}", self.said)
