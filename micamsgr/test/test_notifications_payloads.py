"""
Tests for what :mod:`micamsgr.messenger.notifications` reads from payloads that
were documented by Meta, or captured by others.
"""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import Event, Other, Said
from micamsgr.errors import RejectedRequest
from micamsgr.messenger.notifications import parse_notification

PAYLOADS = Path(__file__).parent / "payloads"

NOW = 1795012399999

# What the files in payloads/events tell, by their numbers.
EVENTS = {
    "said message": "001 002 005 007 008 009 010 011 012 013 014 015 016 017 018 "
    "019 020 022 023 024 025 026 027 072 082",
    "said quick_reply": "003 004",
    "said postback": "038 039",
    "postback": "040",
    "echo": "028 029 030 031 066",
    "standby message": "065",
    "standby postback": "067",
    "delivery": "034 035",
    "read": "036",
    "referral": "041 042 071",
    "optin": "043 044 045 046 047",
    "account_linking": "048 049",
    "reaction": "050 051",
    "edit": "052",
    "pass_thread_control": "053",
    "take_thread_control": "054 055",
    "request_thread_control": "056",
    "app_roles": "057",
    "policy-enforcement": "058 059",
    "game_play": "060",
    "messaging_customer_information": "061",
    "messaging_feedback": "062",
    "response_feedback": "063",
    "order": "064",
    "said message, said message, said message": "068",
    "said message, said message": "069 070",
    "changes.messages": "073",
    "changes.feed": "074",
    "unknown": "075",
    "": "006 021 032 033 037 076 077 078 079 080 081",
}

# What the whole notifications in payloads/fixtures tell.
NOTIFICATIONS = {
    "said message": """
        Vlix:regular-text-callback restfb:messaging-airline-itinerary-template
        restfb:messaging-button-template restfb:messaging-message-basic
        restfb:messaging-message-fallback-attachment
        restfb:messaging-message-isunsupported
        restfb:messaging-message-location-attachment
        restfb:messaging-message-media-attachment
        restfb:messaging-message-nlp-1 restfb:messaging-message-nlp-2
        restfb:messaging-message-nlp-3 restfb:messaging-message-nlp-4
        restfb:messaging-message-nlp-5 restfb:messaging-message-nlp-6
        restfb:messaging-message-nlp-7 restfb:messaging-message-nlp-8
        restfb:messaging-message-nlp-distance
        restfb:messaging-message-nlp-duration
        restfb:messaging-message-nlp-duration-2
        restfb:messaging-message-nlp-email restfb:messaging-message-nlp-email-2
        restfb:messaging-message-nlp-error restfb:messaging-message-nlp-location
        restfb:messaging-message-nlp-money restfb:messaging-message-nlp-phone
        restfb:messaging-message-nlp-quantity
        restfb:messaging-message-nlp-temperature
        restfb:messaging-message-nlp-url restfb:messaging-message-nlp-url-2
        restfb:messaging-message-nlp-volume restfb:messaging-message-prior
        restfb:messaging-message-product-template
        restfb:messaging-message-product-template-2
        restfb:messaging-message-reply-1 restfb:messaging-message-reply-2
        restfb:messaging-message-sticker restfb:messaging-message-sticker-thumbup
        """,
    "said quick_reply": "ker0x:message restfb:messaging-message-quickreply",
    "said postback": "restfb:messaging-postback-basic "
    "restfb:messaging-postback-referral",
    "postback": "restfb:messaging-postback-chat",
    "standby message": "Vlix:standby-callback",
    "standby quick_reply": "ker0x:stand-by",
    "echo": "restfb:messaging-message-basic-echo restfb:standby-message-basic-echo",
    "unsend": "restfb:messaging-message-isdeleted",
    "edit": "restfb:messaging-message-edits",
    "delivery": "restfb:messaging-delivery-basic",
    "read": "restfb:messaging-read-basic",
    "reaction": "restfb:messaging-reaction-1 restfb:messaging-reaction-2",
    "referral": "restfb:messaging-referral-basic",
    "optin": "restfb:messaging-optin-basic restfb:messaging-optin-userref",
    "account_linking": "restfb:messaging-accountlinking-linked "
    "restfb:messaging-accountlinking-unlinked",
    "app_roles": "restfb:messaging-approles",
    "pass_thread_control": "restfb:messaging-pass-thread-control",
    "take_thread_control": "restfb:messaging-take-thread-control",
    "request_thread_control": "restfb:messaging-request-thread-control",
    "policy-enforcement": "restfb:messaging-policy-callback-block "
    "restfb:messaging-policy-callback-unblock",
    "payment": "restfb:messaging-payment",
    "checkout_update": "restfb:messaging-checkoutupdate-shipping",
    "changes.feed": "restfb:feed-comment-add-25 restfb:feed-reaction-add",
    "changes.mention": "restfb:mention-post-add-real",
    "changes.parking, changes.payment_options": "restfb:feed-two-entries-25",
    "changes.foo": "restfb:unknown-change-value",
    "": "restfb:messaging-attachment-unsupported restfb:messaging-seen",
}

