"""
What any assistant promises, and the assistants that there are.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers
from zope.interface.verify import verifyObject

from micamsgr.assistant.chat_completions import ChatCompletions, Endpoint
from micamsgr.assistant.prompt import messages
from micamsgr.conversation.assistant import IAssistant, Reply, Role, Utterance
from micamsgr.errors import OutcomeUnknown, Refused, Unavailable
from micamsgr.httpcall import Answer
from micamsgr.testing import MemoryAssistant

SAID = (
    Utterance(Role.PERSON, "hi"),
    Utterance(Role.BOT, "hello"),
    Utterance(Role.PERSON, "how are you?"),
)

if TYPE_CHECKING:
    _Base = SynchronousTestCase
else:
    _Base = object


class AssistantContract(_Base):
    """
    Tests for :class:`micamsgr.conversation.assistant.IAssistant`.

    A test case of an implementation has these methods besides.
    """

    assistant: IAssistant

    def pending(self) -> int:
        """
        Count the questions that the other end is thinking about.
        """
        raise NotImplementedError

    def answer(self, text: str, which: int = 0) -> None:
        """
        Let the other end answer a question.
        """
        raise NotImplementedError

    def put_off(self, retry_after: float) -> None:
        """
        Let the other end put us off.
        """
        raise NotImplementedError

    def refuse(self) -> None:
        """
        Let the other end refuse to answer.
        """
        raise NotImplementedError

    def ask(self) -> Deferred[Reply]:
        """
        Ask for an answer.
        """
        return Deferred.fromCoroutine(self.assistant.reply(SAID))

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
        asking = self.ask()
        self.assertNoResult(asking)
        self.answer("fine")
        reply = self.successResultOf(asking)
        self.assertEqual(reply.text, "fine")
        self.assertGreaterEqual(reply.tokens, 1)

    def test_estimate(self) -> None:
        """
        What a reply may cost is known before it is asked for, is no less than
        it then costs, and grows with what was said.
        """
        most = self.assistant.estimate(SAID)
        self.assertGreaterEqual(most, 1)
        asking = self.ask()
        self.answer("fine")
        self.assertLessEqual(self.successResultOf(asking).tokens, most)
        said = (*SAID[:-1], Utterance(Role.PERSON, "how are you? " * 100))
        self.assertGreaterEqual(self.assistant.estimate(said), most)
        self.assertEqual(self.assistant.estimate(SAID), most)

    def test_together(self) -> None:
        """
        Questions that are asked together are answered each for itself.
        """
        first, second = self.ask(), self.ask()
        self.answer("to the second", 1)
        self.assertNoResult(first)
        self.assertEqual(self.successResultOf(second).text, "to the second")
        self.answer("to the first")
        self.assertEqual(self.successResultOf(first).text, "to the first")

    def test_unavailable(self) -> None:
        """
        One that puts us off is unavailable, for the time that it names.
        """
        asking = self.ask()
        self.put_off(7.0)
        error = self.failureResultOf(asking, Unavailable).value
        self.assertEqual(error.retry_after, 7.0)
        self.assertGreaterEqual(error.tokens, 0)

    def test_refused(self) -> None:
        """
        Where there is no sense in asking again it refuses.
        """
        asking = self.ask()
        self.refuse()
        error = self.failureResultOf(asking, Refused).value
        self.assertGreaterEqual(error.tokens, 0)

    def test_canceled(self) -> None:
        """
        A question that nobody waits for any more ends at once, as canceled.
        """
        asking = self.ask()
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertEqual(self.pending(), 0)

    def test_later(self) -> None:
        """
        After any failure it can be asked again.
        """
        asking = self.ask()
        self.put_off(7.0)
        self.failureResultOf(asking, Unavailable)
        asking = self.ask()
        self.answer("fine")
        self.assertEqual(self.successResultOf(asking).text, "fine")


class MemoryAssistantTests(AssistantContract, SynchronousTestCase):
    """
    The assistant that tests use.
    """

    def setUp(self) -> None:
        self.assistant: MemoryAssistant = MemoryAssistant()

    def pending(self) -> int:
        return len(self.assistant.pending)

    def answer(self, text: str, which: int = 0) -> None:
        self.assistant.answer(text, which)

    def put_off(self, retry_after: float) -> None:
        self.assistant.fail(Unavailable("the test says so", retry_after))

    def refuse(self) -> None:
        self.assistant.fail(Refused("the test says so"))


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

    def answer(self, text: str, which: int = 0) -> None:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self.server.answer(which, 200, {"choices": [choice]})

    def put_off(self, retry_after: float) -> None:
        error = {"message": "slow down", "type": "requests", "code": None}
        self.server.answer(0, 429, {"error": error}, retry_after=f"{retry_after:.0f}")

    def refuse(self) -> None:
        error = {"message": "no", "type": "invalid_request_error"}
        self.server.answer(0, 400, {"error": error})
