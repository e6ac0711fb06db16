"""
Tests for what the Graph API's answers mean, in :mod:`micamsgr.check`.
"""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from micamsgr.check.remote import judge_clock, judge_graph
from micamsgr.check.subscribed import (
    judge_app_subscription,
    judge_page_subscription,
    judge_routing,
    shown_url,
)
from micamsgr.check.token import (
    judge_app,
    judge_page,
    judge_proof,
    judge_scopes,
    judge_token,
)
from micamsgr.httpcall import Answer
from micamsgr.messenger.told import Told, text

from .test_check_judgements import name_of

NOW = 1_795_362_617.0
DAY = 86_400
PAGE, APP = "108463527190842", "731904582216637"
ROOT = "https://bot.example"
CALLBACK = f"{ROOT}/v1/facebook/webhook/mica"
FIELDS = ["messages", "messaging_postbacks", "message_echoes"]
SCOPES = ["pages_messaging", "pages_manage_metadata", "pages_read_engagement"]
GONE = Told(answer=None, failure="no answer")


def told(document: object, status: int = 200, **headers: str) -> Told:
    """Make an answer of the Graph API."""
    body = json.dumps(document).encode()
    raw = Headers({name: [value] for name, value in headers.items()})
    return Told(answer=Answer(status, raw, body), at=NOW, seconds=0.1)


def error(code: int, message: str = "", status: int = 400, **more: object) -> Told:
    """Make an answer of the Graph API that is an error."""
    return told({"error": {"code": code, "message": message, **more}}, status)


ME = told({"id": PAGE, "name": "Mica's Page"})
OF_APP = told({"id": APP, "name": "Mica"})
HTML = Told(answer=Answer(200, Headers(), b"<html>"))
DOWN = told({"error": {"code": 2}}, 503)


def debug(**changes: object) -> Told:
    """Make an answer of ``/debug_token``; ``None`` takes a member away."""
    shown: dict[str, object] = {
        "app_id": APP,
        "type": "PAGE",
        "is_valid": True,
        "expires_at": 0,
        "data_access_expires_at": 0,
        "scopes": SCOPES,
        "profile_id": PAGE,
        **changes,
    }
    return told({"data": {k: v for k, v in shown.items() if v is not None}})


