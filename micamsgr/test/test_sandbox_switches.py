"""
Tests for :mod:`micamsgr.sandbox.switches`.
"""

from __future__ import annotations

from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from micamsgr.conversation.assistant import IAssistant, Reply, Role, Utterance
from micamsgr.errors import Unavailable
from micamsgr.sandbox.journal import Call
from micamsgr.sandbox.switches import Switches, Trouble, Troubled
from micamsgr.testing import MemoryAssistant

RANDOM = Random(1)
FIRST = Call(kind="message", page="1", psid="2", text="first")
SECOND = Call(kind="message", page="1", psid="2", text="second")
OTHER = Call(kind="message", page="1", psid="3", text="first")


class SwitchesTests(SynchronousTestCase):
    """
    Tests for :class:`Switches`.
    """

    def setUp(self) -> None:
        self.switches = Switches()

    def spoiled(self, *calls: Call) -> list[bool]:
        """
        Say of each call whether it is spoiled.
        """
        return [self.switches.spoil(call, RANDOM) is not None for call in calls]

    def test_off(self) -> None:
        """
        Nothing goes wrong at first.
        """
        self.assertEqual(self.spoiled(FIRST, SECOND), [False, False])
        self.assertIsNone(self.switches.spoil_echo(FIRST, RANDOM))
        self.assertEqual(set(self.switches.positions().values()), {False})

    def test_first_try(self) -> None:
        """
        Where sends fail, the first try of each message does, and has no
        effect; the second one gets through, whatever happens to others.
        """
        self.switches.flip(Trouble.GRAPH_FAILS, True)
        calls = [FIRST, OTHER, FIRST, SECOND, OTHER, SECOND, SECOND]
        self.assertEqual(
            self.spoiled(*calls), [True, True, False, True, False, False, True]
        )
        fault = self.switches.spoil(OTHER, RANDOM)
        assert fault is not None
        self.assertFalse(fault.applied)

    def test_lost(self) -> None:
        """
        Where answers are lost, each message takes effect all the same, and no
        echo comes.
        """
        self.switches.flip(Trouble.ANSWER_LOST, True)
        fault = self.switches.spoil(FIRST, RANDOM)
        echo = self.switches.spoil_echo(FIRST, RANDOM)
        assert fault is not None and echo is not None
        self.assertTrue(fault.applied)
        self.assertTrue(echo.lost)

    def test_late(self) -> None:
        """
        Where echoes are late, they come after the answer that is lost.
        """
        self.switches.flip(Trouble.ECHO_LATE, True)
        self.assertEqual(self.spoiled(FIRST), [True])
        echo = self.switches.spoil_echo(FIRST, RANDOM)
        assert echo is not None
        self.assertFalse(echo.lost)
        self.assertGreater(echo.delay, 0.0)

    def test_messages_only(self) -> None:
        """
        Look-ups and the dots work also while sends fail.
        """
        for trouble in Trouble:
            self.switches.flip(trouble, True)
        calls = [Call(kind=kind, psid="2") for kind in ("conversations", "action")]
        self.assertEqual(self.spoiled(*calls), [False, False])

    def test_doubles(self) -> None:
        """
        All is delivered twice while that is on; otherwise some is.
        """
        self.assertLess(self.switches.habits().doubles, 0.5)
        self.switches.flip(Trouble.DOUBLES, True)
        self.assertEqual(self.switches.habits().doubles, 1.0)
        self.switches.flip(Trouble.DOUBLES, False)
        self.assertLess(self.switches.habits().doubles, 0.5)


class TroubledTests(SynchronousTestCase):
    """
    Tests for :class:`Troubled`.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.switches = Switches()
        self.inner = MemoryAssistant()
        self.assistant = Troubled(self.inner, self.switches, self.clock)

    def ask(self) -> Deferred[Reply]:
        """
        Ask something.
        """
        asked = [Utterance(Role.PERSON, "Hi")]
        return Deferred.fromCoroutine(self.assistant.reply(asked, 1))

    def test_interface(self) -> None:
        """
        It is an assistant.
        """
        verifyObject(IAssistant, self.assistant)

    def test_estimate(self) -> None:
        """
        A reply may cost what it costs without troubles.
        """
        self.inner.most = 4711
        self.assertEqual(self.assistant.estimate([]), 4711)

    def test_slow(self) -> None:
        """
        A slow LLM is asked eight seconds later.
        """
        self.switches.flip(Trouble.LLM_SLOW, True)
        asking = self.ask()
        self.clock.advance(7.9)
        self.assertEqual(len(self.inner.pending), 0)
        self.clock.advance(0.1)
        self.assertEqual(len(self.inner.pending), 1)
        self.assertNoResult(asking)

    def test_pause(self) -> None:
        """
        An assistant that is too fast to be seen writing waits a moment.
        """
        self.assistant = Troubled(self.inner, self.switches, self.clock, 0.8)
        self.ask()
        self.assertEqual(len(self.inner.pending), 0)
        self.clock.advance(0.8)
        self.assertEqual(len(self.inner.pending), 1)

    def test_fails(self) -> None:
        """
        An LLM that fails may be asked again, and answers once it is mended.
        """
        self.switches.flip(Trouble.LLM_FAILS, True)
        self.failureResultOf(self.ask(), Unavailable)
        self.switches.flip(Trouble.LLM_FAILS, False)
        self.assertNoResult(self.ask())
        self.assertEqual(len(self.inner.pending), 1)
