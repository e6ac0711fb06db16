"""
Tests for :mod:`micamsgr.messenger.compliance`, from bytes to bytes: through the
real site, into the real store.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import BotName, PageId
from micamsgr.conversation.policy import Handover
from micamsgr.messenger.compliance import Compliance
from micamsgr.messenger.compliance_resource import callbacks
from micamsgr.messenger.erasure_codes import ErasureCodes
from micamsgr.messenger.patience import COMMIT_DEADLINE
from micamsgr.messenger.status_page import Kept
from micamsgr.messenger.webhook import Channel, Webhook
from micamsgr.messenger.webhook_resource import webhooks
from micamsgr.store.deletions import Deletions
from micamsgr.store.forgetting import Forgetting
from micamsgr.store.requests import Requests
from micamsgr.testing import ALICE, PAGE, FixedClocks, MemoryStore, memory_store
from micamsgr.web.site import Budget, LimitedSite

from .test_signed_request import ISSUED, SECRET, USER, signed
from .test_site import Peer
from .test_webhook import entry, message, notification, post

URL = "https://bot.example.org/prefix"
DELETION, DEAUTHORIZE = "/v1/facebook/deletion/mica", "/v1/facebook/deauthorize/mica"
STATUS = "/v1/facebook/deletion-status/"
ALLY_PAGE = PageId("208463527190842")
_FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


class ComplianceCase(SynchronousTestCase):
    """
    Three bots: *mica* and *ally*, whose app is the same; and *rival*, whose
    isn't.

    :ivar events: what was logged.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.now = FixedClocks(self.clock).now
        self.store: MemoryStore = memory_store()
        self.database = self.store.database
        self.public_url: str | None = URL
        self.pages: dict[str, PageId | None] = {
            "mica": PAGE,
            "ally": ALLY_PAGE,
            "rival": None,
        }
        self.deletions = Deletions(self.database.transact, self.database.transact)
        self.serve(("mica", SECRET), ("ally", SECRET), ("rival", SECRET[::-1]))
        self.events: list[LogEvent] = []
        hear: Any = self.events.append
        globalLogPublisher.addObserver(hear)
        self.addCleanup(globalLogPublisher.removeObserver, hear)

    def serve(self, *bots: tuple[str, bytes]) -> None:
        """
        Serve these bots, each with its app's secret, as after a reload.
        """
        channels = {
            BotName(name): Channel(
                bot=BotName(name),
                verify_token=b"t",
                secret=secret,
                page=lambda name=name: self.pages[name],  # type: ignore[misc]
                handover=Handover(),
                alias=lambda psid: f"person {psid[:2]}",
                arrived=lambda conversation, situation: None,
                hush=lambda conversation: None,
            )
            for name, secret in bots
        }
        webhook = Webhook(
            self.clock,
            self.now,
            self.store,
            channels,
            codes=ErasureCodes(self.deletions),
        )
        compliance = Compliance(
            self.clock,
            self.now,
            self.deletions,
            lambda: channels,
            lambda: self.public_url,
        )
        kept = Kept(texts=30 * 86400.0, ledger=400 * 86400.0)
        beside = callbacks(compliance, channels.values(), lambda: kept)
        self.site = LimitedSite(
            webhooks(webhook, channels.values(), beside),
            self.clock,
            largest_body=3 << 20,
            unverified=Budget(64 << 20),
        )
        self.peer = Peer(self.site)

    def exchange(self, request: bytes) -> tuple[int, dict[str, str], str]:
        """
        Send a request, and take the answer: status, headers, body.
        """
        self.peer = Peer(self.site)
        self.peer.send(request)
        head, _, body = self.peer.received().partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        return int(first.split()[1]), headers, body.decode()

    def call(
        self, text: bytes, path: str = DELETION, more: bytes = b""
    ) -> tuple[int, str]:
        """
        Call as Meta does.
        """
        body = b"signed_request=" + quote(text).encode()
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        head = b"POST " + path.encode() + b" HTTP/1.1\r\n" + more + _FORM + length
        status, headers, answer = self.exchange(head + body)
        if status != 404:
            self.assertEqual(headers["Cache-Control"], "no-store")
        return status, answer

    def ask(self, path: str = DELETION, **changes: Any) -> str:
        """
        Ask to be erased, which is accepted; give the code.
        """
        status, answer = self.call(signed(**changes), path)
        self.assertEqual(status, 200, answer)
        document = json.loads(answer)
        self.assertEqual(set(document), {"url", "confirmation_code"})
        code: str = document["confirmation_code"]
        self.assertEqual(document["url"], f"{URL}{STATUS}{code}")
        return code

    def look(self, code: str, method: bytes = b"GET") -> tuple[int, str]:
        """
        Look at the page of a request.
        """
        path = (STATUS + code).encode()
        status, _, body = self.exchange(method + b" " + path + b" HTTP/1.1\r\n\r\n")
        return status, body

    def write(
        self, text: str, psid: str = ALICE, mid: str = "m_1", bot: str = "mica"
    ) -> int:
        """
        Let a person write to a bot's Page.
        """
        item = message(mid, psid, text)
        page = self.pages[bot] or ""
        item["recipient"] = {"id": page}
        item["timestamp"] = self.now().wall
        path = f"/v1/facebook/webhook/{bot}".encode()
        body = notification(entry(item, page=page))
        return self.exchange(post(body, path=path))[0]

    def erase(self) -> None:
        """
        Let the daemon's service do what is asked for.
        """
        service = Forgetting(
            self.clock,
            self.now,
            self.database.transact,
            self.database.alone,
            Requests(self.mktemp()),
            self.deletions,
        )
        service.startService()
        self.clock.pump([0.1] * 50)
        service.stopService()

    def rows(self, query: str) -> list[Any]:
        return self.database.connection.execute(query).fetchall()

    def said(self, level: LogLevel | None = None) -> list[str]:
        """
        Tell what was logged, at one level.
        """
        return [
            formatEvent(event)
            for event in self.events
            if level in (None, event["log_level"])
        ]