class TokenTests(SynchronousTestCase):
    """
    Tests for the token, its app, its Page and what it allows.
    """

    def test_token(self) -> None:
        """
        Whether it is valid is read from whatever tells of it, and what ends
        soon is a warning.
        """
        invalid = {"is_valid": False, "error": {"code": 190, "subcode": 460}}
        ended = {"is_valid": False, "error": {"code": 190, "subcode": 463}}
        week = int(NOW) + 7 * DAY
        cases: tuple[tuple[Told, Told | None, str], ...] = (
            (ME, debug(), "ok"),
            (ME, None, "ok"),
            (ME, DOWN, "ok"),
            (error(190, error_subcode=463), None, "token.expired"),
            (error(190, error_subcode=460), None, "token.invalid"),
            (error(190, status=401), debug(), "token.invalid"),
            (error(102), None, "token.invalid"),
            (GONE, debug(**ended), "token.expired"),
            (GONE, debug(**invalid), "token.invalid"),
            (GONE, debug(expires_at=int(NOW)), "token.expired"),
            (GONE, debug(), "ok"),
            (GONE, None, "token.unknown"),
            (HTML, None, "token.unknown"),
            (ME, debug(type="USER"), "token.kind"),
            (ME, debug(expires_at=week), "token.expiring"),
            (ME, debug(expires_at=str(week)), "token.expiring"),
            (ME, debug(expires_at=week + 1), "ok"),
            (ME, debug(data_access_expires_at=week), "token.data_access"),
            (ME, debug(data_access_expires_at=week + 1), "ok"),
            (ME, debug(expires_at=None, data_access_expires_at=None), "ok"),
            (ME, debug(expires_at=10**19), "ok"),
            (ME, debug(expires_at={}, type=None, error=[]), "ok"),
        )
        for me, shown, name in cases:
            found = judge_token("mica", me, shown, NOW)
            self.assertEqual(name_of(found), name, shown)

    def test_app(self) -> None:
        """
        Another app's token, another secret, and an app that nobody knows are
        told apart.
        """
        other = told({"id": "999"})
        mismatch = debug(is_valid=False, app_id=None, error={"code": 100})
        cases: tuple[tuple[str | None, Told, Told, Told | None, str], ...] = (
            (APP, ME, OF_APP, debug(), "ok"),
            (None, ME, OF_APP, debug(), "ok"),
            (APP, ME, GONE, debug(), "ok"),
            (APP, ME, other, debug(), "app.other"),
            (APP, ME, GONE, debug(app_id="999"), "app.other"),
            (APP, GONE, GONE, mismatch, "app.other"),
            (APP, ME, GONE, debug(is_valid=False, app_id=None), "app.other"),
            (APP, ME, OF_APP, error(190), "app.secret"),
            (APP, ME, OF_APP, error(101), "app.secret"),
            (APP, ME, OF_APP, error(4), "app.unknown"),
            (APP, ME, OF_APP, DOWN, "app.unknown"),
            (APP, GONE, GONE, GONE, "app.unknown"),
            (None, ME, GONE, None, "app.unknown"),
            (None, ME, DOWN, None, "app.unknown"),
            (None, ME, error(190), None, "app.unnamed"),
            (APP, ME, error(190), None, "app.unknown"),
        )
        for configured, me, app, shown, name in cases:
            found = judge_app("mica", configured, me, app, shown)
            self.assertEqual(name_of(found), name)

    def test_named_already(self) -> None:
        """
        Who has given the app's ID, or has no answer, is not told to give it.
        """
        for configured, app, shown in (
            (APP, GONE, GONE),
            (APP, OF_APP, error(4)),
            (None, GONE, None),
        ):
            found = judge_app("mica", configured, ME, app, shown)
            self.assertNotIn("app_id", found.todo)
            self.assertIn("the lines on token, app and graph", found.todo)
        for answer, named in ((None, APP), (GONE, None), (error(200), APP)):
            found = judge_page_subscription("mica", answer, named)
            self.assertNotIn("app_id", found.todo)
            self.assertIn("the lines on token, app, scopes and graph", found.todo)
        found = judge_app("mica", None, ME, error(190), None)
        self.assertIn("facebook.app_id", found.todo)

    def test_page(self) -> None:
        """
        The token's Page is compared with the configuration's.
        """
        cases: tuple[tuple[str | None, Told, Told | None, str], ...] = (
            (PAGE, ME, None, "ok"),
            (None, ME, None, "ok"),
            (PAGE, told({"id": int(PAGE)}), None, "ok"),
            ("1", ME, None, "page.other"),
            ("1", GONE, debug(), "page.other"),
            (PAGE, GONE, debug(), "ok"),
            (PAGE, GONE, None, "page.unknown"),
            (PAGE, error(190), None, "page.unknown"),
        )
        for configured, me, shown, name in cases:
            found = judge_page("mica", configured, me, shown)
            self.assertEqual(name_of(found), name)

    def test_scopes(self) -> None:
        """
        What is missing is told by what becomes of it, and for which Page it is
        granted counts.
        """
        elsewhere = [{"scope": "pages_messaging", "target_ids": ["1"]}]
        here = [{"scope": "pages_messaging", "target_ids": ["1", PAGE]}]
        unbound: list[Any] = [{"scope": "pages_messaging"}, "odd"]
        cases: tuple[tuple[Told | None, str], ...] = (
            (debug(), "ok"),
            (debug(granular_scopes=here), "ok"),
            (debug(granular_scopes=unbound), "ok"),
            (debug(granular_scopes=elsewhere), "scopes.elsewhere"),
            (debug(scopes=SCOPES[1:]), "scopes.missing"),
            (debug(scopes=[SCOPES[0], SCOPES[2]]), "scopes.missing"),
            (debug(scopes=SCOPES[:2]), "scopes.partial"),
            (debug(scopes=None), "scopes.unknown"),
            (debug(is_valid=False), "scopes.unknown"),
            (None, "scopes.unknown"),
            (GONE, "scopes.unknown"),
        )
        for shown, name in cases:
            found = judge_scopes("mica", PAGE, shown)
            self.assertEqual(name_of(found), name)
        unknown = judge_scopes("mica", None, debug(granular_scopes=elsewhere))
        self.assertEqual(name_of(unknown), "ok")

    def test_proof(self) -> None:
        """
        A proof that is refused is told from a call that fails for something
        else; whether it is required is only told.
        """
        refused = error(100, "(#100) Invalid appsecret_proof provided")
        required = error(100, "(#100) API calls require an appsecret_proof argument")
        for proved, unproved, name, words in (
            (ME, ME, "ok", "without it too"),
            (ME, required, "ok", "required by"),
            (ME, GONE, "ok", "accepted"),
            (refused, ME, "appsecret_proof.refused", ""),
            (refused, required, "appsecret_proof.refused", ""),
            (error(100), ME, "appsecret_proof.refused", ""),
            (error(190), error(190), "appsecret_proof.unknown", ""),
            (error(4), ME, "appsecret_proof.unknown", ""),
            (error(613), ME, "appsecret_proof.unknown", ""),
            (DOWN, ME, "appsecret_proof.unknown", ""),
            (GONE, GONE, "appsecret_proof.unknown", ""),
        ):
            found = judge_proof("mica", proved, unproved)
            self.assertEqual(name_of(found), name)
            self.assertIn(words, found.line)


