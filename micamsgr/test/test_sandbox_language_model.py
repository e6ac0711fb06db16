"""
Tests for :mod:`micamsgr.sandbox.language_model`.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any, cast

from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseNeverReceived
from twisted.web.iweb import IResponse

from micamsgr.sandbox import language_model
from micamsgr.sandbox.journal import Asked, Declined, Journal, Spoiled, always
from micamsgr.sandbox.language_model import Fault, LanguageModel

NOW = 1795362617.0
URL = "https://llm.test/v1/chat/completions"


def question(**changes: object) -> dict[str, Any]:
    """
    Make a proper request, with changes to it.
    """
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]
    return {"model": "gpt-4o-mini", "messages": messages, **changes}


class _HangsUp(Protocol):
    """
    Close the connection as soon as an answer begins.
    """

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


class LanguageModelTests(SynchronousTestCase):
    """
    Tests for asking the language model.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.journal = Journal()
        self.model = LanguageModel(
            self.clock, Random(1), self.journal, authorization="Bearer key"
        )
        self.client = StubTreq(self.model)

    def begin(
        self,
        body: object = None,
        method: str = "POST",
        url: str = URL,
        authorization: str = "Bearer key",
        kind: str = "application/json",
    ) -> Deferred[IResponse]:
        """
        Begin a call.

        :param body: what is sent as JSON, or bytes; by default a proper
            request.
        """
        data = body if isinstance(body, bytes) else json.dumps(body or question())
        headers = {"Authorization": authorization, "Content-Type": kind}
        request = self.client.request  # type: ignore[attr-defined]
        calling = request(method, url, data=data, headers=headers)
        return cast("Deferred[IResponse]", calling)

    def read(self, calling: Deferred[IResponse]) -> tuple[int, bytes]:
        """
        Read the answer to a call that has one.
        """
        self.client.flush()
        response = self.successResultOf(calling)
        content = self.client.content(response)  # type: ignore[attr-defined]
        return response.code, self.successResultOf(content)

    def refusal(self, *call: Any, **more: Any) -> tuple[int, str | None, str | None]:
        """
        Make a call that is refused, and read its status, code and parameter.
        """
        status, body = self.read(self.begin(*call, **more))
        error = json.loads(body)["error"]
        self.assertEqual(error["type"], "invalid_request_error")
        return status, error["code"], error["param"]

    def spoiled(self, fault: Fault) -> tuple[int, dict[str, Any]]:
        """
        Make a call that a fault befalls, and read its status and document.
        """
        self.model.faults = always("completion", fault)
        status, body = self.read(self.begin())
        return status, json.loads(body)

    def test_answer(self) -> None:
        """
        The language model answers what the user said last.
        """
        status, body = self.read(self.begin())
        completion = json.loads(body)
        [choice] = completion["choices"]
        self.assertEqual(status, 200)
        self.assertEqual(choice["message"]["content"], "You said: Hi")
        self.assertEqual(choice["finish_reason"], "stop")
        self.assertEqual(completion["created"], int(NOW))
        self.assertEqual(
            completion["usage"],
            {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7},
        )

    def test_request_id(self) -> None:
        """
        Every answer names its request.
        """
        response = self.successResultOf(self.begin())
        [identity] = response.headers.getRawHeaders("x-request-id")
        self.assertTrue(identity.startswith("req_"))

    def test_reply(self) -> None:
        """
        A test decides what is answered to the messages.
        """
        self.model.reply = lambda messages: f"{len(messages)} messages"
        completion = json.loads(self.read(self.begin())[1])
        answer = completion["choices"][0]["message"]["content"]
        self.assertEqual(answer, "2 messages")

    def test_journal(self) -> None:
        """
        The journal tells what was asked, message by message.
        """
        self.begin(question(temperature=0.5))
        [asked] = self.journal.of(Asked)
        self.assertEqual(asked.model, "gpt-4o-mini")
        self.assertEqual(asked.messages, (("system", "Be brief."), ("user", "Hi")))
        self.assertEqual(asked.parameters, (("temperature", 0.5),))

    def test_parameters(self) -> None:
        """
        Any parameter of the reference is taken.
        """
        body = question(max_tokens=9, top_p=1, stop=None, seed=7, user="alice")
        self.assertEqual(self.read(self.begin(body))[0], 200)

    def test_refused(self) -> None:
        """
        What the reference doesn't allow is refused, by name.
        """
        user = {"role": "user", "content": "Hi"}

        def saying(**changes: object) -> dict[str, Any]:
            return question(messages=[user, {**user, **changes}])

        unfit: list[tuple[object, str | None, str | None]] = [
            (b"{", None, None),
            (b"[" * 100_000, None, None),
            (b"[]", None, None),
            (question(model=""), None, None),
            ({"messages": [user]}, None, None),
            ({"model": "m"}, "missing_required_parameter", "messages"),
            (question(messages=[]), "missing_required_parameter", "messages"),
            (question(shoes=1), "unknown_parameter", "shoes"),
            (question(temperature=2.1), "invalid_value", "temperature"),
            (question(temperature="hot"), "invalid_type", "temperature"),
            (question(stream=True), "unsupported_value", "stream"),
            (question(messages=["Hi"]), "invalid_value", "messages[0].role"),
            (saying(role="bot"), "invalid_value", "messages[1].role"),
            (saying(content=""), "invalid_type", "messages[1].content"),
            (saying(content=None), "invalid_type", "messages[1].content"),
            (saying(mood="good"), "unknown_parameter", "messages[1].mood"),
        ]
        for body, code, param in unfit:
            self.assertEqual(self.refusal(body), (400, code, param), body)
        self.assertEqual(self.journal.of(Asked), [])
        self.assertEqual(len(self.journal.of(Declined)), len(unfit))

    def test_content_type(self) -> None:
        """
        A body that isn't declared to be JSON is refused.
        """
        self.assertEqual(self.refusal(kind="text/plain"), (400, None, None))
        kind = "application/json; charset=UTF-8"
        self.assertEqual(self.read(self.begin(kind=kind))[0], 200)

    def test_authorization(self) -> None:
        """
        A call with the wrong key is refused; where none is configured, any
        key is right.
        """
        refused = self.refusal(authorization="Bearer other")
        self.assertEqual(refused, (401, "invalid_api_key", None))
        self.client = StubTreq(LanguageModel(self.clock, Random(1), self.journal))
        self.assertEqual(self.read(self.begin(authorization="other"))[0], 200)

    def test_elsewhere(self) -> None:
        """
        Another path, and another method, are refused.
        """
        refused = self.refusal(url="https://llm.test/v1/completions")
        self.assertEqual(refused, (404, "unknown_url", None))
        self.assertEqual(self.refusal(method="PUT"), (405, None, None))

    def test_models(self) -> None:
        """
        Where the models are listed, another one is refused.
        """
        model = LanguageModel(self.clock, Random(1), self.journal, models=["other"])
        self.client = StubTreq(model)
        self.assertEqual(self.refusal(), (404, "model_not_found", "model"))

    def test_errors(self) -> None:
        """
        Each error of the API can be made to befall a call.
        """
        expected = {
            "RATE_LIMITED": (429, "rate_limit_exceeded"),
            "NO_QUOTA": (429, "insufficient_quota"),
            "INTERNAL": (500, None),
            "BAD_KEY": (401, "invalid_api_key"),
            "NO_MODEL": (404, "model_not_found"),
            "TOO_LONG": (400, "context_length_exceeded"),
            "ERROR_IN_200": (200, None),
        }
        for name, (status, code) in expected.items():
            found, document = self.spoiled(getattr(language_model, name))
            self.assertEqual((found, document["error"]["code"]), (status, code), name)
        self.assertEqual(len(self.journal.of(Spoiled)), len(expected))

    def test_retry_after(self) -> None:
        """
        A call that is one too many is told when to come back.
        """
        self.model.faults = always("completion", language_model.RATE_LIMITED)
        response = self.successResultOf(self.begin())
        self.assertEqual(response.headers.getRawHeaders("retry-after"), ["7"])

    def test_bad_gateway(self) -> None:
        """
        A call can be answered with a gateway's page.
        """
        self.model.faults = always("completion", language_model.BAD_GATEWAY)
        status, body = self.read(self.begin())
        self.assertEqual((status, body[:6]), (502, b"<html>"))

    def test_odd_answers(self) -> None:
        """
        An answer can be empty, a refusal, cut short, or filtered.
        """
        expected = {
            "EMPTY": ("", None, "stop"),
            "REFUSING": (None, "I can't help with that.", "stop"),
            "CUT": ("You said: Hi", None, "length"),
            "FILTERED": ("You said: Hi", None, "content_filter"),
        }
        for name, answer in expected.items():
            status, document = self.spoiled(getattr(language_model, name))
            [choice] = document["choices"]
            message = choice["message"]
            found = (message["content"], message["refusal"], choice["finish_reason"])
            self.assertEqual((status, found), (200, answer), name)

    def test_truncated(self) -> None:
        """
        An answer can be whole to HTTP, and not to JSON.
        """
        self.model.faults = always("completion", language_model.TRUNCATED)
        status, body = self.read(self.begin())
        self.assertEqual(status, 200)
        self.assertRaises(ValueError, json.loads, body)

    def test_delay(self) -> None:
        """
        An answer can be late.
        """
        self.model.faults = always("completion", Fault(delay=45.0))
        calling = self.begin()
        self.clock.advance(44)
        self.client.flush()
        self.assertNoResult(calling)
        self.clock.advance(1)
        self.assertEqual(self.read(calling)[0], 200)

    def test_drip(self) -> None:
        """
        An answer can come byte by byte.
        """
        self.model.faults = always("completion", language_model.DRIPPING)
        calling = self.begin()
        self.client.flush()
        response = self.successResultOf(calling)
        content = self.client.content(response)  # type: ignore[attr-defined]
        self.clock.pump([1.0] * 60)
        self.client.flush()
        self.assertNoResult(content)
        self.clock.pump([1.0] * 600)
        self.client.flush()
        self.assertIn("choices", json.loads(self.successResultOf(content)))

    def test_drip_given_up(self) -> None:
        """
        Nothing more is dripped once the caller has gone.
        """
        self.model.faults = always("completion", language_model.DRIPPING)
        calling = self.begin()
        self.client.flush()
        self.successResultOf(calling).deliverBody(_HangsUp())
        self.client.flush()
        self.clock.advance(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_never(self) -> None:
        """
        An answer can stop in the middle, or never come.
        """
        self.model.faults = always("completion", language_model.STALLING)
        calling = self.begin()
        self.client.flush()
        content = self.client.content(  # type: ignore[attr-defined]
            self.successResultOf(calling)
        )
        self.assertNoResult(content)
        self.model.faults = always("completion", language_model.HANGING)
        self.assertNoResult(self.begin())

    def test_drop(self) -> None:
        """
        The connection can be dropped.
        """
        self.model.faults = always("completion", language_model.DROPPED)
        calling = self.begin()
        self.client.flush()
        self.failureResultOf(calling, ResponseNeverReceived)
