"""
Tests for the assistant that needs no LLM.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.assistant.demo import Demo
from micamsgr.conversation.assistant import Reply, Role, Utterance
from micamsgr.errors import Refused, Unavailable
from micamsgr.messenger.markdown import plain
from micamsgr.messenger.rendering import split

GREETED = (Utterance(Role.PERSON, "Hi"), Utterance(Role.BOT, "Hello!"))


class DemoTests(SynchronousTestCase):
    """
    Tests for :class:`micamsgr.assistant.demo.Demo`.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.demo = Demo(self.clock)

    def ask(self, *said: str, before: tuple[Utterance, ...] = GREETED) -> Deferred[str]:
        """
        Ask the demo in a conversation, by default one that has begun.
        """
        utterances = [*before, *(Utterance(Role.PERSON, text) for text in said)]
        replying: Deferred[Reply] = Deferred.fromCoroutine(
            self.demo.reply(utterances, 1)
        )
        return replying.addCallback(lambda reply: reply.text)

    def answer(self, *said: str, before: tuple[Utterance, ...] = GREETED) -> str:
        """
        Ask the demo what it answers at once.
        """
        return self.successResultOf(self.ask(*said, before=before))

    def test_estimate(self) -> None:
        """
        What a reply costs is known beforehand, and as little as may be.
        """
        said = [Utterance(Role.PERSON, "hello " * 1000)]
        reply = self.successResultOf(Deferred.fromCoroutine(self.demo.reply(said, 1)))
        self.assertEqual((self.demo.estimate(said), reply.tokens), (1, 1))

    def test_first(self) -> None:
        """
        Whoever writes for the first time is greeted, and told what this is
        and what can be tried.
        """
        for said in ("Hello", "What can you do?", "Bonjour", "[a picture]"):
            answer = self.answer(said, before=())
            self.assertIn("This is Mica Messenger", answer)
            self.assertIn("no LLM", answer)
            self.assertIn("“long”", answer)

    def test_first_question(self) -> None:
        """
        Whoever begins with a question is greeted, and has it answered.
        """
        answer = self.answer("What does it cost?", before=())
        self.assertIn("This is Mica Messenger", answer)
        self.assertIn("Apache License", answer)

    def test_get_started(self) -> None:
        """
        The button by which a conversation begins starts the tour anew.
        """
        self.assertIn("This is Mica Messenger", self.answer("Get Started"))

    def test_greeted_once(self) -> None:
        """
        Nobody is greeted with every answer, but everybody is greeted back.
        """
        self.assertNotIn("This is", self.answer("What does it cost?"))
        self.assertIn("Hello again", self.answer("hello"))

    def test_colleague_first(self) -> None:
        """
        Where only a human has answered so far, the demo still says what it is.
        """
        before = (Utterance(Role.PERSON, "Hi"), Utterance(Role.HUMAN, "Hello!"))
        self.assertIn("This is Mica Messenger", self.answer("ok", before=before))

    def test_questions(self) -> None:
        """
        Questions about the program are answered, by the words that they hold.
        """
        for question, told in (
            ("How do you keep my messages?", "on disk before"),
            ("can it CRASH", "killed at any instant"),
            ("How long do you remember?", "on disk before"),
            ("What happens when the LLM fails?", "asked again"),
            ("what if there is an error?", "asked again"),
            ("And when the network breaks?", "read the conversation"),
            ("What if the Graph API fails?", "read the conversation"),
            ("What happens when sending fails?", "read the conversation"),
            ("May a human take over?", "Page's inbox"),
            ("Is it private?", "operator's own machine"),
            ("What's the price?", "Apache License"),
            ("Which languages do you speak?", "language in which you write"),
            ("How do I go live?", "micamessenger setup"),
            ("Who are you?", "no LLM"),
        ):
            self.assertIn(told, self.answer(question), question)

    def test_sandbox(self) -> None:
        """
        The demo names no time that the sandbox's own settings disprove.
        """
        for question in ("What happens when the LLM fails?", "human?", "network?"):
            self.assertNotRegex(self.answer(question), r"\d+ (?:minutes|seconds)")

    def test_small_talk(self) -> None:
        """
        Small talk is answered in kind.
        """
        self.assertIn("welcome", self.answer("Thank you!"))
        self.assertIn("Goodbye", self.answer("bye"))

    def test_question_behind_small_talk(self) -> None:
        """
        Of several messages at once, the question is answered.
        """
        self.assertIn("Apache License", self.answer("thanks", "And the price?", "bye"))

    def test_answered_before(self) -> None:
        """
        What was asked before is not answered again.
        """
        asked = (Utterance(Role.PERSON, "price?"), Utterance(Role.BOT, "It's free."))
        self.assertNotIn("Apache License", self.answer("thanks", before=asked))

    def test_lost(self) -> None:
        """
        Whatever the demo does not know, it says so, and what can be tried.
        """
        answer = self.answer("Wie wird das Wetter?")
        self.assertIn("Sorry", answer)
        self.assertIn("“slow”", answer)

    def test_short(self) -> None:
        """
        No answer but the long one needs more than one message, or reads like
        Markdown.
        """
        for said in ("?", "hi", "keep", "fails", "network", "human", "data", "live"):
            answer = self.answer(said, before=())
            self.assertEqual(split(plain(answer)), (answer,))

    def test_long(self) -> None:
        """
        Asked for it, the demo gives an answer of several messages.
        """
        answer = self.answer("Show me a long answer")
        self.assertGreater(len(answer), 4000)
        self.assertEqual(len(split(plain(answer))), 3)

    def test_markdown(self) -> None:
        """
        Asked for it, the demo writes Markdown as LLMs do.
        """
        answer = self.answer("markdown")
        self.assertNotEqual(plain(answer), answer)
        self.assertIn("2*3*4", plain(answer))
        self.assertNotIn("**Markdown**", plain(answer))

    def test_slow(self) -> None:
        """
        Asked for it, the demo takes eight seconds.
        """
        answering = self.ask("Show me a slow answer")
        self.clock.advance(7.9)
        self.assertNoResult(answering)
        self.clock.advance(0.1)
        self.assertIn("8 seconds", self.successResultOf(answering))

    def test_canceled(self) -> None:
        """
        A slow answer that nobody waits for any more leaves nothing behind.
        """
        answering = self.ask("slow")
        answering.cancel()
        self.failureResultOf(answering, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_fail(self) -> None:
        """
        Asked for it, the demo fails for good.
        """
        for said in ("Let the LLM fail", "error!"):
            self.failureResultOf(self.ask(said), Refused)

    def test_flaky(self) -> None:
        """
        Asked for it, the demo fails at the first try, wants to be asked again
        two seconds later, and then answers.
        """
        for _ in range(2):
            failure = self.failureResultOf(self.ask("flaky"), Unavailable)
            self.assertEqual(failure.value.retry_after, 2.0)
            self.assertIn("My first try just failed", self.answer("flaky"))

    def test_flaky_apart(self) -> None:
        """
        Each of two people who ask for it sees the demo fail once.
        """
        self.failureResultOf(self.ask("flaky"), Unavailable)
        self.failureResultOf(self.ask("hm", "flaky"), Unavailable)
        self.answer("flaky")
        self.answer("hm", "flaky")
