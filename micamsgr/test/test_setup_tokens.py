"""
Tests for how :mod:`micamsgr.setup` comes to a token that lasts, and for the
choice of the Page.
"""

from __future__ import annotations

import json

from micamsgr.sandbox.accounts import Grant, Page
from micamsgr.sandbox.journal import Fault, GraphError, in_turn
from micamsgr.testing import ScriptedTerminal

from .setup_case import GIVEN, OWNERS_TOKEN, TYPED, SetupCase
from .test_sandbox_graph_api import NOW


class TokenTests(SetupCase):
    """
    Tests for tokens, and the choice of the Page.
    """

    def another(self, count: int = 1) -> None:
        """
        Give the owner further Pages.
        """
        for number in range(count):
            page = Page(f"9{number:014}", f"EAAother-{number}", self.app)
            page.name = f"Page {number}"
            self.meta.pages[page.id] = page
            self.owner.pages.insert(0, page)

    def test_short(self) -> None:
        """
        A short-lived token is exchanged, so that the Page's does not end.
        """
        shown = self.done(*TYPED)
        self.assertIn("GET /v25.0/oauth/access_token", self.requested)
        self.assertIn("exchanged for a long-lived one", shown)
        self.assertEqual(self.page.further, {})

    def test_long(self) -> None:
        """
        A long-lived one, or one without an end, is not.
        """
        for expires in (int(NOW) + 50 * 86400, 0):
            self.owner.tokens[OWNERS_TOKEN].expires_at = expires
            self.done(*TYPED)
            self.path.unlink()
        self.assertNotIn("GET /v25.0/oauth/access_token", self.requested)

    def test_pages_own(self) -> None:
        """
        A Page's own token is taken as it is.
        """
        shown = self.done(*TYPED[:5], self.page.token, *TYPED[6:])
        self.assertIn("a Page's own token", shown)
        self.assertNotIn("GET /v25.0/me/accounts", self.requested)

    def test_ending(self) -> None:
        """
        A Page's token that ends within days is refused, as the bot would fall
        silent with it.
        """
        self.page.grant.expires_at = int(NOW) + 3600
        shown = self.given_up(*TYPED[:5], self.page.token)
        self.assertIn("Failed: the Page's token: it expires at", shown)
        self.assertIn("By hand: in your app", shown)
        self.assertFalse(self.path.exists())

    def test_script(self) -> None:
        """
        A script whose token is no good is told how another one is given; a
        person is asked.
        """
        ways = "the environment variable MICA_TOKEN, or --token-file"
        shown = self.refused(answers={**GIVEN, "token": "EAAnobodys"})
        self.assertIn("Failed: the token is not valid", shown)
        self.assertIn(f"  Given by: {ways}; or run setup in a terminal.", shown)
        shown = self.refused(answers={**GIVEN, "llm_key": "wrong"})
        self.assertIn("MICA_LLM_KEY, or --llm-key-file", shown)
        self.assertNotIn(ways, shown)
        self.assertNotIn(ways, self.given_up(*TYPED[:5], "EAAnobodys"))

    def test_choice(self) -> None:
        """
        Of several Pages one is chosen, by its place in the list or its ID.
        """
        self.another()
        for typed in ("2", self.page.id):
            shown = self.done(*TYPED[:6], typed, *TYPED[6:])
            self.assertIn(
                f"  1. Page 0 (900000000000000)\n  2. {self.page.name}", shown
            )
            self.path.unlink()

    def test_wrong_choice(self) -> None:
        """
        A Page that is none of them can be chosen again.
        """
        self.another()
        shown = self.done(*TYPED[:6], "7", "", "0", "", "2", *TYPED[6:])
        self.assertEqual(shown.count("is not among those of this token"), 2)

    def test_named(self) -> None:
        """
        A script names the Page, and is told which there are if it doesn't.
        """
        self.another()
        self.assertIn("Which Page: not given", self.refused(answers=GIVEN))
        self.assertIn("not among those", self.refused(answers={**GIVEN, "page": "5"}))
        terminal = ScriptedTerminal.nobodys()
        self.successResultOf(
            self.begin_setup(terminal, answers={**GIVEN, "page": self.page.id})
        )
        self.path.unlink()
        wrong = {**GIVEN, "token": self.page.token, "page": "900000000000000"}
        self.assertIn("not of 900000000000000", self.refused(answers=wrong))

    def test_many(self) -> None:
        """
        All Pages are listed, however many Meta lists at once.
        """
        self.another(130)
        shown = self.done(*TYPED[:6], "131", *TYPED[6:])
        self.assertIn("  131. Mica's Page", shown)

    def test_business(self) -> None:
        """
        A Page that Meta lists for nobody, as some of a business, is found by the
        permissions that were given for it.
        """
        grant = self.owner.tokens[OWNERS_TOKEN]
        grant.scopes = tuple(it for it in grant.scopes if it != "pages_show_list")
        shown = self.given_up(*TYPED[:6])
        self.assertIn("Meta lists no Page for this token", shown)
        self.assertIn("pages_show_list", shown)
        grant.targets = (self.page.id,)
        self.done(*TYPED)

    def test_scopes(self) -> None:
        """
        A token that doesn't allow what the bot does is refused, and what is
        missing is named.
        """
        grant = self.owner.tokens[OWNERS_TOKEN]
        grant.scopes = ("pages_show_list", "pages_messaging")
        shown = self.given_up(*TYPED[:6])
        self.assertIn("missing: pages_manage_metadata", shown)
        grant.scopes += ("pages_manage_metadata",)
        shown = self.done(*TYPED)
        self.assertIn("Note: missing: pages_read_engagement", shown)

    def test_invalid(self) -> None:
        """
        A token that is nobody's, has expired, or is of another app is refused
        in words, and asked for again.
        """
        self.owner.tokens["EAAold"] = Grant(kind="USER", expires_at=int(NOW) - 5)
        shown = self.done(*TYPED[:5], "EAAx", "", "EAAold", "", *TYPED[5:])
        self.assertEqual(shown.count("the token is not valid; Meta says: "), 2)

    def test_other_app(self) -> None:
        """
        A token of another app is refused, also where Meta shows it.
        """
        facts = {"is_valid": True, "app_id": 5, "type": "USER"}
        fault = Fault(status=200, body=json.dumps({"data": facts}).encode())
        self.graph.faults = in_turn("debug_token", fault)
        shown = self.done(*TYPED[:6], "", *TYPED[5:])
        self.assertIn("the token is of app 5, not of 731904582216637", shown)

    def test_exchange_refused(self) -> None:
        """
        Where Meta does not exchange a token, its words are shown and the way by
        hand; the same token can be tried again.
        """
        refused = GraphError("(#10) Application does not have permission", 10)
        fault = Fault(applied=False, error=refused)
        self.graph.faults = in_turn("access_token", fault)
        shown = self.done(*TYPED[:6], "", "", *TYPED[6:])
        self.assertIn("Meta says: (#10) Application does not have", shown)
        self.assertIn("By hand: in your app at developers.facebook.com", shown)
