"""
Tests for passing threads on by :mod:`micamsgr.messenger.graph`, and for what
notifications tell of it.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.error import ConnectionLost
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import Control, Event, Other
from micamsgr.messenger.notifications import parse_notification
from micamsgr.testing import ALICE, INBOX, NOW, PAGE

from .test_graph import WITH_ALICE, GraphCase

OURS = "731904582216637"


class PassOnTests(GraphCase):
    """
    Tests for passing a thread on.
    """

    def test_request(self) -> None:
        """
        What is sent is the documented request.
        """
        passing = self.begin(self.messenger.pass_on(WITH_ALICE, INBOX))
        wire = self.accept()
        method, target, _, body = self.request(wire)
        path = urlsplit(target).path
        self.assertEqual((method, path), ("POST", f"/v25.0/{PAGE}/pass_thread_control"))
        document = json.loads(body)
        self.assertEqual(document["recipient"], {"id": ALICE})
        self.assertEqual(document["target_app_id"], INBOX)
        self.respond(wire, {"success": True})
        self.successResultOf(passing)

    def test_fails(self) -> None:
        """
        Where that fails the operator is told, and nothing else happens.
        """
        with capturedLogs() as events:
            passing = self.begin(self.messenger.pass_on(WITH_ALICE, INBOX))
            error = {"message": "no", "code": 2018171}
            wire = self.accept()
            self.respond(wire, {"error": error}, 400)
            self.successResultOf(passing)
            passing = self.begin(self.messenger.pass_on(WITH_ALICE, INBOX))
            wire.lose(ConnectionLost())
            self.successResultOf(passing)
        told = [event for event in events if event.get("app") == INBOX]
        self.assertEqual(len(told), 2)


class NotificationTests(SynchronousTestCase):
    """
    Tests for what Meta tells of a thread's owner.
    """

    def event(self, channel: str = "messaging", **content: Any) -> Event:
        """
        Read a notification of one item.
        """
        item = {
            "sender": {"id": ALICE},
            "recipient": {"id": PAGE},
            "timestamp": NOW,
            **content,
        }
        entry = {"id": PAGE, "time": NOW, channel: [item]}
        body = json.dumps({"object": "page", "entry": [entry]}).encode()
        (event,) = parse_notification(body, NOW)
        return event

    def test_owner(self) -> None:
        """
        The new owner, or the one to be, is read whether it is text or a
        number.
        """
        for kind, member in (
            ("pass_thread_control", "new_owner_app_id"),
            ("take_thread_control", "new_owner_app_id"),
            ("request_thread_control", "requested_owner_app_id"),
        ):
            for owner in (OURS, int(OURS)):
                content: Any = {kind: {member: owner, "metadata": ""}}
                event = self.event(**content)
                assert isinstance(event, Control)
                self.assertEqual((event.kind, event.owner), (kind, OURS))
                self.assertEqual((event.page, event.psid), (PAGE, ALICE))

    def test_swapped(self) -> None:
        """
        It is the same person\'s thread whichever way round Meta names the two.
        """
        event = self.event(
            sender={"id": PAGE},
            recipient={"id": ALICE},
            request_thread_control={"requested_owner_app_id": 1},
        )
        assert isinstance(event, Control)
        self.assertEqual(event.psid, ALICE)

    def test_no_owner(self) -> None:
        """
        Older payloads lack it; what is of another shape is no reason to
        refuse the notification.
        """
        values: tuple[Any, ...] = ({}, {"new_owner_app_id": None}, [], None, "x")
        for value in values:
            event = self.event(take_thread_control=value)
            assert isinstance(event, Control)
            self.assertIsNone(event.owner)

    def test_standby(self) -> None:
        """
        What happens on standby, where another app is the owner, is counted
        alone.
        """
        event = self.event("standby", take_thread_control={})
        self.assertIsInstance(event, Other)
        self.assertNotIsInstance(event, Control)
