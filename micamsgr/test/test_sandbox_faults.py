"""
Tests for what can be made to go wrong at the stand-in for the Graph API.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.web.client import ResponseNeverReceived
from twisted.web.iweb import IResponse

from micamsgr.sandbox.graph_api import GraphAPI
from micamsgr.sandbox.journal import (
    DROPPED_AFTER,
    DROPPED_BEFORE,
    GARBAGE,
    HANGING,
    HTML,
    INTERNAL,
    Chances,
    EchoFault,
    Ending,
    Fault,
    Refused,
    Spoiled,
    always,
    in_turn,
    rejection,
)
from micamsgr.test.test_sandbox_graph_api import (
    ALICE,
    MESSAGES,
    GraphAPITestCase,
    answer_to,
)


class FaultTests(GraphAPITestCase):
    """
    Tests for what can be made to go wrong.
    """

    def send(self, fault: Fault) -> Deferred[IResponse]:
        """
        Begin to send a message that a fault befalls.
        """
        self.graph.faults = in_turn("message", fault)
        return self.begin("POST", MESSAGES, answer_to())

    def test_rejection(self) -> None:
        """
        A call can be rejected with any code, before it is applied.
        """
        status, body = self.read(self.send(rejection(551, 1545041)))
        error = json.loads(body)["error"]
        self.assertEqual((status, error["code"]), (400, 551))
        self.assertEqual(error["error_subcode"], 1545041)
        self.assertEqual(self.texts(), [])

    def test_once(self) -> None:
        """
        Faults planned in turn befall calls of their kind alone, and are over
        once each has been used.
        """
        self.graph.faults = in_turn("message", None, rejection(2))
        self.assertEqual(self.call("GET", "/me")[0], 200)
        action = {"recipient": {"id": ALICE}, "sender_action": "typing_on"}
        self.assertEqual(self.call("POST", MESSAGES, action)[0], 200)
        statuses = [self.call("POST", MESSAGES, answer_to())[0] for _ in range(3)]
        self.assertEqual(statuses, [200, 400, 200])

    def test_error_after(self) -> None:
        """
        A call can be answered with a server error after it was applied.
        """
        status, body = self.read(self.send(INTERNAL))
        self.assertEqual((status, json.loads(body)["error"]["code"]), (500, 1))
        self.assertEqual(self.texts(), ["Hello"])

    def test_html(self) -> None:
        """
        A call can be answered with a gateway's page.
        """
        status, body = self.read(self.send(HTML))
        self.assertEqual((status, body[:9]), (502, b"<!DOCTYPE"))

    def test_garbage(self) -> None:
        """
        A call can be answered 200 without JSON, after it was applied.
        """
        status, body = self.read(self.send(GARBAGE))
        self.assertEqual(status, 200)
        self.assertRaises(ValueError, json.loads, body)
        self.assertEqual(self.texts(), ["Hello"])

    def test_hang(self) -> None:
        """
        A call can be applied and never answered.
        """
        calling = self.send(HANGING)
        self.clock.advance(3600)
        self.client.flush()
        self.assertNoResult(calling)
        self.assertEqual(self.texts(), ["Hello"])

    def test_stall(self) -> None:
        """
        An answer can stop in the middle.
        """
        calling = self.send(Fault(ending=Ending.STALL))
        self.client.flush()
        response = self.successResultOf(calling)
        self.assertEqual(response.code, 200)
        content = self.client.content(response)  # type: ignore[attr-defined]
        self.assertNoResult(content)

    def test_drop(self) -> None:
        """
        The connection can be dropped, after the call was applied or before.
        """
        for fault, texts in ((DROPPED_BEFORE, []), (DROPPED_AFTER, ["Hello"])):
            calling = self.send(fault)
            self.client.flush()
            self.failureResultOf(calling, ResponseNeverReceived)
            self.assertEqual(self.texts(), texts)

    def test_delay(self) -> None:
        """
        An answer can be late.
        """
        calling = self.send(Fault(delay=3.0))
        self.assertEqual(self.texts(), ["Hello"])
        self.clock.advance(2.9)
        self.client.flush()
        self.assertNoResult(calling)
        self.clock.advance(0.1)
        self.assertEqual(self.read(calling)[0], 200)

    def test_late_landing(self) -> None:
        """
        A call can take effect late, even after its caller has gone.
        """
        calling = self.send(Fault(landing=20.0))
        self.assertEqual(self.texts(), [])
        calling.cancel()
        self.client.flush()
        self.failureResultOf(calling)
        self.clock.advance(20)
        self.assertEqual(self.texts(), ["Hello"])

    def test_journaled(self) -> None:
        """
        The journal tells of faults, and doesn't call them refusals.
        """
        self.send(rejection(2))
        [spoiled] = self.journal.of(Spoiled)
        self.assertEqual((spoiled.call.kind, spoiled.call.text), ("message", "Hello"))
        self.assertEqual(self.journal.of(Refused), [])

    def test_chances(self) -> None:
        """
        Faults befall calls by chance, the same ones for the same seed.
        """

        def statuses() -> list[int]:
            self.graph = GraphAPI(self.clock, Random(2), self.meta, faults=plan)
            self.client = StubTreq(self.graph)
            calls = [self.begin("POST", MESSAGES, answer_to()) for _ in range(200)]
            return [self.read(call)[0] for call in calls]

        plan = Chances({"message": ((0.3, rejection(2)), (0.2, HTML))})
        once = statuses()
        self.assertTrue(40 <= once.count(400) <= 80, once.count(400))
        self.assertTrue(20 <= once.count(502) <= 60, once.count(502))
        self.assertEqual(statuses(), once)

    def test_error_kept(self) -> None:
        """
        A call that is refused anyway stays refused when its answer is spoiled.
        """
        self.graph.faults = always("message", INTERNAL)
        self.call("POST", MESSAGES, answer_to(text=""))
        [refused] = self.journal.of(Refused)
        self.assertEqual((refused.error.code, refused.error.subcode), (100, 2018034))

    def echoes(self, fault: EchoFault) -> list[dict[str, Any]]:
        """
        Send a message whose echo a fault befalls.
        """
        self.graph.echoes = always("message", fault)
        self.call("POST", MESSAGES, answer_to(metadata="mica:1:part:1"))
        return [event["message"] for event in self.notified]

    def test_echo_lost(self) -> None:
        """
        An echo can be lost.
        """
        self.assertEqual(self.echoes(EchoFault(lost=True)), [])

    def test_echo_late(self) -> None:
        """
        An echo can be late.
        """
        self.assertEqual(self.echoes(EchoFault(delay=60.0)), [])
        self.clock.advance(60)
        self.assertEqual(len(self.notified), 1)

    def test_echo_bare(self) -> None:
        """
        An echo can lack the app's ID, and the metadata.
        """
        [echo] = self.echoes(EchoFault(app_id=False, metadata=False))
        self.assertEqual(set(echo), {"mid", "is_echo", "text"})
