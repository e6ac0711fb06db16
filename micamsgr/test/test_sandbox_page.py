"""
Tests for the sandbox's service and its page, over connections in memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from micamsgr.httpcall import Answer
from micamsgr.sandbox import resources
from micamsgr.sandbox.addresses import base_url, check, served
from micamsgr.sandbox.chats import NAMES
from micamsgr.sandbox.memory import Memory
from micamsgr.sandbox.service import Sandbox, SandboxBot
from micamsgr.services import CannotStart
from micamsgr.web.site import Budget, LimitedSite

from .test_site import Peer

NOW = 1795362617.25
DAEMON, SANDBOX = "http://127.0.0.1:8080", "http://127.0.0.1:8090"
HOST = "127.0.0.1:8090"


class SandboxCase(SynchronousTestCase):
    """
    A sandbox for one bot, whose daemon answers each delivery 200.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.posted: list[dict[str, Any]] = []
        self.announced: list[str] = []
        self.status = 200
        self.remembered, self.runs = Path(self.mktemp()), 0
        self.begin()

    def begin(self) -> None:
        """
        Start the daemon, the first time or again.
        """
        self.runs += 1
        bot = SandboxBot(
            name="mica",
            page=None,
            token="page-token",
            secret="app-secret",
            verify_token="verify-token",
            alias=lambda psid: f"alias-{psid}",
        )
        self.sandbox = Sandbox(
            self.clock,
            Random(self.runs),
            self.call,
            [bot],
            DAEMON,
            SANDBOX,
            self.announced.append,
            Memory(self.remembered, 3),
            suggestions=("Hello!",),
            wall=lambda: NOW,
        )
        self.site = LimitedSite(
            self.sandbox.root,
            self.clock,
            largest_body=1 << 16,
            unverified=Budget(1 << 20),
        )
        self.sandbox.startService()
        self.addCleanup(self.sandbox.stopService)

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Headers,
        body: bytes | None,
        deadline: float,
    ) -> Answer:
        """
        Be the daemon.
        """
        if body is None:
            challenge = url.partition("hub.challenge=")[2].partition("&")[0]
            return Answer(200, Headers(), challenge.encode())
        self.posted.extend(json.loads(body)["entry"][0]["messaging"])
        return Answer(self.status, Headers(), b"")

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, str]:
        """
        Make a request, as a browser on this machine.

        :return: status, and all of the answer.
        """
        kind = {"Content-Type": "application/json"} if method == "POST" else {}
        length = {"Content-Length": str(len(body))}
        sent = {"Host": HOST, **kind, **length, **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        peer = Peer(self.site)
        peer.send(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
        answer = peer.received().decode()
        if path != "/events":
            peer.go()
        return int(answer[9:12]), answer

    def do(self, name: str, **what: object) -> int:
        """
        Do something on the page, and let Meta deliver.

        :return: the status.
        """
        status, _ = self.ask("POST", f"/do/{name}", json.dumps(what).encode())
        self.clock.advance(0.1)
        return status

    def state(self) -> Any:
        """
        Read what a page is told that begins.
        """
        _, answer = self.ask("GET", "/events")
        line = next(it for it in answer.splitlines() if it.startswith("data: "))
        return json.loads(line.removeprefix("data: "))

    def person(self, number: int = 0) -> Any:
        """
        Read what is known of a person.
        """
        return self.state()["people"][number]

    def titles(self) -> list[str]:
        """
        Read the story's titles.
        """
        return [line["title"] for line in self.state()["lines"]]


class ServiceTests(SandboxCase):
    """
    Tests for :class:`Sandbox`.
    """

    def test_announced(self) -> None:
        """
        Once the webhook is verified, the page's address is told.
        """
        self.assertEqual(self.announced, ["http://127.0.0.1:8090/"])
        self.assertEqual(self.titles(), ["The webhook is verified"])

    def test_two_people(self) -> None:
        """
        Two people are there from the start.
        """
        names = [person["name"] for person in self.state()["people"]]
        self.assertEqual(names, ["Alice", "Bob"])

    def test_say(self) -> None:
        """
        What a person writes is delivered, and then marked so.
        """
        psid = self.person()["psid"]
        self.assertEqual(self.do("say", psid=psid, text="Hi"), 204)
        self.assertEqual(self.posted[0]["message"]["text"], "Hi")
        self.assertEqual(self.posted[0]["sender"]["id"], psid)
        bubble = self.person()["bubbles"][0]
        self.assertEqual((bubble["text"], bubble["mark"]), ("Hi", "delivered"))

    def test_not_delivered(self) -> None:
        """
        What the daemon did not keep is not marked as delivered, and comes
        again.
        """
        self.status = 503
        self.do("say", psid=self.person()["psid"], text="Hi")
        self.assertEqual(self.person()["bubbles"][0]["mark"], "sent")
        self.assertIn("Answered 503: Meta will try again", self.titles())
        self.status = 200
        self.clock.advance(0.5)
        self.assertEqual(self.person()["bubbles"][0]["mark"], "delivered")
        self.assertIn("Meta delivers it again", self.titles())

    def test_chip(self) -> None:
        """
        A chip is a quick reply.
        """
        self.do("say", psid=self.person()["psid"], text="Hi", payload="HI")
        self.assertEqual(self.posted[0]["message"]["quick_reply"], {"payload": "HI"})

    def test_get_started(self) -> None:
        """
        The button before the first message is a postback.
        """
        psid = self.person()["psid"]
        self.do("tap", psid=psid, title="Get Started", payload="GET_STARTED")
        postback = self.posted[0]["postback"]
        self.assertEqual(postback["payload"], "GET_STARTED")
        self.assertEqual(self.person()["bubbles"][0]["text"], "Get Started")

    def test_human(self) -> None:
        """
        What a human answers is seen by the person, and comes to the daemon as
        an echo of Meta's inbox.
        """
        self.do("answer", psid=self.person()["psid"], text="I take over")
        self.assertEqual(self.person()["bubbles"][0]["by"], "human")
        self.assertEqual(self.posted[0]["message"]["app_id"], 263902037430900)

    def test_answer(self) -> None:
        """
        What the bot sends is seen by the person, and ends the dots.
        """
        psid = self.person()["psid"]
        self.do("say", psid=psid, text="Hi")
        to = {"recipient": {"id": psid}}
        self.send({**to, "sender_action": "mark_seen"})
        self.send({**to, "sender_action": "typing_on"})
        self.assertTrue(self.person()["typing"])
        self.assertEqual(self.person()["bubbles"][0]["mark"], "seen")
        message = {"text": "Hello", "metadata": "mica:1:p1:1"}
        self.send({**to, "messaging_type": "RESPONSE", "message": message})
        self.assertFalse(self.person()["typing"])
        bubble = self.person()["bubbles"][1]
        self.assertEqual((bubble["by"], bubble["text"]), ("bot", "Hello"))

    def send(self, document: object) -> None:
        """
        Call the Send API, as the daemon does.
        """
        status, _ = self.ask(
            "POST",
            "/v25.0/me/messages",
            json.dumps(document).encode(),
            {"Authorization": "Bearer page-token"},
        )
        self.assertEqual(status, 200)

    def test_doubles(self) -> None:
        """
        Where all comes twice, each message is posted twice; that it was seen
        stays so when it comes again.
        """
        psid = self.person()["psid"]
        self.do("flip", trouble="doubles", on=True)
        for number in range(5):
            self.do("say", psid=psid, text=f"Hi {number}")
        self.send({"recipient": {"id": psid}, "sender_action": "mark_seen"})
        self.clock.advance(2.0)
        texts = sorted(item["message"]["text"] for item in self.posted)
        self.assertEqual(texts, [f"Hi {number}" for number in range(5) for _ in "12"])
        marks = {bubble["mark"] for bubble in self.person()["bubbles"]}
        self.assertEqual(marks, {"seen"})

    def test_join(self) -> None:
        """
        People may join as long as there are names.
        """
        statuses = [self.do("join", bot="mica") for _ in NAMES]
        self.assertEqual(statuses, [204] * (len(NAMES) - 2) + [409] * 2)
        self.assertEqual(self.person(-1)["name"], NAMES[-1])
        self.assertEqual(self.do("join", bot="tom"), 409)

    def test_log(self) -> None:
        """
        What the daemon logs is told as a line about the person it is about;
        what the sandbox itself logs is not.
        """
        psid = self.person()["psid"]
        said = {"bot": "mica", "mid": "m_1", "person": f"alias-{psid}"}
        said |= {"event": "message.taken", "kind": "message"}
        Logger("micamsgr.messenger.webhook").info("kept", state="new", **said)
        Logger("micamsgr.sandbox.meta").info("x", state="new", **said)
        Logger("twisted.web").info("x", state="new", **said)
        line = self.state()["lines"][-1]
        self.assertEqual((line["title"], line["psid"]), ("Kept on disk", psid))
        self.assertEqual(self.titles().count("Kept on disk"), 1)


class ResourcesTests(SandboxCase):
    """
    Tests for who may ask what of the sandbox.
    """

    def test_files(self) -> None:
        """
        The page and what belongs to it is served, and nothing else.
        """
        files = (Path(resources.__file__).parent / "page").iterdir()
        paths = {f"/{file.name}" for file in files} - {"/index.html"}
        for path in ("/", "/script.js", *paths):
            self.assertEqual(self.ask("GET", path)[0], 200, path)
        for path in ("/x", "/index.html", "/style.css/x", "/%2e%2e/service.py", "//"):
            self.assertEqual(self.ask("GET", path)[0], 404, path)

    def test_headers(self) -> None:
        """
        The page may load nothing from elsewhere, run no script of its own
        text, and be framed by nobody.
        """
        _, answer = self.ask("GET", "/")
        self.assertIn(
            "Content-Security-Policy: default-src 'none'; script-src 'self';"
            " style-src 'self'; connect-src 'self'; img-src 'self' data:;"
            " form-action 'none'; frame-ancestors 'none'; base-uri 'none'\r\n",
            answer,
        )
        self.assertIn("X-Content-Type-Options: nosniff\r\n", answer)
        self.assertIn("Cache-Control: no-store\r\n", answer)

    def test_nothing_inline(self) -> None:
        """
        The page has no script and no style in its own text, which its policy
        would refuse.
        """
        page = (Path(resources.__file__).parent / "page" / "index.html").read_text()
        for forbidden in (" style=", "<style", " onclick", "javascript:", "//www"):
            self.assertNotIn(forbidden, page)
        self.assertEqual(page.count("<script"), page.count('<script type="module" src'))

    def test_host(self) -> None:
        """
        Whoever calls this machine by a name that isn't loopback's is refused.
        """
        for host in ("localhost:8090", "[::1]:8090", "127.1.2.3"):
            self.assertEqual(self.ask("GET", "/", headers={"Host": host})[0], 200)
        for host in ("evil.example", "evil.example:8090", "127.0.0.1.evil.example", ""):
            for path in ("/", "/events", "/v25.0/me"):
                status, _ = self.ask("GET", path, headers={"Host": host})
                self.assertEqual(status, 403, host)

    def test_origin(self) -> None:
        """
        What another origin's page sends is refused, and has no effect.
        """
        body = json.dumps({"psid": self.person()["psid"], "text": "Hi"}).encode()
        for origin in ("http://evil.example", "null", "http://127.0.0.1:8080"):
            headers = {"Origin": origin}
            status, _ = self.ask("POST", "/do/say", body, headers)
            self.assertEqual(status, 403, origin)
        self.assertEqual(self.person()["bubbles"], [])
        own = {"Origin": SANDBOX}
        self.assertEqual(self.ask("POST", "/do/say", body, own)[0], 204)

    def test_kind(self) -> None:
        """
        A form, which any page may send, is refused.
        """
        headers = {"Content-Type": "text/plain"}
        body = json.dumps({"psid": self.person()["psid"], "text": "Hi"}).encode()
        self.assertEqual(self.ask("POST", "/do/say", body, headers)[0], 415)

    def test_unreadable(self) -> None:
        """
        What can't be read is answered 400, and somebody unknown 404.
        """
        for body in (b"", b"[]", b"{}", b'{"psid": 1, "text": "x"}', b"[" * 60_000):
            self.assertEqual(self.ask("POST", "/do/say", body)[0], 400, body[:20])
        for text in ("", "  ", "x" * 4001):
            self.assertEqual(self.do("say", psid="1", text=text), 400)
        self.assertEqual(self.do("flip", trouble="flood", on=True), 400)
        self.assertEqual(self.do("say", psid="1", text="x"), 404)
        self.assertEqual(self.do("dance"), 404)
        self.assertEqual(self.ask("GET", "/do/say")[0], 405)

    def test_surrogate(self) -> None:
        """
        Half a character, which JSON can name, is written as a mark instead.
        """
        body = b'{"psid": "%s", "text": "a\\ud800"}' % self.person()["psid"].encode()
        self.assertEqual(self.ask("POST", "/do/say", body)[0], 204)
        self.assertEqual(
            self.person()["bubbles"][0]["text"], "a\N{REPLACEMENT CHARACTER}"
        )

    def test_graph(self) -> None:
        """
        Below a version there is the Graph API.
        """
        status, answer = self.ask(
            "GET", "/v25.0/me", headers={"Authorization": "Bearer page-token"}
        )
        self.assertEqual(status, 200)
        self.assertIn('"name": "mica"', answer)


class AddressesTests(SynchronousTestCase):
    """
    Tests for :mod:`micamsgr.sandbox.addresses`.
    """

    def test_served(self) -> None:
        """
        A bot is the sandbox's whose Graph API is where the sandbox listens.
        """
        endpoints = ["tcp:8090:interface=127.0.0.1:backlog=1024"]
        for url in (SANDBOX, "http://localhost:8090", "http://127.0.0.1:8090/"):
            self.assertTrue(served(url, endpoints), url)
        for url in (
            "https://graph.facebook.com",
            "http://127.0.0.1:8091",
            "https://127.0.0.1:8090",
            "http://graph.example:8090",
            "http://127.0.0.1:8090/graph",
            "http://127.0.0.1",
        ):
            self.assertFalse(served(url, endpoints), url)
        self.assertFalse(served(SANDBOX, ["unix:/run/mica"]))

    def test_base_url(self) -> None:
        """
        The first endpoint that a browser can reach makes the URL.
        """
        self.assertEqual(base_url(["tcp:8080:interface=127.0.0.1"]), DAEMON)
        self.assertEqual(base_url(["unix:/run/mica", "tcp:8080"]), DAEMON)
        self.assertEqual(base_url(["tcp:8080:interface=0.0.0.0"]), DAEMON)
        six = "tcp6:8080:interface=\\:\\:1:backlog=1024"
        self.assertEqual(base_url([six]), "http://[::1]:8080")
        self.assertIsNone(base_url(["unix:/run/mica"]))

    def test_check(self) -> None:
        """
        A sandbox that can't work says what is missing.
        """
        check(DAEMON, SANDBOX, 1)
        for missing, arguments in (
            ("needs TCP", (DAEMON, None, 1)),
            (
                "put http://127.0.0.1:8090 under facebook.graph_url",
                (DAEMON, SANDBOX, 0),
            ),
            ("under listen", (None, SANDBOX, 1)),
        ):
            error = self.assertRaises(CannotStart, check, *arguments)
            self.assertIn(missing, str(error))
