"""
Tests for :mod:`micamsgr.sandbox.graph_api`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from random import Random
from typing import Any, cast

from treq.testing import StubTreq
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IResponse

from micamsgr.sandbox.graph_api import GraphAPI
from micamsgr.sandbox.journal import (
    Applied,
    Journal,
)
from micamsgr.sandbox.meta import App, Meta, Page

NOW = 1795362617.25
PAGE = "108463527190842"
ALICE = "6284913775102846"
ROOT = "https://graph.test/v25.0"
MESSAGES = f"/{PAGE}/messages"


def answer_to(psid: str = ALICE, **message: object) -> dict[str, Any]:
    """
    Make the body of a proper answer, with changes to its message.
    """
    return {
        "recipient": {"id": psid},
        "messaging_type": "RESPONSE",
        "message": {"text": "Hello", **message},
    }


class GraphAPITestCase(SynchronousTestCase):
    """
    A Page, known to one person, behind a Graph API in memory.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.journal = Journal()
        self.notified: list[dict[str, Any]] = []
        self.meta = Meta(self.clock, Random(1), self.journal, self.post, self.get)
        app = App("731904582216637", "app secret", callback="https://bot.test/mica")
        self.page = Page(PAGE, "page token", app, people={ALICE: NOW})
        self.meta.pages[PAGE] = self.page
        self.graph = GraphAPI(self.clock, Random(2), self.meta)
        self.client = StubTreq(self.graph)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Deferred[int]:
        """
        Take a notification.
        """
        for entry in json.loads(body)["entry"]:
            self.notified.extend(entry["messaging"])
        return succeed(200)

    def get(self, url: str) -> Deferred[tuple[int, bytes]]:
        """
        Agree to any verification.
        """
        challenge = url.partition("hub.challenge=")[2].partition("&")[0]
        return succeed((200, challenge.encode()))

    def begin(
        self,
        method: str,
        path: str,
        body: object = None,
        token: str | None = "page token",
        data: bytes | None = None,
    ) -> Deferred[IResponse]:
        """
        Begin a call.
        """
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        more = {} if body is None else {"json": body}
        request = self.client.request  # type: ignore[attr-defined]
        url = path if path.startswith("https:") else ROOT + path
        calling = request(method, url, headers=headers, data=data, **more)
        return cast("Deferred[IResponse]", calling)

    def read(self, calling: Deferred[IResponse]) -> tuple[int, bytes]:
        """
        Read the answer to a call that has one.
        """
        self.client.flush()
        response = self.successResultOf(calling)
        content = self.client.content(response)  # type: ignore[attr-defined]
        return response.code, self.successResultOf(content)

    def call(self, *call: Any, **more: Any) -> tuple[int, dict[str, Any]]:
        """
        Make a call, and read its status and document.
        """
        status, body = self.read(self.begin(*call, **more))
        return status, json.loads(body)

    def error(self, *call: Any, **more: Any) -> tuple[int, int, int | None]:
        """
        Make a call that is refused, and read status, code and subcode.
        """
        status, document = self.call(*call, **more)
        error = document["error"]
        self.assertEqual(error["type"], "OAuthException")
        self.assertTrue(error["message"] and error["fbtrace_id"])
        return status, error["code"], error.get("error_subcode")

    def texts(self) -> list[str]:
        """
        Tell what the Page has said.
        """
        return [said.text for said in self.journal.of(Applied)]


class AuthorizationTests(GraphAPITestCase):
    """
    Tests for who may call.
    """

    def test_token_missing(self) -> None:
        """
        A call without a token is refused with code 190.
        """
        self.assertEqual(self.error("GET", "/me", token=None), (400, 190, None))

    def test_token_wrong(self) -> None:
        """
        A call with a token that no Page has is refused with code 190.
        """
        self.assertEqual(self.error("GET", "/me", token="other"), (401, 190, None))

    def test_token_in_query(self) -> None:
        """
        The token may stand in the query.
        """
        path = "/me?access_token=page%20token"
        status, document = self.call("GET", path, token=None)
        self.assertEqual((status, document["id"]), (200, PAGE))

    def test_other_page(self) -> None:
        """
        A Page's token doesn't open another Page.
        """
        self.assertEqual(self.error("GET", "/999"), (400, 100, 33))
        refused = self.error("POST", "/999/messages", answer_to())
        self.assertEqual(refused, (400, 100, 33))
        self.assertEqual(self.texts(), [])

    def test_proof(self) -> None:
        """
        A proof of the app secret is checked wherever one is given.
        """
        proof = hmac.new(b"app secret", b"page token", hashlib.sha256).hexdigest()
        self.assertEqual(self.call("GET", f"/me?appsecret_proof={proof}")[0], 200)
        wrong = proof[:-1] + ("1" if proof[-1] == "0" else "0")
        refused = self.error("GET", f"/me?appsecret_proof={wrong}")
        self.assertEqual(refused, (400, 100, None))

    def test_proof_in_body(self) -> None:
        """
        A proof may stand in the body of a message.
        """
        body = {**answer_to(), "appsecret_proof": "0" * 64}
        self.assertEqual(self.error("POST", MESSAGES, body), (400, 100, None))

    def test_proof_required(self) -> None:
        """
        Where an app requires proofs, a call without one is refused.
        """
        self.graph.proof_required = True
        self.assertEqual(self.error("GET", "/me"), (400, 100, None))


