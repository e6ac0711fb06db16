"""
What any assistant promises, and the assistants that there are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers
from zope.interface.verify import verifyObject

from micamsgr.assistant.chat_completions import ChatCompletions, Endpoint
from micamsgr.assistant.demo import Demo
from micamsgr.assistant.prompt import messages
from micamsgr.conversation.assistant import IAssistant, Reply, Role, Utterance
from micamsgr.errors import OutcomeUnknown, Refused, Unavailable
from micamsgr.httpcall import Answer
from micamsgr.sandbox.switches import Switches, Troubled
from micamsgr.testing import MemoryAssistant

SAID = (
    Utterance(Role.PERSON, "hi"),
    Utterance(Role.BOT, "hello"),
    Utterance(Role.PERSON, "how are you?"),
)

Said = Sequence[Utterance]

if TYPE_CHECKING:
    _Base = SynchronousTestCase
else:
    _Base = object


class AssistantContract(_Base):
    """
    Tests for :class:`micamsgr.conversation.assistant.IAssistant`.

    A test case of an implementation has these methods besides.

    :ivar questions: two things said, to be answered when the test says so.
    :ivar putting_off: what is said to be put off.
    :ivar refused: what is said to be refused.
    """

    assistant: Any
    questions: tuple[Said, Said] = (SAID, SAID)
    putting_off: Said = SAID
    refused: Said = SAID

    def pending(self) -> int:
        """
        Count the questions that the other end is thinking about.
        """
        raise NotImplementedError

    def answer(self, which: int = 0) -> str:
        """
        Let the other end answer a question.

        :return: what it said.
        """
        raise NotImplementedError

    def put_off(self) -> float:
        """
        Let the other end put us off.

        :return: for how many seconds.
        """
        raise NotImplementedError

    def refuse(self) -> None:
        """
        Let the other end refuse to answer.
        """
        raise NotImplementedError

    def ask(self, said: Said) -> Deferred[Reply]:
        """
        Ask for an answer.
        """
        return Deferred.fromCoroutine(self.assistant.reply(said, 1))

    def test_interface(self) -> None:
        """
        It has every method that the interface declares.
        """
        verifyObject(IAssistant, self.assistant)

    def test_reply(self) -> None:
        """
        The reply is what was answered, with a count of tokens, and no sooner
        than it was answered.
        """
        asking = self.ask(self.questions[0])
        self.assertNoResult(asking)
        answered = self.answer()
        reply = self.successResultOf(asking)
        self.assertEqual(reply.text, answered)
        self.assertGreaterEqual(reply.tokens, 1)

    def test_estimate(self) -> None:
        """
        What a reply may cost is known before it is asked for, is no less than
        it then costs, and grows with what was said.
        """
        question = self.questions[0]
        most = self.assistant.estimate(question)
        self.assertGreaterEqual(most, 1)
        asking = self.ask(question)
        self.answer()
        self.assertLessEqual(self.successResultOf(asking).tokens, most)
        said = (*question[:-1], Utterance(Role.PERSON, "how are you? " * 100))
        self.assertGreaterEqual(self.assistant.estimate(said), most)
        self.assertEqual(self.assistant.estimate(question), most)

    def test_together(self) -> None:
        """
        Questions that are asked together are answered each for itself.
        """
        first, second = map(self.ask, self.questions)
        answered = self.answer(1)
        self.assertNoResult(first)
        self.assertEqual(self.successResultOf(second).text, answered)
        answered = self.answer()
        self.assertEqual(self.successResultOf(first).text, answered)

    def test_unavailable(self) -> None:
        """
        One that puts us off is unavailable, for the time that it names.
        """
        asking = self.ask(self.putting_off)
        wanted = self.put_off()
        error = self.failureResultOf(asking, Unavailable).value
        self.assertEqual(error.retry_after, wanted)
        self.assertGreaterEqual(error.tokens, 0)

    def test_refused(self) -> None:
        """
        Where there is no sense in asking again it refuses.
        """
        asking = self.ask(self.refused)
        self.refuse()
        error = self.failureResultOf(asking, Refused).value
        self.assertGreaterEqual(error.tokens, 0)

    def test_canceled(self) -> None:
        """
        A question that nobody waits for any more ends at once, as canceled.
        """
        asking = self.ask(self.questions[0])
        self.assertEqual(self.pending(), 1)
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertEqual(self.pending(), 0)

    def test_later(self) -> None:
        """
        After any failure it can be asked again.
        """
        asking = self.ask(self.putting_off)
        self.put_off()
        self.failureResultOf(asking, Unavailable)
        asking = self.ask(self.questions[0])
        answered = self.answer()
        self.assertEqual(self.successResultOf(asking).text, answered)


class MemoryAssistantTests(AssistantContract, SynchronousTestCase):
    """
    The assistant that tests use.
    """

    def setUp(self) -> None:
        self.memory = MemoryAssistant()
        self.assistant = self.memory

    def pending(self) -> int:
        return len(self.memory.pending)

    def answer(self, which: int = 0) -> str:
        self.memory.answer(f"fine, {which}", which)
        return f"fine, {which}"

    def put_off(self) -> float:
        self.memory.fail(Unavailable("the test says so", 7.0))
        return 7.0

    def refuse(self) -> None:
        self.memory.fail(Refused("the test says so"))


class TroubledTests(MemoryAssistantTests):
    """
    An assistant in the sandbox, as long as no trouble is on.
    """

    def setUp(self) -> None:
        super().setUp()
        self.assistant = Troubled(self.memory, Switches(), Clock())


@define
class Server:
    """
    A server of chat completions, behind our end of HTTP.

    :ivar calls: those that wait for an answer, oldest first.
    """

    calls: list[Deferred[Answer]] = field(factory=list)

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Headers,
        body: bytes | None,
        deadline: float,
    ) -> Answer:
        answer: Deferred[Answer] = Deferred()
        self.calls.append(answer)
        try:
            return await answer
        except CancelledError as error:
            self.calls.remove(answer)
            raise OutcomeUnknown("canceled") from error

    def answer(self, which: int, status: int, document: object, **headers: str) -> None:
        """
        Answer one of the calls.
        """
        sent = Headers({name.replace("_", "-"): [v] for name, v in headers.items()})
        body = json.dumps(document).encode()
        self.calls.pop(which).callback(Answer(status, sent, body))


class ChatCompletionsTests(AssistantContract, SynchronousTestCase):
    """
    The assistant behind a server of chat completions.
    """

    def setUp(self) -> None:
        self.server = Server()
        self.assistant = ChatCompletions(
            self.server.call,
            [Endpoint(url="https://llm.example/v1/chat/completions", model="m")],
            lambda utterances: messages(
                "Be kind.", utterances, history_messages=40, history_characters=24000
            ),
            lambda: 0.0,
            lambda: 0.0,
        )

    def pending(self) -> int:
        return len(self.server.calls)

    def answer(self, which: int = 0) -> str:
        message = {"role": "assistant", "content": f"fine, {which}"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self.server.answer(which, 200, {"choices": [choice]})
        return f"fine, {which}"

    def put_off(self) -> float:
        error = {"message": "slow down", "type": "requests", "code": None}
        self.server.answer(0, 429, {"error": error}, retry_after="7")
        return 7.0

    def refuse(self) -> None:
        error = {"message": "no", "type": "invalid_request_error"}
        self.server.answer(0, 400, {"error": error})


def asked(text: str) -> Said:
    """
    Say something in a conversation that has begun.
    """
    return (*SAID[:2], Utterance(Role.PERSON, text))


class DemoTests(AssistantContract, SynchronousTestCase):
    """
    The assistant without an LLM, which only what it is asked makes slow.
    """

    questions = asked("slow"), asked("What does it cost?")
    putting_off = asked("flaky")
    refused = asked("fail")

    def setUp(self) -> None:
        self.clock = Clock()
        self.assistant = Demo(self.clock)

    def pending(self) -> int:
        return len(self.clock.getDelayedCalls())

    def answer(self, which: int = 0) -> str:
        clock = Clock()
        replying = Deferred.fromCoroutine(
            Demo(clock).reply(self.questions[which], which)
        )
        # Only the first takes its time.
        if which == 0:
            clock.advance(8.0)
            self.clock.advance(8.0)
        return self.successResultOf(replying).text

    def put_off(self) -> float:
        return 2.0

    def refuse(self) -> None:
        pass
