"""
Tests for how often an LLM that fails is asked, by thousands of turns that are
parked and asked for again as the planner says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from micamsgr.assistant.chat_completions import ChatCompletions, Endpoint
from micamsgr.conversation.assistant import Role, Utterance
from micamsgr.conversation.planner import after_failure
from micamsgr.errors import OutcomeUnknown, Refused, Unavailable
from micamsgr.httpcall import Answer
from micamsgr.test.test_answers import completion, failing
from micamsgr.test.test_chat_completions import HELLO, answer

PATIENCE = 900.0

# The faults of an LLM, each as likely.
MIXED: Sequence[Answer | Exception] = (
    answer(failing(code="rate_limit_exceeded"), 429),
    answer(failing(code="rate_limit_exceeded"), 429, retry_after="3"),
    answer(failing(), 500),
    Answer(502, Headers(), b"<html>Bad Gateway</html>"),
    Answer(200, Headers(), b"<html>Sign in</html>"),
    Unavailable("connection refused"),
    OutcomeUnknown("reset"),
    answer(completion("")),
    answer(failing(code="context_length_exceeded"), 400),
    answer(failing(code=503)),
)


@define(eq=False)
class Model:
    """
    An LLM that takes a second, and fails as a test says.

    :ivar fault: draws what a call ends with.
    :ivar calls: when it was called, in whole seconds, and how often.
    """

    clock: Clock
    fault: Callable[[], Answer | Exception]
    calls: Counter[int] = field(factory=Counter)

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Headers,
        body: bytes | None,
        deadline: float,
    ) -> Answer:
        self.calls[int(self.clock.seconds())] += 1
        outcome = self.fault()
        await deferLater(self.clock, 1.0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


# Something that can be made shorter.
SAID = [
    Utterance(Role.PERSON, "hi"),
    Utterance(Role.BOT, "hello"),
    Utterance(Role.PERSON, "how are you?"),
]


class LoadTests(SynchronousTestCase):
    """
    Tests for :class:`micamsgr.assistant.chat_completions.ChatCompletions`
    under load.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.random = Random(20261122)
        # When each turn was answered, or why not.
        self.answered: dict[int, float] = {}
        self.given_up: dict[int, str] = {}

    def begin(self, *faults: Callable[[], Answer | Exception]) -> list[Model]:
        """
        Make one LLM for each of *faults*, the later ones fallbacks.
        """
        models = [Model(self.clock, fault) for fault in faults]
        by_url = {f"http://llm{n}/": model for n, model in enumerate(models)}
        self.assistant = ChatCompletions(
            lambda method, url, **rest: by_url[url].call(method, url, **rest),
            [Endpoint(url=url, model="m") for url in by_url],
            lambda said: [{"role": "user", "content": u.text} for u in said],
            self.clock.seconds,
            self.random.random,
        )
        return models

    def mixed(self) -> Answer | Exception:
        """
        Fail in three of ten calls.
        """
        if self.random.random() < 0.3:
            return self.random.choice(MIXED)
        return HELLO

    async def turn(self, number: int) -> None:
        """
        Ask until there is an answer, or patience ends, as the center does.
        """
        began, tries = self.clock.seconds(), 0
        while True:
            try:
                await self.assistant.reply(SAID, number)
            except Refused as error:
                self.given_up[number] = error.detail
                return
            except Unavailable as error:
                tries += 1
                delay = after_failure(tries, error.retry_after, self.random.random())
                if self.clock.seconds() + delay - began > PATIENCE:
                    self.given_up[number] = "patience"
                    return
                await deferLater(self.clock, delay)
            else:
                self.answered[number] = self.clock.seconds()
                return

    def run_turns(self, count: int, per_second: float) -> None:
        """
        Let so many turns begin, and wait until all have ended.
        """
        begun = 0
        while len(self.answered) + len(self.given_up) < count:
            while begun < min(count, self.clock.seconds() * per_second + 1):
                Deferred.fromCoroutine(self.turn(begun))
                begun += 1
            self.clock.advance(0.2)

    def test_mixed(self) -> None:
        """
        With three of ten calls failing in every way, 5,000 people get their
        answers with at most one and a half calls each; a fallback makes that
        no more.
        """
        for faults in ((self.mixed,), (self.mixed, self.mixed)):
            self.setUp()
            models = self.begin(*faults)
            self.run_turns(5000, 25.0)
            calls = sum(model.calls.total() for model in models)
            self.assertLessEqual(calls / 5000, 1.5)
            self.assertGreater(calls / 5000, 1.35)
            # Only what two times in a row was too long for all.
            self.assertLessEqual(len(self.given_up), 25)
            self.assertEqual(
                {why for why in self.given_up.values() if "context_length" not in why},
                set(),
            )

    def test_outage(self) -> None:
        """
        An LLM that is down for ten minutes is called a few times in that time,
        by one at a time; and when it is back everybody is answered within
        minutes, but not all at once.
        """
        down = answer(failing(), 503)
        [model] = self.begin(
            lambda: down if 10.0 <= self.clock.seconds() < 610.0 else HELLO
        )
        self.run_turns(1500, 5.0)
        self.assertEqual(self.given_up, {})
        during = [model.calls[second] for second in range(15, 610)]
        self.assertLessEqual(sum(during), 20)
        self.assertLessEqual(max(during), 1)
        after = [model.calls[second] for second in range(610, 1600)]
        # Of 25 in a second who return, and the center's jitter.
        self.assertLessEqual(max(after), 60)
        self.assertGreater(sum(after), 1400)
        waited = sorted(self.answered.values())
        self.assertLess(waited[-1], 610.0 + 300.0)

    def test_dead(self) -> None:
        """
        However long an LLM is down, it is called about once in a minute.
        """
        [model] = self.begin(lambda: answer(failing(), 500))
        self.run_turns(200, 2.0)
        self.assertEqual(set(self.given_up.values()), {"patience"})
        self.assertLessEqual(model.calls.total(), 60)