# What the single items in payloads/fixtures tell.
ITEMS = {
    "said message": "Vlix:attachment-callback-audio Vlix:attachment-callback-fallback "
    "Vlix:attachment-callback-image Vlix:attachment-callback-location "
    "Vlix:attachment-callback-sticker Vlix:attachment-callback-template "
    "Vlix:attachment-callback-video Vlix:text-callback-prior-message",
    "said quick_reply": "Vlix:text-qr-callback ker0x:message",
    "said postback": "Vlix:postback-callback Vlix:postback-callback-referral "
    "Vlix:postback-callback-secondary ker0x:postback ker0x:postback-from-stand-by",
    "echo": "Vlix:echo-callback-button Vlix:echo-callback-fallback "
    "Vlix:echo-callback-generic Vlix:echo-callback-text ker0x:message-echo",
    "delivery": "Vlix:delivery-callback ker0x:delivery",
    "read": "Vlix:read-callback ker0x:read",
    "reaction": "ker0x:reaction",
    "referral": "Vlix:referral-callback ker0x:referral",
    "optin": "Vlix:optin-callback ker0x:optin",
    "account_linking": "Vlix:account-linking-callback ker0x:account-linking",
    "app_roles": "Vlix:app-role-callback ker0x:app-roles",
    "pass_thread_control": "Vlix:pass-thread-control ker0x:pass-thread-control",
    "take_thread_control": "Vlix:take-thread-control ker0x:take-thread-control",
    "request_thread_control": "Vlix:request-thread-control "
    "ker0x:request-thread-control",
    "payment": "Vlix:payment-callback ker0x:payment",
    "pre_checkout": "Vlix:pre-checkout-callback ker0x:pre-checkout",
    "checkout_update": "Vlix:checkout-update ker0x:checkout-update",
    "game_play": "ker0x:game-play",
    "unknown": "Vlix:customer-matching-accepted",
}


def told(events: tuple[Event, ...]) -> str:
    """
    Put into words of what kinds events are.
    """
    return ", ".join(_kind(event) for event in events)


def _kind(event: Event) -> str:
    if isinstance(event, Said):
        return f"{'standby' if event.standby else 'said'} {event.kind}"
    return event.kind if isinstance(event, Other) else type(event).__name__.lower()


def by_name(table: dict[str, str]) -> dict[str, str]:
    """
    Turn a table of kinds and files around.
    """
    return {name: kinds for kinds, names in table.items() for name in names.split()}


def fixtures(sort: str) -> dict[str, bytes]:
    """
    Load the fixtures of a sort (``envelope`` or ``event``), by short names.
    """
    found = {}
    for path in (PAYLOADS / "fixtures").glob(f"*__{sort}-*.json"):
        owner, name, _ = path.name.split("__")
        short = f"{owner.partition('_')[0]}:{name.removesuffix('-json')}"
        found[short] = path.read_bytes()
    return found


class PayloadTests(SynchronousTestCase):
    """
    Tests for what is read from payloads that others wrote.
    """

    def test_documented(self) -> None:
        """
        Every event that Meta documents is read as what it is.
        """
        kinds = by_name(EVENTS)
        paths = sorted((PAYLOADS / "events").glob("[0-9]*.json"))
        self.assertEqual([path.name[:3] for path in paths], sorted(kinds))
        for path in paths:
            events = parse_notification(path.read_bytes(), NOW)
            self.assertEqual(told(events), kinds[path.name[:3]], path.name)

    def test_captured(self) -> None:
        """
        Notifications from other projects' tests are read as what they are.
        """
        kinds, bodies = by_name(NOTIFICATIONS), fixtures("envelope")
        self.assertEqual(sorted(bodies), sorted(kinds))
        for name, body in bodies.items():
            self.assertEqual(told(parse_notification(body, NOW)), kinds[name], name)

    def test_captured_items(self) -> None:
        """
        Single events from other projects' tests are read as what they are.
        """
        kinds, contents = by_name(ITEMS), fixtures("event")
        self.assertEqual(sorted(contents), sorted(kinds))
        for name, content in contents.items():
            page = "PAGE_ID" if name.startswith("ker0x") else "234554838031189"
            entry = {"id": page, "messaging": [json.loads(content)]}
            body = json.dumps({"object": "page", "entry": [entry]}).encode("ascii")
            events = parse_notification(body, NOW)
            self.assertEqual(told(events), kinds[name], name)

    def test_not_json(self) -> None:
        """
        What is not quite JSON is refused.
        """
        for path in (PAYLOADS / "fixtures").glob("*NOT-VALID*"):
            with self.assertRaises(RejectedRequest) as caught:
                parse_notification(path.read_bytes(), NOW)
            self.assertEqual(caught.exception.status, 400)