class RemoteTests(SynchronousTestCase):
    """
    Tests for reaching the Graph API, and its clock.
    """

    def test_graph(self) -> None:
        """
        No answers, many failures, some, and slow answers are told apart; a
        refusal is an answer.
        """
        slow = evolve(ME, seconds=1.6)
        for calls, name in (
            ([ME] * 5, "ok"),
            ([error(190)] * 5, "ok"),
            ([GONE, GONE], "graph.unreachable"),
            ([DOWN] * 5, "graph.failing"),
            ([HTML] * 5, "graph.failing"),
            ([GONE, DOWN], "graph.failing"),
            ([ME, ME, DOWN, DOWN], "graph.failing"),
            ([ME, ME, ME, DOWN, GONE], "graph.flaky"),
            ([slow] * 3 + [ME] * 2, "graph.slow"),
            ([slow] * 2 + [ME] * 3, "ok"),
        ):
            self.assertEqual(name_of(judge_graph("mica", calls)), name)

    def test_clock(self) -> None:
        """
        The clock is compared with the Date of the Graph API's own answers, the
        nearest of them.
        """
        for off, name in (
            (0, "ok"),
            (4, "ok"),
            (-4, "ok"),
            (6, "clock.off"),
            (-6, "clock.off"),
            (59, "clock.off"),
            (62, "clock.wrong"),
            (-62, "clock.wrong"),
        ):
            date = formatdate(NOW - off, usegmt=True)
            found = judge_clock("mica", [told({"id": "1"}, date=date)])
            self.assertEqual(name_of(found), name, off)
            if name != "ok":
                self.assertIn("ahead of" if off > 0 else "behind", found.line)
        wrong = told({"id": "1"}, date=formatdate(NOW - 900, usegmt=True))
        right = told({"id": "1"}, date=formatdate(NOW, usegmt=True))
        self.assertEqual(name_of(judge_clock("mica", [wrong, right])), "ok")
        odd = told({"id": "1"}, date="yesterday")
        page = Told(
            answer=Answer(
                200, Headers({"date": [formatdate(NOW, usegmt=True)]}), b"<html>"
            )
        )
        for calls in ([GONE], [ME], [odd], [page]):
            self.assertEqual(name_of(judge_clock("mica", calls)), "clock.unknown")


