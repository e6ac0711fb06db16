"""
Tests for what :mod:`micamsgr.sandbox.graph_api` tells of apps, tokens and
subscriptions.
"""

from __future__ import annotations

from typing import Any

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
