"""
Tests for what :mod:`micamsgr.sandbox.graph_api` tells of apps, tokens and
subscriptions.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from micamsgr.sandbox.accounts import Grant, Page, User
from micamsgr.sandbox.ailments import Ailment, afflict
from micamsgr.sandbox.meta import App

from .test_sandbox_graph_api import ALICE, NOW, PAGE, GraphAPITestCase

APP = "731904582216637"
TOKEN = f"{APP}|app secret"


class AccountTests(GraphAPITestCase):
    """
    Tests for an app and its token.
    """

    def debugged(self, token: str = "page%20token") -> dict[str, Any]:
        """
        Ask as the app what a token is.
        """
        path = f"/debug_token?input_token={token}"
        shown: dict[str, Any] = self.call("GET", path, token=TOKEN)[1]["data"]
        return shown

    def test_app(self) -> None:
        """
        A token tells whose it is, the Page's and the app's own.
        """
        for path, token in (
            ("/app", "page token"),
            ("/app", TOKEN),
            (f"/{APP}", TOKEN),
        ):
            shown = self.call("GET", f"{path}?fields=id,name", token=token)
            self.assertEqual(shown, (200, {"id": APP, "name": "Mica"}))
        self.assertEqual(self.error("GET", "/app", token="other")[1], 190)

    def test_debug(self) -> None:
        """
        What a token allows, and until when, is shown to its own app.
        """
        shown = self.debugged()
        self.assertEqual(shown["profile_id"], PAGE)
        self.assertEqual(shown["type"], "PAGE")
        self.page.grant.targets = (PAGE,)
        granted = {"scope": "pages_messaging", "target_ids": [PAGE]}
        self.assertIn(granted, self.debugged()["granular_scopes"])
        self.page.app = App("999", "another secret")
        self.page.others = [App(APP, "app secret")]
        self.assertEqual(self.debugged()["error"]["code"], 100)
        self.assertFalse(self.debugged()["is_valid"])

    def test_ended(self) -> None:
        """
        A token that has ended is refused everywhere, and shown as invalid.
        """
        self.page.grant.expires_at = int(NOW) + 5
        self.assertEqual(self.call("GET", "/me")[0], 200)
        self.clock.advance(6)
        self.assertEqual(self.error("GET", "/me"), (401, 190, 463))
        shown = self.debugged()
        self.assertFalse(shown["is_valid"])
        self.assertEqual(shown["error"]["subcode"], 463)

    def test_subscriptions(self) -> None:
        """
        An app sees where it is notified, of what, and can end it.
        """
        path = f"/{APP}/subscriptions"
        (shown,) = self.call("GET", path, token=TOKEN)[1]["data"]
        self.assertEqual(shown["callback_url"], "https://bot.test/mica")
        self.assertTrue(shown["active"])
        names = [each["name"] for each in shown["fields"]]
        self.assertIn("messages", names)
        self.assertEqual(shown["fields"][0]["version"], "v25.0")
        self.assertEqual(self.error("GET", path)[1], 190)
        self.call("DELETE", path, token=TOKEN)
        self.assertEqual(self.call("GET", path, token=TOKEN)[1], {"data": []})

    def test_both(self) -> None:
        """
        Of what is not subscribed on both levels nobody is told.
        """
        self.page.app.fields = {"messaging_postbacks"}
        self.meta.message(PAGE, ALICE, "Hi")
        self.assertEqual(self.notified, [])
        self.page.app.fields = {"messages"}
        self.meta.message(PAGE, ALICE, "Hi")
        self.page.app.active = False
        self.meta.message(PAGE, ALICE, "Hi")
        self.assertEqual(len(self.notified), 1)

    def test_others(self) -> None:
        """
        All apps that are subscribed to a Page are listed, and how it routes is
        told.
        """
        afflict(Ailment.OTHERS, self.page, self.meta, self.graph)
        listed = self.call("GET", f"/{PAGE}/subscribed_apps")[1]["data"]
        self.assertEqual([each["id"] for each in listed], [APP, "888000888000888"])
        path = "/me?fields=messaging_feature_status"
        shown = self.call("GET", path)[1]["messaging_feature_status"]
        self.assertEqual(
            shown, {"hop_v2": True, "msgr_multi_app": False, "ig_multi_app": False}
        )


class PersonTests(GraphAPITestCase):
    """
    Tests for a person's tokens, and what they are exchanged for.
    """

    def setUp(self) -> None:
        super().setUp()
        self.owner = User("10158300000000001", self.page.app)
        self.grant = self.owner.tokens["short"] = Grant(
            kind="USER",
            scopes=("pages_show_list", "pages_messaging"),
            issued_at=int(NOW),
            expires_at=int(NOW) + 3600,
        )
        self.owner.pages = [self.page]
        self.meta.users[self.owner.id] = self.owner

    def exchange(self, **changes: str) -> str:
        """
        Make the path of an exchange.
        """
        given = {
            "grant_type": "fb_exchange_token",
            "client_id": APP,
            "client_secret": "app secret",
            "fb_exchange_token": "short",
        }
        return f"/oauth/access_token?{urlencode({**given, **changes})}"

    def test_exchange(self) -> None:
        """
        A short-lived token is exchanged for another one of two months; by its
        own app alone, and while it is good.
        """
        status, shown = self.call("GET", self.exchange(), token="")
        self.assertEqual((status, shown["expires_in"]), (200, 60 * 86400))
        self.assertNotEqual(shown["access_token"], "short")
        for changes, code in (
            ({"client_secret": "x"}, 1),
            ({"client_id": "5"}, 101),
            ({"grant_type": "password"}, 100),
            ({"fb_exchange_token": "page token"}, 190),
        ):
            path = self.exchange(**changes)
            self.assertEqual(self.error("GET", path, token="")[1], code)
        self.clock.advance(4000)
        self.assertEqual(self.error("GET", self.exchange(), token="")[2], 463)

    def test_accounts(self) -> None:
        """
        A Page's token ends with the person's by which it was had, and has no
        end if that is a long one; it allows what theirs does.
        """
        (account,) = self.call("GET", "/me/accounts", token="short")[1]["data"]
        self.assertEqual((account["id"], account["name"]), (PAGE, "Mica's Page"))
        token = account["access_token"]
        self.assertEqual(self.call("GET", "/me", token=token)[1]["id"], PAGE)
        longer = self.call("GET", self.exchange(), token="")[1]["access_token"]
        one = self.call("GET", f"/{PAGE}?fields=access_token", token=longer)[1]
        self.assertEqual(one, {"id": PAGE, "access_token": "page token"})
        self.clock.advance(4000)
        self.assertEqual(self.error("GET", "/me", token=token)[2], 463)
        self.assertEqual(self.call("GET", "/me", token="page token")[0], 200)
        path = f"/{PAGE}/subscribed_apps?subscribed_fields=messages"
        self.assertEqual(self.error("POST", path)[1], 200)

    def test_no_list(self) -> None:
        """
        Without pages_show_list no Page is listed.
        """
        self.grant.scopes = ()
        listed = self.call("GET", "/me/accounts", token="short")
        self.assertEqual(listed, (200, {"data": []}))
        self.assertEqual(self.error("GET", "/me/accounts")[1], 190)
        self.assertEqual(self.error("GET", "/999", token="short")[2], 33)
        shown = self.call("GET", "/me", token="short")[1]
        self.assertEqual(shown["name"], "The Owner")

    def test_paging(self) -> None:
        """
        A long list comes in pieces.
        """
        self.owner.pages = [Page(f"{n:03}", f"t{n}", self.page.app) for n in range(30)]
        first = self.call("GET", "/me/accounts", token="short")[1]
        self.assertEqual(len(first["data"]), 25)
        after = first["paging"]["cursors"]["after"]
        rest = self.call("GET", f"/me/accounts?after={after}", token="short")[1]
        self.assertEqual(rest["data"][0]["id"], "025")
        self.assertNotIn("next", rest["paging"])

    def test_proof(self) -> None:
        """
        A wrong proof is refused here too, and none where one is required.
        """
        path = "/me/accounts"
        self.assertEqual(
            self.error("GET", f"{path}?appsecret_proof=x", token="short")[1], 100
        )
        self.graph.proof_required = True
        self.assertEqual(self.error("GET", path, token="short")[1], 100)

    def test_debug(self) -> None:
        """
        The app is shown that a token is a person's.
        """
        path = "/debug_token?input_token=short"
        shown = self.call("GET", path, token=TOKEN)[1]["data"]
        self.assertEqual((shown["type"], shown["user_id"]), ("USER", self.owner.id))
        self.assertNotIn("profile_id", shown)
