"""
Tests for the assistant behind ``/v1/chat/completions``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers
from zope.interface.verify import verifyObject

from micamsgr.assistant.chat_completions import ChatCompletions, Endpoint
from micamsgr.conversation.assistant import IAssistant, Reply, Role, Utterance
from micamsgr.errors import OutcomeUnknown, Refused, Unavailable
from micamsgr.httpcall import Answer
from micamsgr.test.test_answers import completion, failing


@frozen
class Request:
    """
    What an endpoint was asked.
    """

    method: str
    url: str
    headers: dict[bytes, list[bytes]]
    document: Any
    deadline: float


@define
class Servers:
    """
    Stand in for all endpoints, and for the caller of them.

    :ivar outcomes: what the calls to come end with, in order.
    :ivar requests: the calls made, in order.
    """

    outcomes: list[Answer | Exception | Deferred[Answer]]
    requests: list[Request] = field(factory=list)

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Headers,
        body: bytes | None,
        deadline: float,
    ) -> Answer:
        assert body is not None
        self.requests.append(
            Request(
                method,
                url,
                dict(headers.getAllRawHeaders()),  # type: ignore[arg-type]
                json.loads(body),
                deadline,
            )
        )
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        try:
            return outcome if isinstance(outcome, Answer) else await outcome
        except CancelledError as error:
            raise OutcomeUnknown("canceled") from error


def answer(document: object, status: int = 200, **headers: str) -> Answer:
    raw = {name.replace("_", "-"): [value] for name, value in headers.items()}
    return Answer(status, Headers(raw), json.dumps(document).encode())


HELLO = answer(completion())
FIRST = Endpoint(url="https://first.example/v1/chat/completions", model="big")
SECOND = Endpoint(
    url="https://second.example/v1/chat/completions", model="small", timeout=9.0
)
WORDS = [Utterance(Role.PERSON, "private words")]


class ChatCompletionsTests(SynchronousTestCase):
    """
    Tests for :class:`micamsgr.assistant.chat_completions.ChatCompletions`.
    """

    def ask(
        self, endpoints: Sequence[Endpoint], *outcomes: Answer | Exception
    ) -> Deferred[Reply]:
        """
        Ask for a reply from servers that answer with *outcomes*.
        """
        self.servers = Servers(list(outcomes))
        assistant = ChatCompletions(
            self.servers.call,
            endpoints,
            lambda said: [{"role": "user", "content": u.text} for u in said],
            lambda: 0.0,
            lambda: 0.0,
        )
        return Deferred.fromCoroutine(assistant.reply(WORDS, 1))

    def test_interface(self) -> None:
        """
        It has every method that the interface declares.
        """
        verifyObject(
            IAssistant,
            ChatCompletions(
                Servers([]).call, [], lambda _: [], lambda: 0.0, lambda: 0.0
            ),
        )

    def test_request(self) -> None:
        """
        The server is asked for the endpoint's model with its parameters, and
        for what the prompt makes of what was said.
        """
        endpoint = Endpoint(
            url="http://llm.example:8000/v1/chat/completions",
            model="big",
            parameters={"temperature": 0.3, "stop": ["\n"]},
            timeout=7.0,
        )
        reply = self.successResultOf(self.ask([endpoint], HELLO))
        self.assertEqual(reply, Reply(text="hello", tokens=12))
        [request] = self.servers.requests
        self.assertEqual(request.method, "POST")
        self.assertEqual(request.url, endpoint.url)
        self.assertEqual(request.headers, {b"Content-Type": [b"application/json"]})
        self.assertEqual(request.deadline, 7.0)
        self.assertEqual(
            request.document,
            {
                "model": "big",
                "messages": [{"role": "user", "content": "private words"}],
                "temperature": 0.3,
                "stop": ["\n"],
            },
        )

    def test_api_key(self) -> None:
        """
        An API key is sent as a bearer token.
        """
        self.ask([Endpoint(url="http://a/", model="m", api_key="k")], HELLO)
        sent = self.servers.requests[0].headers
        self.assertEqual(sent[b"Authorization"], [b"Bearer k"])

    def test_headers(self) -> None:
        """
        The operator's headers are sent as they stand, and go before the API
        key and our own, however their names are written.
        """
        headers = {"authorization": "Basic b", "X-Team": "a", "CONTENT-TYPE": "a/b"}
        endpoint = Endpoint(url="http://a/", model="m", headers=headers, api_key="k")
        self.ask([endpoint], HELLO)
        self.assertEqual(
            self.servers.requests[0].headers,
            {
                b"Authorization": [b"Basic b"],
                b"X-Team": [b"a"],
                b"Content-Type": [b"a/b"],
            },
        )

    def test_estimate(self) -> None:
        """
        Where the LLM counts no tokens, the estimate includes the question.
        """
        document = {**completion(), "usage": None}
        reply = self.successResultOf(self.ask([FIRST], answer(document)))
        self.assertGreater(reply.tokens, len("private words") / 4 + 1)

    def test_after_estimates(self) -> None:
        """
        Whatever was estimated before, and whosever, each server is asked for what
        was said; and what comes to be asked soon is written once.
        """
        said = [[Utterance(Role.PERSON, f"words {n}")] for n in range(300)]
        servers = Servers([Unavailable("gone"), *[HELLO] * 300])
        prompted: list[str] = []

        def prompt(utterances: Sequence[Utterance]) -> list[dict[str, str]]:
            prompted.append(utterances[0].text)
            return [{"role": "user", "content": u.text} for u in utterances]

        assistant = ChatCompletions(
            servers.call, [FIRST, SECOND], prompt, lambda: 0.0, lambda: 0.0
        )
        for words in said:
            assistant.estimate(words)
        for words in said:
            reply = assistant.reply(words, words[0].text)
            self.successResultOf(Deferred.fromCoroutine(reply))
        asked = [
            (request.document["model"], request.document["messages"][0]["content"])
            for request in servers.requests
        ]
        self.assertEqual(
            asked,
            [
                ("big", "words 0"),
                ("small", "words 0"),
                *(("big", f"words {number}") for number in range(1, 300)),
            ],
        )
        # Those that waited for long were forgotten, and are written again.
        again = [text for text in prompted if prompted.count(text) > 1]
        self.assertEqual(len(set(again)), 300 - 64)
        self.assertEqual(len(assistant._written), 0)

    def test_strange_words(self) -> None:
        """
        Half of a character in what was said does not keep the rest from
        being answered.
        """
        servers = Servers([HELLO])
        assistant = ChatCompletions(
            servers.call,
            [FIRST],
            lambda _: [{"role": "user", "content": "ж\ud800"}],
            lambda: 0.0,
            lambda: 0.0,
        )
        self.successResultOf(assistant.reply(WORDS, 1))
        [message] = servers.requests[0].document["messages"]
        self.assertEqual(message["content"], "ж?")

    def test_fallback(self) -> None:
        """
        Where an endpoint does not answer, the next is asked at once, with its
        own model and time.
        """
        for outcome in (
            Unavailable("refused"),
            OutcomeUnknown("timeout"),
            answer(failing(), 500),
            answer(failing(), 401),
            answer({}),
        ):
            reply = self.successResultOf(self.ask([FIRST, SECOND], outcome, HELLO))
            self.assertEqual(reply.text, "hello")
            asked = [
                (request.url, request.document["model"], request.deadline)
                for request in self.servers.requests
            ]
            self.assertEqual(
                asked, [(FIRST.url, "big", 60.0), (SECOND.url, "small", 9.0)]
            )

    def test_first_is_enough(self) -> None:
        """
        Where the first endpoint answers, no other is asked.
        """
        self.successResultOf(self.ask([FIRST, SECOND], HELLO))
        self.assertEqual(len(self.servers.requests), 1)

    def test_unavailable(self) -> None:
        """
        Where all endpoints have failed and any may be asked again, the reply
        may be asked for again, after the shortest wait that one of these
        named.
        """
        slow = answer(failing(), 429, retry_after="30")
        fast = answer(failing(), 503, retry_after="5")
        locked = answer(failing(), 401, retry_after="1")
        for outcomes, wait in (
            ((slow, fast), 5.0),
            ((slow, locked), 30.0),
            ((locked, slow), 30.0),
            ((Unavailable("refused"), locked), None),
            ((OutcomeUnknown("timeout"), slow), 30.0),
        ):
            asked = self.ask([FIRST, SECOND], *outcomes)
            error = self.failureResultOf(asked, Unavailable).value
            self.assertEqual(error.retry_after, wait)

    def test_refused(self) -> None:
        """
        Where no endpoint will ever answer this, there is no sense in asking
        again.
        """
        odd, invalid = answer(failing(), 422), answer(failing(code="x"), 400)
        asked = self.ask([FIRST, SECOND], odd, invalid)
        error = self.failureResultOf(asked, Refused).value
        self.assertEqual(error.detail, "HTTP 422; HTTP 400 unknown")

    def test_give_up(self) -> None:
        """
        What is filtered is asked of no other endpoint, and not again.
        """
        filtered = answer(completion(None, "content_filter"))
        self.failureResultOf(self.ask([FIRST, SECOND], filtered, HELLO), Refused)
        self.assertEqual(len(self.servers.requests), 1)
        busy = answer(failing(), 503)
        self.failureResultOf(self.ask([FIRST, SECOND], busy, filtered), Refused)

    def test_log(self) -> None:
        """
        For each of several endpoints that fails the operator is warned, and
        told which, why, and what may follow.
        """
        failed = answer(failing(code="x"), 400)
        with capturedLogs() as events:
            self.ask([FIRST, SECOND], failed, HELLO)
        [event] = [event for event in events if "then" in event]
        self.assertEqual(event["log_level"].name, "warn")
        self.assertEqual(
            (event["host"], event["detail"], event["then"]),
            ("first.example", "HTTP 400 unknown", "next"),
        )

    def test_log_of_one(self) -> None:
        """
        Where there is only one endpoint, whoever asked warns of its failure.
        """
        with capturedLogs() as events:
            self.failureResultOf(self.ask([FIRST], answer(failing(), 500)))
        self.assertEqual({event["log_level"].name for event in events}, {"debug"})

    def test_nothing_private(self) -> None:
        """
        Neither what people wrote nor what an endpoint says in prose nor its
        key is logged or raised.
        """
        secret = Endpoint(
            url="https://user:sk-secret@a.example/?key=sk-secret",
            model="m",
            api_key="sk-secret",
            headers={"X-Key": "sk-secret"},
        )
        with capturedLogs() as events:
            asked = self.ask(
                [secret], answer(failing(code="Alice said", type="hi!"), 400)
            )
        error = self.failureResultOf(asked, Refused).value
        shown = repr(error) + repr([
            [event.get(name) for name in ("log_format", "host", "detail", "model")]
            for event in events
        ])  # fmt: skip
        for private in ("secret", "private", "Alice"):
            self.assertNotIn(private, shown)
        self.assertEqual(len(events), 2)

    def test_repr(self) -> None:
        """
        An endpoint shows neither its key nor its headers.
        """
        endpoint = Endpoint(
            url="u", model="m", api_key="sk-secret", headers={"X-Key": "sk-secret"}
        )
        self.assertNotIn("secret", repr(endpoint))

    def test_cancel(self) -> None:
        """
        A reply that is canceled ends the call, although the call then fails
        like any other, and asks no other endpoint.
        """
        call: Deferred[Answer] = Deferred()
        servers = Servers([call, HELLO])
        assistant = ChatCompletions(
            servers.call, [FIRST, SECOND], lambda _: [], lambda: 0.0, lambda: 0.0
        )
        asked = Deferred.fromCoroutine(assistant.reply(WORDS, 1))
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertTrue(call.called)
        self.assertEqual(len(servers.requests), 1)
