"""
Where an operator is asked, and told.
"""

from __future__ import annotations

import os
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TextIO

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from .failing import GivenUp

_LONGEST_LINE = 1 << 16


class ITerminal(Protocol):
    """
    A conversation with whoever set it up.

    :ivar interactive: whether there is somebody to answer.
    """

    @property
    def interactive(self) -> bool: ...

    def say(self, text: str) -> None:
        """Print some lines."""

    async def ask(self, prompt: str, *, hidden: bool = False) -> str:
        """
        Ask for a line, and wait for it for as long as that takes.

        :param hidden: what is typed is not shown.

        :return: without the end of the line.

        :raises GivenUp: there is none, nor will be.
        """


@implementer(IReadDescriptor)
@define(eq=False)
class Terminal:
    """
    A terminal, or what stands for one.

    Lines are read as the reactor says that there are some, so that Ctrl-C and
    deadlines work while one waits.

    :ivar _reactor: an ``IReactorFDSet``.
    :ivar _number: the file descriptor that is read.
    """

    _reactor: Any
    _number: int
    _out: TextIO

    interactive: bool = field(init=False)
    _rest: bytes = field(default=b"", init=False)
    _waiting: Deferred[str] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.interactive = os.isatty(self._number) and self._out.isatty()

    def say(self, text: str) -> None:
        # What Meta tells may be more than the terminal can show.
        encoding = self._out.encoding or "utf-8"
        whole = text.encode(encoding, "backslashreplace").decode(encoding)
        self._out.write(f"{whole}\n")
        self._out.flush()

    async def ask(self, prompt: str, *, hidden: bool = False) -> str:
        if not self.interactive:
            raise GivenUp
        # Whoever answers at once must not be shown either.
        with self._unseen() if hidden else _seen():
            self._out.write(prompt)
            self._out.flush()
            line = await self._line()
        if hidden:
            self._out.write("\n")
        return line

    @contextmanager
    def _unseen(self) -> Iterator[None]:
        before = termios.tcgetattr(self._number)
        quiet = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
        termios.tcsetattr(self._number, termios.TCSADRAIN, quiet)
        try:
            yield
        finally:
            with suppress(termios.error):  # it has gone
                termios.tcsetattr(self._number, termios.TCSADRAIN, before)

    def _line(self) -> Deferred[str]:
        waiting = self._waiting = Deferred(lambda _: self._stop())
        if not self._settle():
            self._reactor.addReader(self)
        return waiting

    def _stop(self) -> None:
        self._waiting = None
        self._reactor.removeReader(self)

    def _settle(self) -> bool:
        line, newline, rest = self._rest.partition(b"\n")
        if not newline or self._waiting is None:
            return False
        waiting, self._waiting, self._rest = self._waiting, None, rest
        waiting.callback(line.decode("utf-8", "replace").rstrip("\r"))
        return True

    # What the reactor calls

    def fileno(self) -> int:
        return self._number

    def logPrefix(self) -> str:
        return "terminal"

    def doRead(self) -> None:
        """Take what was typed; a terminal gives it line by line."""
        try:
            data = os.read(self._number, 4096)
        except OSError:
            data = b""
        self._rest += data
        if not data or len(self._rest) > _LONGEST_LINE:
            self._end()
        elif b"\n" in self._rest:
            self._reactor.removeReader(self)
            self._settle()

    def connectionLost(self, reason: object) -> None:
        self._end()

    def _end(self) -> None:
        self._reactor.removeReader(self)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.errback(GivenUp())


@contextmanager
def _seen() -> Iterator[None]:
    yield
