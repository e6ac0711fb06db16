"""
Tests for the assistant behind ``/v1/chat/completions``: endpoints that fail,
what is spent on them, and a history that is too long.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from itertools import count

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from micamsgr.assistant.chat_completions import ChatCompletions, Endpoint
from micamsgr.assistant.prompt import messages
from micamsgr.conversation.assistant import Reply, Role, Utterance
from micamsgr.errors import OutcomeUnknown, Refused, Unavailable
from micamsgr.httpcall import Answer
from micamsgr.test.test_answers import completion, failing
from micamsgr.test.test_chat_completions import FIRST, HELLO, SECOND, Servers, answer

DOWN = answer(failing(), 500)
LOCKED = answer(failing(code="invalid_api_key"), 401)
DENIED = answer(failing(code=403), 403)
TOO_LONG = answer(failing(code="context_length_exceeded"), 400)
LOST = OutcomeUnknown("timeout")
NOT_SENT = Unavailable("connection refused")

SAID = [
    Utterance(role, f"{number} " + "x" * 98)
    for number, role in enumerate([Role.PERSON, Role.BOT] * 5)
]
SAID += [Utterance(Role.PERSON, "and now?")]


class FaultsTestCase(SynchronousTestCase):
    """
    An assistant with servers that answer as a test says.
    """

    def setUp(self) -> None:
        self.now = 0.0
        self.others = count()
        self.begin(FIRST)

    def begin(self, *endpoints: Endpoint) -> None:
        """
        Configure the *endpoints*.
        """
        self.servers = Servers([])
        self.assistant = ChatCompletions(
            self.servers.call,
            endpoints,
            lambda said: messages(
                "Be kind.", said, history_messages=40, history_characters=24000
            ),
            lambda: self.now,
            lambda: 0.0,
        )

    def ask(
        self,
        *outcomes: Answer | Exception | Deferred[Answer],
        said: Sequence[Utterance] = SAID,
        asker: Hashable = None,
    ) -> Deferred[Reply]:
        """
        Ask servers that answer with *outcomes*, all of which are used.

        :param asker: ``None`` for yet another one.
        """
        self.servers.outcomes = list(outcomes)
        self.servers.requests = []
        asker = next(self.others) if asker is None else asker
        reply = Deferred.fromCoroutine(self.assistant.reply(said, asker))
        self.assertEqual(self.servers.outcomes, [])
        return reply

    def unavailable(
        self, *outcomes: Answer | Exception, asker: Hashable = None
    ) -> Unavailable:
        """
        Ask in vain, for now.
        """
        error: Unavailable = self.failureResultOf(
            self.ask(*outcomes, asker=asker), Unavailable
        ).value
        return error

    def asked(self) -> list[str]:
        """
        Tell which models were asked.
        """
        return [request.document["model"] for request in self.servers.requests]


class LeftAloneTests(FaultsTestCase):
    """
    Tests for endpoints that are left alone.
    """

    def test_left_alone(self) -> None:
        """
        An endpoint that failed five times in a row is asked by nobody for five
        seconds: whoever wants an answer is told at once when to come back.
        """
        for _ in range(4):
            self.assertIsNone(self.unavailable(DOWN).retry_after)
        self.assertEqual(self.unavailable(NOT_SENT).retry_after, 5.0)
        self.now = 2.0
        self.assertEqual(self.unavailable().retry_after, 3.0)
        self.now = 5.0
        self.successResultOf(self.ask(HELLO))

    def test_one_tries(self) -> None:
        """
        After that one asks, and the others are told to come back; when it has
        its answer, they are answered too.
        """
        for _ in range(5):
            self.unavailable(DOWN)
        self.now = 5.0
        waiting: Deferred[Answer] = Deferred()
        trying = self.ask(waiting)
        self.assertEqual(self.unavailable().retry_after, 1.0)
        waiting.callback(HELLO)
        self.successResultOf(trying)
        self.successResultOf(self.ask(HELLO))

    def test_canceled(self) -> None:
        """
        Where nobody waits for that one any more, the next one tries.
        """
        for _ in range(5):
            self.unavailable(DOWN)
        self.now = 5.0
        self.ask(Deferred()).addErrback(lambda _: None).cancel()
        self.successResultOf(self.ask(HELLO))

    def test_next(self) -> None:
        """
        While it is left alone the next one answers, and each has failures of
        its own.
        """
        self.begin(FIRST, SECOND)
        for _ in range(5):
            self.successResultOf(self.ask(DOWN, HELLO))
        self.successResultOf(self.ask(HELLO))
        self.assertEqual(self.asked(), ["small"])
        for _ in range(4):
            self.assertIsNone(self.unavailable(DOWN).retry_after)
        self.assertEqual(self.unavailable(DOWN).retry_after, 5.0)
        self.assertEqual(self.unavailable().retry_after, 5.0)

    def test_sooner(self) -> None:
        """
        One that is left alone keeps nobody from coming back sooner for the
        other.
        """
        self.begin(FIRST, SECOND)
        self.unavailable(LOCKED, DOWN)
        self.assertIsNone(self.unavailable(DOWN).retry_after)
        busy = answer(failing(), 429, retry_after="7")
        self.assertEqual(self.unavailable(busy).retry_after, 7.0)
        slow = answer(failing(), 429, retry_after="70")
        self.assertEqual(self.unavailable(slow).retry_after, 60.0)

    def test_locked(self) -> None:
        """
        Where the key isn't taken, somebody is told so once, and people's turns
        wait; a minute later it is tried again, and when it is mended they are
        answered.
        """
        with capturedLogs() as events:
            self.assertEqual(self.unavailable(LOCKED).retry_after, 60.0)
            self.assertEqual(self.unavailable().retry_after, 60.0)
            self.now = 60.0
            self.assertEqual(self.unavailable(LOCKED).retry_after, 60.0)
        errors = [e for e in events if e["log_level"] is LogLevel.error]
        [event] = errors
        self.assertEqual(event["host"], "first.example")
        self.assertIn("check llm_config's key", event["detail"])
        self.now = 120.0
        self.successResultOf(self.ask(HELLO))

    def test_one_person(self) -> None:
        """
        What one person's words cause, however often, keeps nobody else from
        being answered.
        """
        for outcome in (
            answer(completion("")),
            answer(completion("", "content_filter")),
            answer(failing(code="content_filter"), 400),
            answer(failing(), 400),
        ):
            for _ in range(30):
                self.failureResultOf(self.ask(outcome))
        blocked = failing(code=403, message="Prompt blocked by a guardrail")
        unpaid = failing(message="Insufficient credits")
        for outcome in (answer(blocked, 403), answer(unpaid, 402)):
            for _ in range(30):
                self.failureResultOf(self.ask(outcome, asker="alice"))
        for _ in range(10):
            self.failureResultOf(self.ask(TOO_LONG, TOO_LONG), Refused)
        self.successResultOf(self.ask(HELLO))

    def test_one_person_breaks_it(self) -> None:
        """
        Nor do words at which the server breaks each time, or loses itself in
        thought.
        """
        for outcome in (
            DOWN,
            LOST,
            answer({}),
            answer(failing(), 429),
            Answer(502, Headers(), b"<html>Bad Gateway</html>"),
            DENIED,
        ):
            for _ in range(30):
                error = self.unavailable(outcome, asker="alice")
                self.assertTrue(error.tried)
        self.successResultOf(self.ask(HELLO))

    def test_denied(self) -> None:
        """
        Where calls of three people are denied, and none is answered, it is the
        key, though the server does not say so: whoever comes then waits, and
        somebody is told so once.
        """
        with capturedLogs() as events:
            for asker in ("alice", "bob", "alice"):
                self.assertIsNone(self.unavailable(DENIED, asker=asker).retry_after)
            self.assertEqual(self.unavailable(DENIED, asker="carol").retry_after, 60.0)
            self.assertEqual(self.unavailable(asker="dan").retry_after, 60.0)
        [event] = [e for e in events if e["log_level"] is LogLevel.error]
        self.assertEqual(event["host"], "first.example")
        self.assertIn("check llm_config's key", event["detail"])
        self.now = 60.0
        self.successResultOf(self.ask(HELLO, asker="dan"))

    def test_denied_meanwhile(self) -> None:
        """
        Where others are answered meanwhile nobody else waits, however many
        have their words denied.
        """
        for asker in ("alice", "bob", "carol", "dan", "eve"):
            self.unavailable(DENIED, asker=asker)
            self.successResultOf(self.ask(HELLO))

    def test_unreached(self) -> None:
        """
        What can't be reached is left alone, whoever found that out.
        """
        for _ in range(5):
            self.unavailable(NOT_SENT, asker="alice")
        self.assertEqual(self.unavailable(asker="bob").retry_after, 5.0)

    def test_failed_last(self) -> None:
        """
        Whose call failed last lets those try who came since.
        """
        for asker in ("dan", "dan", "bob", "carol", "alice"):
            self.unavailable(DOWN, asker=asker)
        self.unavailable(asker="bob")
        self.now = 5.0
        self.assertEqual(self.unavailable(asker="alice").retry_after, 5.0)
        self.successResultOf(self.ask(HELLO, asker="bob"))
        self.successResultOf(self.ask(HELLO, asker="alice"))

    def test_tried(self) -> None:
        """
        It is told whether anybody was asked, or all were left alone.
        """
        self.begin(FIRST, SECOND)
        self.assertTrue(self.unavailable(LOCKED, DOWN).tried)
        self.assertTrue(self.unavailable(LOCKED).tried)
        self.assertFalse(self.unavailable().tried)


class TooLongTests(FaultsTestCase):
    """
    Tests for a history that is too long for a model.
    """

    def test_shorter(self) -> None:
        """
        It is asked once more with the newer half of the history, the system
        prompt and all that the person said last.
        """
        self.successResultOf(self.ask(TOO_LONG, HELLO))
        whole, half = (
            request.document["messages"] for request in self.servers.requests
        )
        self.assertEqual(len(whole), 12)
        self.assertEqual(half, [whole[0], *whole[7:]])

    def test_once(self) -> None:
        """
        If that is too long as well there is no third time, but the next
        endpoint, which may take it whole, is asked.
        """
        self.failureResultOf(self.ask(TOO_LONG, TOO_LONG), Refused)
        self.begin(FIRST, SECOND)
        self.successResultOf(self.ask(TOO_LONG, TOO_LONG, HELLO))
        self.assertEqual(self.asked(), ["big", "big", "small"])
        lengths = [len(r.document["messages"]) for r in self.servers.requests]
        self.assertEqual(lengths, [12, 6, 12])

    def test_fails_then(self) -> None:
        """
        If it fails otherwise, that counts.
        """
        self.unavailable(TOO_LONG, DOWN)
        self.begin(FIRST, SECOND)
        self.successResultOf(self.ask(TOO_LONG, DOWN, TOO_LONG, HELLO))

    def test_long_message(self) -> None:
        """
        Where the person said it all at once, the end of it is asked for.
        """
        said = [Utterance(Role.PERSON, "a" * 3000 + "b" * 3000)]
        self.successResultOf(self.ask(TOO_LONG, HELLO, said=said))
        content = self.servers.requests[1].document["messages"][1]["content"]
        self.assertEqual(content, "b" * 3000)

    def test_nothing_to_leave_out(self) -> None:
        """
        Where nothing can be left out, it isn't asked again.
        """
        said = [Utterance(Role.PERSON, "?")]
        self.failureResultOf(self.ask(TOO_LONG, said=said), Refused)


class TokensTests(FaultsTestCase):
    """
    Tests for what is spent.
    """

    def size(self) -> int:
        """
        Estimate the tokens of what was asked last.
        """
        document = self.servers.requests[-1].document
        return len(json.dumps(document)) // 4 + 1

    def test_reply(self) -> None:
        """
        A reply counts what was spent in vain on other endpoints before it.
        """
        self.begin(FIRST, SECOND)
        for before, spent in (
            (NOT_SENT, 0),
            (answer(failing(), 429), 0),
            (answer(completion("")), 12),
        ):
            reply = self.successResultOf(self.ask(before, HELLO))
            self.assertEqual(reply.tokens, spent + 12)
        reply = self.successResultOf(self.ask(DOWN, HELLO))
        self.assertGreater(reply.tokens - 12, self.size() // 2)
        reply = self.successResultOf(self.ask(LOST, HELLO))
        # It may have answered at length, and to nobody.
        self.assertGreater(reply.tokens - 12, self.size() + 4000)

    def test_unavailable(self) -> None:
        """
        Where there is no answer for now, it is told what may have been spent:
        nothing where the server wasn't reached or took nothing up, what was
        asked where it failed or its answer is of no use, and the most that it
        may have been where nobody knows.
        """
        for outcome in (NOT_SENT, answer(failing(), 429), LOCKED):
            self.assertEqual(self.unavailable(outcome).tokens, 0)
        self.begin(FIRST)
        proxy = Answer(504, Headers(), b"<html>Gateway Timeout</html>")
        for outcome in (DOWN, proxy, answer({})):
            self.assertEqual(self.unavailable(outcome).tokens, self.size())
        self.assertGreater(self.unavailable(LOST).tokens, self.size() + 4000)
        self.assertEqual(self.unavailable(answer(completion(""))).tokens, 12)

    def test_refused(self) -> None:
        """
        So it is where there will be none.
        """
        filtered = answer(completion("", "content_filter"))
        error = self.failureResultOf(self.ask(filtered), Refused).value
        self.assertEqual(error.tokens, 12)
        error = self.failureResultOf(self.ask(answer(failing(), 400)), Refused).value
        self.assertEqual(error.tokens, self.size())

    def test_shorter(self) -> None:
        """
        Where it was asked twice, as the first time was too long, both count.
        """
        reply = self.successResultOf(self.ask(TOO_LONG, HELLO))
        sizes = [len(json.dumps(r.document)) for r in self.servers.requests]
        self.assertEqual(reply.tokens, 12 + sizes[0] // 4 + 1)
        both = sum(size // 4 + 1 for size in sizes)
        self.assertEqual(self.unavailable(TOO_LONG, DOWN).tokens, both)

    def test_not_asked(self) -> None:
        """
        An endpoint that is left alone costs nothing.
        """
        for _ in range(5):
            self.unavailable(LOST)
        self.assertEqual(self.unavailable().tokens, 0)

    def test_estimate(self) -> None:
        """
        What a reply may cost includes the instructions, the history as far as
        it is sent, and the longest answer, from each endpoint.
        """
        base = self.assistant.estimate([Utterance(Role.PERSON, "hi")])
        self.assertGreater(base, 4096)
        self.assertLess(base, 4096 + 200)
        self.assertGreater(self.assistant.estimate(SAID), base + 1000 // 4)
        long = [Utterance(Role.PERSON, "x" * 10**6)]
        self.assertLess(self.assistant.estimate(long), base + 24000)
        for name in ("max_tokens", "max_completion_tokens"):
            self.begin(Endpoint(url="http://a/", model="m", parameters={name: 50}))
            few = self.assistant.estimate([Utterance(Role.PERSON, "hi")])
            self.assertTrue(50 < few < 250)
        self.begin(FIRST, SECOND)
        both = self.assistant.estimate([Utterance(Role.PERSON, "hi")])
        self.assertGreater(both, 2 * 4096)

    def test_estimate_of_writing(self) -> None:
        """
        It is enough for any writing, of which a character may be more than a
        token.
        """
        base = self.assistant.estimate([Utterance(Role.PERSON, "")])
        for text, tokens in (
            ("The quick brown fox jumps over the lazy dog. " * 20, 201),
            ("zażółć gęślą jaźń " * 20, 240),
            ("敏捷的棕色狐狸跳过懒狗" * 20, 400),
            ("👨\u200d👩\u200d👧\u200d👦" * 20, 380),
        ):
            most = self.assistant.estimate([Utterance(Role.PERSON, text)])
            self.assertGreaterEqual(most - base, tokens, text[:9])