class PageTests(GraphAPITestCase):
    """
    Tests for what is told of a Page.
    """

    def test_page(self) -> None:
        """
        A Page tells its ID and name, or the fields that are asked for.
        """
        page = {"id": PAGE, "name": "Mica's Page"}
        self.assertEqual(self.call("GET", "/me?fields=id,name"), (200, page))
        self.assertEqual(self.call("GET", f"/{PAGE}"), (200, page))

    def test_unknown_field(self) -> None:
        """
        Asking for a field that there isn't is refused.
        """
        self.assertEqual(self.error("GET", "/me?fields=id,shoes"), (400, 100, None))

    def test_unknown_path(self) -> None:
        """
        What isn't served, and what names no version, is refused.
        """
        self.assertEqual(self.error("POST", "/me/feed", {})[1], 2500)
        for url in ("https://graph.test/me", "https://graph.test/latest/me"):
            self.assertEqual(self.error("GET", url)[1], 2500)

    def test_date(self) -> None:
        """
        Answers carry the date by Meta's clock, which may be ahead of ours.
        """
        self.meta.skew = 3600.0
        response = self.successResultOf(self.begin("GET", "/me"))
        self.assertEqual(
            response.headers.getRawHeaders("date"), ["Sun, 22 Nov 2026 16:50:17 GMT"]
        )


class SubscriptionTests(GraphAPITestCase):
    """
    Tests for what an app is notified of, and where.
    """

    path = f"/{PAGE}/subscribed_apps"

    def test_subscribed(self) -> None:
        """
        A Page lists its app with the fields, and no app after a DELETE.
        """
        self.page.fields = {"messages"}
        [app] = self.call("GET", self.path)[1]["data"]
        self.assertEqual(app["id"], "731904582216637")
        self.assertEqual(app["subscribed_fields"], ["messages"])
        self.assertEqual(self.call("DELETE", self.path), (200, {"success": True}))
        self.assertEqual(self.call("GET", self.path), (200, {"data": []}))
        self.meta.message(PAGE, ALICE, "Hi")
        self.assertEqual(self.notified, [])

    def test_subscribe(self) -> None:
        """
        An app subscribes to fields, and then is told of them.
        """
        self.page.fields.clear()
        path = f"{self.path}?subscribed_fields=messages,messaging_postbacks"
        self.assertEqual(self.call("POST", path), (200, {"success": True}))
        self.assertEqual(self.page.fields, {"messages", "messaging_postbacks"})
        self.meta.message(PAGE, ALICE, "Hi")
        self.assertEqual(len(self.notified), 1)

    def test_subscribe_refused(self) -> None:
        """
        Subscribing to nothing, or to what there isn't, is refused.
        """
        for path in (self.path, f"{self.path}?subscribed_fields=messages,shoes"):
            self.assertEqual(self.error("POST", path), (400, 100, None))

    def test_callback(self) -> None:
        """
        An app's callback is changed once the new one has been verified.
        """
        path = "/731904582216637/subscriptions"
        body = {
            "object": "page",
            "callback_url": "https://new.test/mica",
            "verify_token": "verify me",
            "fields": "messages",
        }
        self.assertEqual(self.error("POST", path, body), (400, 190, None))
        token = "731904582216637|app secret"
        called = self.call("POST", path, body, token=token)
        self.assertEqual(called, (200, {"success": True}))
        self.assertEqual(self.page.app.callback, "https://new.test/mica")

    def test_callback_not_verified(self) -> None:
        """
        A callback that doesn't agree is not taken.
        """
        self.meta._get = lambda url: succeed((403, b""))
        body = {
            "object": "page",
            "callback_url": "https://new.test/mica",
            "verify_token": "verify me",
            "fields": "messages",
        }
        token = "731904582216637|app secret"
        path = "/731904582216637/subscriptions"
        self.assertEqual(self.error("POST", path, body, token=token)[1], 2200)
        self.assertEqual(self.page.app.callback, "https://bot.test/mica")

    def test_debug_token(self) -> None:
        """
        An app can ask whether a token of a Page of its is good.
        """
        token = "731904582216637|app secret"
        path = "/debug_token?input_token=page%20token"
        good = self.call("GET", path, token=token)[1]["data"]
        self.assertTrue(good["is_valid"])
        self.assertEqual(good["app_id"], "731904582216637")
        self.assertIn("pages_messaging", good["scopes"])
        bad = self.call("GET", "/debug_token?input_token=other", token=token)[1]
        self.assertFalse(bad["data"]["is_valid"])
        self.assertEqual(self.error("GET", path), (400, 190, None))
