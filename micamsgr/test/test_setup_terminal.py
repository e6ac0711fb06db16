"""
Tests for :mod:`micamsgr.setup.terminal`.
"""

from __future__ import annotations

import os
import termios
from io import StringIO
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.setup.failing import GivenUp
from micamsgr.setup.terminal import ITerminal, Terminal
from micamsgr.testing import ScriptedTerminal


class Screen(StringIO):
    """
    What a terminal shows.
    """

    def isatty(self) -> bool:
        """It stands for one."""
        return True


class Readers:
    """
    A reactor that reads when the test says so.
    """

    def __init__(self) -> None:
        self.reading: list[Any] = []

    def addReader(self, reader: Any) -> None:  # noqa: N802
        """Read from now on."""
        self.reading.append(reader)

    def removeReader(self, reader: Any) -> None:  # noqa: N802
        """Don't."""
        if reader in self.reading:
            self.reading.remove(reader)


class TerminalContract:
    """
    What everything promises that stands for a terminal.
    """

    def make(self, *lines: str) -> tuple[ITerminal, Any]:
        """
        Make one at which these lines are typed, and then no more.

        :return: it, and what makes it go on.
        """
        raise NotImplementedError

    def make_empty(self) -> ITerminal:
        """
        Make one at which there is nobody.
        """
        raise NotImplementedError

    def shown(self) -> str:
        """
        Give what it shows.
        """
        raise NotImplementedError

    def test_lines(self: Any) -> None:
        """
        Each question is shown, and gets a line.
        """
        terminal, go_on = self.make("one", "two")
        terminal.say("Hello")
        self.assertTrue(terminal.interactive)
        for prompt, line in (("First: ", "one"), ("Second: ", "two")):
            asked = Deferred.fromCoroutine(terminal.ask(prompt))
            go_on()
            self.assertEqual(self.successResultOf(asked), line)
        self.assertTrue(self.shown().startswith("Hello\nFirst: "))

    def test_end(self: Any) -> None:
        """
        Who goes away gives no answer.
        """
        terminal, go_on = self.make()
        asked = Deferred.fromCoroutine(terminal.ask("First: "))
        go_on()
        self.failureResultOf(asked, GivenUp)

    def test_nobody(self: Any) -> None:
        """
        Where there is nobody, nothing is asked.
        """
        terminal = self.make_empty()
        self.assertFalse(terminal.interactive)
        self.failureResultOf(Deferred.fromCoroutine(terminal.ask("First: ")), GivenUp)
        self.assertEqual(self.shown(), "")


class ScriptedTerminalTests(TerminalContract, SynchronousTestCase):
    """
    The stand-in of tests.
    """

    def make(self, *lines: str) -> tuple[ITerminal, Any]:
        self.terminal = ScriptedTerminal.typing(lines)
        return self.terminal, lambda: None

    def make_empty(self) -> ITerminal:
        self.terminal = ScriptedTerminal.nobodys()
        return self.terminal

    def shown(self) -> str:
        return self.terminal.shown


class TerminalTests(TerminalContract, SynchronousTestCase):
    """
    A terminal of the system's.
    """

    def setUp(self) -> None:
        self.hand, self.number = os.openpty()
        self.addCleanup(os.close, self.hand)
        self.addCleanup(os.close, self.number)
        self.out, self.reactor = Screen(), Readers()
        self.terminal = Terminal(self.reactor, self.number, self.out)

    def make(self, *lines: str) -> tuple[ITerminal, Any]:
        typed = [*(f"{line}\n" for line in lines), "\x04"]

        def go_on() -> None:
            if self.reactor.reading:
                os.write(self.hand, typed.pop(0).encode())
                self.terminal.doRead()

        return self.terminal, go_on

    def make_empty(self) -> ITerminal:
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        os.close(write)
        return Terminal(self.reactor, read, self.out)

    def shown(self) -> str:
        return self.out.getvalue()

    @property
    def echoes(self) -> bool:
        """Whether what is typed is shown."""
        return bool(termios.tcgetattr(self.number)[3] & termios.ECHO)

    def test_hidden(self) -> None:
        """
        What is typed unseen is not shown, from before the question until after
        the answer, and then all is as it was.
        """
        before = self.echoes
        asked = Deferred.fromCoroutine(self.terminal.ask("Secret: ", hidden=True))
        self.assertTrue(before)
        self.assertFalse(self.echoes)
        os.write(self.hand, b"hush\n")
        self.terminal.doRead()
        self.assertEqual(self.successResultOf(asked), "hush")
        self.assertTrue(self.echoes)
        self.assertEqual(self.shown(), "Secret: \n")

    def test_hidden_before_asked(self) -> None:
        """
        Whoever answers in the very moment of the question is not shown either.
        """
        seen: list[bool] = []
        self.patch(self.out, "write", lambda text: seen.append(self.echoes))
        asked = Deferred.fromCoroutine(self.terminal.ask("Secret: ", hidden=True))
        self.assertEqual(seen, [False])
        asked.cancel()
        self.failureResultOf(asked, CancelledError)

    def test_interrupted(self) -> None:
        """
        Ctrl-C at a secret leaves a terminal that shows what is typed.
        """
        asked = Deferred.fromCoroutine(self.terminal.ask("Secret: ", hidden=True))
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertTrue(self.echoes)
        self.assertEqual(self.reactor.reading, [])

    def test_ahead(self) -> None:
        """
        What is typed ahead answers the next question.
        """
        asked = Deferred.fromCoroutine(self.terminal.ask("First: "))
        for reader in [*self.reactor.reading]:
            self.terminal._rest = b"one\r\ntwo\n"
            reader._settle()
        self.assertEqual(self.successResultOf(asked), "one")
        asked = Deferred.fromCoroutine(self.terminal.ask("Second: "))
        self.assertEqual(self.successResultOf(asked), "two")

    def test_unprintable(self) -> None:
        """
        What the terminal can't show is shown all the same, escaped.
        """

        class Ascii(Screen):
            encoding = "ascii"

        out = Ascii()
        Terminal(self.reactor, self.number, out).say("Café")
        self.assertEqual(out.getvalue(), "Caf\\xe9\n")
