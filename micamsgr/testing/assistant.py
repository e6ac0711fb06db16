"""
An assistant that answers when the test says so.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from zope.interface import implementer

from micamsgr.conversation.assistant import IAssistant, Reply, Utterance


@define(eq=False)
class Question:
    """
    Something that the assistant is asked.
    """

    utterances: tuple[Utterance, ...]
    asker: Hashable
    reply: Deferred[Reply] = field(factory=Deferred)

    @property
    def texts(self) -> list[str]:
        """What was said, oldest first."""
        return [utterance.text for utterance in self.utterances]


@implementer(IAssistant)
@define(eq=False)
class MemoryAssistant:
    """
    Answer when the test says so.

    :ivar pending: questions that wait for an answer, oldest first.
    :ivar asked: all questions, oldest first.
    :ivar most: what a reply may cost, in tokens.
    """

    pending: list[Question] = field(factory=list, init=False)
    asked: list[Question] = field(factory=list, init=False)
    most: int = field(default=1, init=False)

    async def reply(self, utterances: Sequence[Utterance], asker: Hashable) -> Reply:
        question = Question(tuple(utterances), asker)
        self.pending.append(question)
        self.asked.append(question)
        try:
            return await question.reply
        except CancelledError:
            self.pending.remove(question)
            raise

    def estimate(self, utterances: Sequence[Utterance]) -> int:
        return self.most

    def answer(self, text: str = "hello", which: int = 0, *, tokens: int = 1) -> None:
        """
        Answer a pending question.
        """
        reply = Reply(text=text, tokens=tokens)
        self.pending.pop(which).reply.callback(reply)

    def fail(self, error: Exception, which: int = 0) -> None:
        """
        Let a pending question have no answer.
        """
        self.pending.pop(which).reply.errback(error)

    def answer_all(self) -> None:
        """
        Answer every question with the last thing said, also those that follow.
        """
        while self.pending:
            self.answer(f"re: {self.pending[0].texts[-1]}")
