"""
What can be wrong with an app, a Page and a token at Meta, and with the Graph
API itself, each to be switched on.
"""

from __future__ import annotations

from enum import Enum
from random import Random

from attrs import evolve

from micamsgr.sandbox.accounts import FIELDS, SCOPES, App, Page
from micamsgr.sandbox.graph_api import GraphAPI
from micamsgr.sandbox.journal import (
    DROPPED_BEFORE,
    HTML,
    INTERNAL,
    Call,
    Fault,
    Plan,
    always,
)
from micamsgr.sandbox.meta import Meta

_DAY = 86400


class Ailment(Enum):
    """
    What may be wrong.  ENDED: the token's owner has changed the password.
    GATEWAY: something else than the Graph API answers, with a page of HTML.
    SHARED: several apps share the conversations.
    """

    EXPIRED = "the token has expired"
    EXPIRING = "the token expires within days"
    ENDED = "the token was ended"
    UNKNOWN_TOKEN = "the token is nobody's"
    USER_TOKEN = "the token is a user's"
    DATA_ACCESS = "the access to data has expired"
    OTHER_APP = "the token is another app's"
    OTHER_SECRET = "the app has another secret"
    OTHER_PAGE = "the token is another Page's"
    NO_MESSAGING = "pages_messaging is missing"
    NO_METADATA = "pages_manage_metadata is missing"
    NO_READING = "pages_read_engagement is missing"
    OTHER_TARGETS = "the scopes are granted for another Page"
    NO_CALLBACK = "the app has no webhook"
    CALLBACK_ELSEWHERE = "the app's webhook is another"
    INACTIVE = "the app's webhook is not active"
    APP_LACKS_MESSAGES = "the app is not subscribed to messages"
    APP_LACKS_ECHOES = "the app is not subscribed to echoes"
    NOT_SUBSCRIBED = "the Page is not subscribed"
    PAGE_LACKS_POSTBACKS = "the Page is not subscribed to postbacks"
    PAGE_LACKS_ECHOES = "the Page is not subscribed to echoes"
    OTHERS = "another app is subscribed to the Page"
    SHARED = "conversations are shared"
    CLOCK_OFF = "Meta's clock is ten seconds ahead"
    CLOCK_WRONG = "Meta's clock is an hour behind"
    SLOW = "the Graph API is slow"
    FAILING = "the Graph API answers 500"
    FLAKY = "the Graph API answers 500 now and then"
    DROPPING = "the Graph API closes connections"
    GATEWAY = "a gateway answers for the Graph API"


def afflict(ailment: Ailment, page: Page, meta: Meta, graph: GraphAPI) -> None:
    """
    Switch an ailment on; several may be on at once.
    """
    now, grant, app = meta.now(), page.grant, page.app
    match ailment:
        case Ailment.EXPIRED:
            grant.expires_at = int(now) - 60
        case Ailment.EXPIRING:
            grant.expires_at = int(now) + 3 * _DAY
        case Ailment.ENDED:
            grant.ended = 460
        case Ailment.UNKNOWN_TOKEN:
            page.token = "another token"
        case Ailment.USER_TOKEN:
            grant.kind = "USER"
        case Ailment.DATA_ACCESS:
            grant.data_access_expires_at = int(now) - _DAY
        case Ailment.OTHER_APP:
            page.app = App("999000999000999", "another secret")
            page.others.append(app)
        case Ailment.OTHER_SECRET:
            app.secret = "another secret"
        case Ailment.OTHER_PAGE:
            meta.pages[f"9{page.id}"] = meta.pages.pop(page.id)
            page.id = f"9{page.id}"
        case Ailment.NO_MESSAGING:
            _take(page, "pages_messaging")
        case Ailment.NO_METADATA:
            _take(page, "pages_manage_metadata")
        case Ailment.NO_READING:
            _take(page, "pages_read_engagement")
        case Ailment.OTHER_TARGETS:
            grant.targets = (f"9{page.id}",)
        case Ailment.NO_CALLBACK:
            app.callback = ""
        case Ailment.CALLBACK_ELSEWHERE:
            app.callback = "https://elsewhere.example/webhook?token=of-somebody"
        case Ailment.INACTIVE:
            app.active = False
        case Ailment.APP_LACKS_MESSAGES:
            app.fields = set(FIELDS) - {"messages"}
        case Ailment.APP_LACKS_ECHOES:
            app.fields = set(FIELDS) - {"message_echoes"}
        case Ailment.NOT_SUBSCRIBED:
            page.fields.clear()
        case Ailment.PAGE_LACKS_POSTBACKS:
            page.fields.discard("messaging_postbacks")
        case Ailment.PAGE_LACKS_ECHOES:
            page.fields.discard("message_echoes")
        case Ailment.OTHERS:
            page.others.append(App("888000888000888", "a secret", "Another Bot"))
        case Ailment.SHARED:
            page.shared = True
        case Ailment.CLOCK_OFF:
            meta.skew = 10.0
        case Ailment.CLOCK_WRONG:
            meta.skew = -3600.0
        case Ailment.SLOW:
            graph.faults = always("page", Fault(delay=2.0))
        case Ailment.FAILING:
            graph.faults = lambda call, random: INTERNAL
        case Ailment.FLAKY:
            graph.faults = _now_and_then(INTERNAL)
        case Ailment.DROPPING:
            graph.faults = lambda call, random: DROPPED_BEFORE
        case Ailment.GATEWAY:
            graph.faults = lambda call, random: evolve(HTML, status=200)


def _take(page: Page, scope: str) -> None:
    page.grant.scopes = tuple(each for each in SCOPES if each != scope)


def _now_and_then(fault: Fault) -> Plan[Fault]:
    """
    Spoil every third call of a Page: one of five at least, whoever else calls.
    """
    count = 0

    def plan(call: Call, random: Random) -> Fault | None:
        nonlocal count
        count += call.kind == "page"
        return fault if call.kind == "page" and count % 3 == 0 else None

    return plan