class DeletionTests(ComplianceCase):
    """
    Tests for requests to be erased.
    """

    def test_accepted(self) -> None:
        """
        Who asks gets a code of letters and digits, and a page below
        ``public_url`` whatever host the request names; nothing of the request
        is in the log.
        """
        forged = b"Host: evil.example\r\nX-Forwarded-Host: evil.example\r\n"
        status, answer = self.call(signed(), more=forged)
        document = json.loads(answer)
        code = document["confirmation_code"]
        self.assertEqual((status, document["url"]), (200, f"{URL}{STATUS}{code}"))
        self.assertRegex(code, "^[A-Z0-9]{16,40}$")
        self.assertEqual(self.look(code)[0], 200)
        self.assertNotIn(USER, "".join([answer, *self.said(), self.look(code)[1]]))
        self.assertNotIn(code, "".join(self.said()))

    def test_again(self) -> None:
        """
        The same request gets the same code, by whichever of the app's URLs,
        however its time is spelled; a later one, or another person's, another.
        """
        code = self.ask()
        self.assertEqual(self.ask(), code)
        self.assertEqual(self.ask(issued_at=str(ISSUED), expires=1), code)
        self.assertEqual(self.ask("/v1/facebook/deletion/ally"), code)
        self.assertEqual(len(self.rows("SELECT 1 FROM deletion")), 1)
        others = {
            self.ask(issued_at=ISSUED + 1),
            self.ask(user_id="1" + USER),
            self.ask("/v1/facebook/deletion/rival", secret=SECRET[::-1]),
        }
        self.assertEqual(len(others | {code}), 4)

    def test_refused(self) -> None:
        """
        What is not Meta's is answered in few words, and nothing of it is kept
        or logged.
        """
        forged = signed(SECRET[::-1])
        for text, status in (
            (forged, 403),
            (signed(algorithm="none"), 403),
            (b"junk", 400),
            (b"", 400),
            (signed(user_id="0"), 400),
            (signed(user_id=...), 400),
            (b"x" * 70_000, 413),
        ):
            found, answer = self.call(text)
            self.assertEqual(found, status, text[:50])
            self.assertLess(len(answer), 30)
        self.assertEqual(self.rows("SELECT * FROM deletion"), [])
        for said in self.said():
            self.assertNotIn(forged.decode()[:20], said)
            self.assertNotIn(USER, said)
        self.assertIn("check facebook.secret", "".join(self.said(LogLevel.warn)))

    def test_log_is_bounded(self) -> None:
        """
        Whoever sends nonsense can't fill the log.
        """
        for _ in range(100):
            self.call(b"junk")
        self.assertEqual(len(self.said()), 1)

    def test_other_app(self) -> None:
        """
        One app can't ask for what another's bots keep.
        """
        self.write("Alice's words")
        self.assertEqual(self.call(signed(SECRET[::-1], user_id=ALICE))[0], 403)
        path = "/v1/facebook/deletion/rival"
        self.ask(path, secret=SECRET[::-1], user_id=ALICE)
        self.erase()
        self.assertEqual(self.rows("SELECT text FROM event"), [("Alice's words",)])

    def test_methods_and_paths(self) -> None:
        """
        Only a POST asks for something, and only at a bot's URL.
        """
        for path in (DELETION, DEAUTHORIZE):
            for method in (b"GET", b"HEAD", b"PUT"):
                line = method + b" " + path.encode() + b"?signed_request=" + signed()
                status, headers, _ = self.exchange(line + b" HTTP/1.1\r\n\r\n")
                self.assertEqual((status, headers["Allow"]), (405, "POST"))
            self.assertEqual(self.call(signed(), path + "/x")[0], 404)
        for path in ("deletion/nobody", "deletion", "deauthorize/nobody"):
            line = b"POST /v1/facebook/" + path.encode() + b" HTTP/1.1\r\n"
            found = self.exchange(line + b"Content-Length: 0\r\n\r\n")[0]
            self.assertEqual(found, 404, path)
        self.assertEqual(self.rows("SELECT * FROM deletion"), [])

    def test_not_kept(self) -> None:
        """
        Where the store fails, or takes too long, the request is answered 503,
        and can be made again.
        """
        self.database.failing = True
        self.assertEqual(self.call(signed())[0], 503)
        self.database.failing = False
        self.database.stepped = True
        body = b"signed_request=" + signed()
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        request = b"POST " + DELETION.encode() + b" HTTP/1.1\r\n" + length + body
        self.peer.send(request)
        self.assertEqual(self.peer.statuses(), [])
        self.clock.advance(COMMIT_DEADLINE)
        self.assertEqual(self.peer.statuses(), [503])
        self.database.step()
        self.peer.send(request)
        self.assertEqual(self.peer.statuses(), [])
        self.database.step()
        self.assertEqual(self.peer.statuses(), [200])
        waits = [str(call) for call in self.clock.getDelayedCalls()]
        self.assertEqual([it for it in waits if "within" in it], [])

    def test_no_public_url(self) -> None:
        """
        Where nobody said where people find the page, the request is not kept,
        and caller and operator are told so; a stranger is not.
        """
        self.public_url = None
        self.assertEqual(self.call(signed(SECRET[::-1]))[1], "forbidden\n")
        status, answer = self.call(signed(), more=b"Host: bot.example.org\r\n")
        self.assertEqual(status, 503)
        self.assertIn("set public_url", answer)
        self.assertEqual(self.rows("SELECT * FROM deletion"), [])
        self.assertIn("public_url", "".join(self.said(LogLevel.error)))

    def test_too_many(self) -> None:
        """
        Of requests that Meta signed, so many are kept in a second, and of
        looks at their pages; what strangers send counts for nothing.
        """
        for number in range(50):
            self.call(b"junk")
            self.ask(issued_at=number)
        self.assertEqual(self.call(signed(issued_at=50))[0], 429)
        code = "ERASE" + "A" * 20
        self.assertEqual({self.look(code)[0] for _ in range(50)}, {404})
        self.assertEqual(self.look(code)[0], 429)
        self.assertEqual(self.look("junk")[0], 404)
        self.clock.advance(1.0)
        self.ask(issued_at=50)
        self.assertEqual(self.look(code)[0], 404)

    def test_another_secret(self) -> None:
        """
        After the app's secret was changed, and the configuration was read
        again, only the new one counts; known pages stay, also of bots that are
        gone.
        """
        code = self.ask()
        self.serve(("ally", SECRET[::-1]), ("new", SECRET))
        self.assertEqual(self.call(signed())[0], 404)
        self.assertEqual(self.call(signed(), "/v1/facebook/deletion/ally")[0], 403)
        self.assertEqual(self.call(signed(), "/v1/facebook/deletion/new")[0], 200)
        self.assertEqual(self.look(code)[0], 200)