class SubscriptionTests(SynchronousTestCase):
    """
    Tests for what Meta delivers, where, and whom else it tells.
    """

    def subscription(self, **changes: object) -> Told:
        """Make an answer of ``/{app-id}/subscriptions``."""
        shown = {
            "object": "page",
            "callback_url": CALLBACK,
            "active": True,
            "fields": [{"name": name, "version": "v25.0"} for name in FIELDS],
            **changes,
        }
        return told({"data": [{"object": "user"}, shown]})

    def test_app(self) -> None:
        """
        Where Meta delivers, whether at all, and what, is told.
        """
        cases: tuple[tuple[Told | None, str], ...] = (
            (self.subscription(), "ok"),
            (self.subscription(fields=FIELDS), "ok"),
            (self.subscription(callback_url=f"{CALLBACK}/"), "ok"),
            (
                self.subscription(callback_url=CALLBACK.replace("bot.", "BOT.")),
                "ok",
            ),
            (
                self.subscription(
                    callback_url=CALLBACK.replace(".example", ".example:443")
                ),
                "ok",
            ),
            (
                self.subscription(callback_url=CALLBACK.replace("https", "http")),
                "app_subscription.elsewhere",
            ),
            (
                self.subscription(callback_url=f"{ROOT}/v1/facebook/webhook/MICA"),
                "app_subscription.elsewhere",
            ),
            (
                self.subscription(callback_url="https://[broken"),
                "app_subscription.elsewhere",
            ),
            (self.subscription(callback_url=None), "app_subscription.elsewhere"),
            (self.subscription(active=False), "app_subscription.inactive"),
            (self.subscription(fields=FIELDS[1:]), "app_subscription.fields"),
            (
                self.subscription(fields=[FIELDS[0], FIELDS[2]]),
                "app_subscription.fields",
            ),
            (self.subscription(fields=FIELDS[:2]), "app_subscription.degraded"),
            (self.subscription(fields=None), "app_subscription.unknown"),
            (told({"data": []}), "app_subscription.none"),
            (told({"data": [{"object": "user"}]}), "app_subscription.none"),
            (error(190), "app_subscription.unknown"),
            (GONE, "app_subscription.unknown"),
            (None, "app_subscription.unknown"),
        )
        for answer, name in cases:
            found = judge_app_subscription("mica", answer, ROOT, ("mica",))
            self.assertEqual(name_of(found), name, answer)

    def test_bots(self) -> None:
        """
        An app has one webhook for all its bots: that of any of them will do.
        """
        answer = self.subscription(callback_url=CALLBACK.replace("mica", "mick"))
        for bots, name in (
            (("mica", "mick"), "ok"),
            (("mica",), "app_subscription.elsewhere"),
        ):
            for root in (ROOT, None):
                found = judge_app_subscription("mica", answer, root, bots)
                self.assertEqual(name_of(found), name)

    def test_page(self) -> None:
        """
        Whether our app is told, and of what, is read from all that are.
        """
        ours = {"id": APP, "subscribed_fields": FIELDS}
        other = {"id": "999", "name": "Other", "subscribed_fields": FIELDS}

        def apps(*listed: object) -> Told:
            return told({"data": list(listed)})

        cases: tuple[tuple[Told | None, str | None, str], ...] = (
            (apps(ours), APP, "ok"),
            (apps(ours), None, "ok"),
            (apps(other, ours), APP, "ok"),
            (apps(), APP, "page_subscription.none"),
            (apps(other), APP, "page_subscription.none"),
            (apps({**ours, "subscribed_fields": []}), APP, "page_subscription.none"),
            (apps(other, ours), None, "page_subscription.unnamed"),
            (
                apps({**ours, "subscribed_fields": FIELDS[1:]}),
                APP,
                "page_subscription.fields",
            ),
            (
                apps({**ours, "subscribed_fields": FIELDS[:2]}),
                APP,
                "page_subscription.degraded",
            ),
            (error(200), APP, "page_subscription.unknown"),
            (GONE, APP, "page_subscription.unknown"),
            (None, APP, "page_subscription.unknown"),
        )
        for answer, app, name in cases:
            found = judge_page_subscription("mica", answer, app)
            self.assertEqual(name_of(found), name)

    def test_routing(self) -> None:
        """
        Other apps on the Page are named; that several share conversations
        matters only where the bot is not told of it.
        """
        ours: dict[str, Any] = {"id": APP, "subscribed_fields": FIELDS}
        hears = {"id": APP, "subscribed_fields": [*FIELDS, "messaging_handovers"]}
        other = {"id": "999", "name": "Other\nBot", "subscribed_fields": FIELDS}

        def features(shared: object) -> Told:
            status = {"hop_v2": True, "msgr_multi_app": shared}
            return told({"id": PAGE, "messaging_feature_status": status})

        alone = features(False)
        cases: tuple[tuple[list[dict[str, Any]], Told, str | None, str], ...] = (
            ([ours], alone, APP, "ok"),
            ([ours], alone, None, "ok"),
            ([ours], GONE, APP, "ok"),
            ([{"id": APP}], alone, None, "ok"),
            ([ours, other], alone, APP, "routing.others"),
            ([other], alone, APP, "routing.others"),
            ([ours, other], alone, None, "routing.others"),
            ([ours], features(True), APP, "routing.unheard"),
            ([ours], features("ENABLED"), APP, "routing.unheard"),
            ([hears], features(True), APP, "ok"),
        )
        for listed, status, app, name in cases:
            found = judge_routing("mica", status, told({"data": listed}), app)
            self.assertEqual(name_of(found), name)
            self.assertNotIn("\n", found.line)
        for answer in (GONE, None, error(200)):
            found = judge_routing("mica", alone, answer, APP)
            self.assertEqual(name_of(found), "routing.unknown")

    def test_shown(self) -> None:
        """
        Of somebody else's URL nothing is shown that may be secret.
        """
        url = "https://user:word@Elsewhere.example:8443/path?token=secret#x"
        self.assertEqual(shown_url(url), "https://elsewhere.example:8443/path")
        self.assertEqual(shown_url(""), "no URL")
        self.assertEqual(shown_url("https://[x"), "a URL that is none")
        self.assertEqual(text("a\x1b[31m" + "b" * 100), "a [31m" + "b" * 74 + "…")
