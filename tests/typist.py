"""
A command in a terminal, and somebody who types.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from tests.daemon import eventually, reactor

_ROOT = Path(__file__).resolve().parent.parent
_COMMAND = "import sys; from micamsgr.cli import main; sys.exit(main())"
_OURS = ("STATE_DIRECTORY", "OPENAI_API_KEY", "MICA_CONFIG")


@define(eq=False)
class Typist(ProcessProtocol):
    """
    Runs ``micamessenger`` in a pseudo-terminal, or without one.

    :ivar words: of the command line.
    :ivar directory: where it runs.
    """

    words: Sequence[str]
    directory: Path
    environment: dict[str, str] = field(factory=dict)
    terminal: bool = True

    _output: bytes = field(default=b"", init=False)
    # How much of the output has been read.
    _read: int = field(default=0, init=False)
    _process: Any = field(default=None, init=False)
    _status: int | None = field(default=None, init=False)
    _awaited: list[Deferred[int]] = field(factory=list, init=False)

    def start(self) -> None:
        """Begin."""
        environment = {**os.environ, "PYTHONPATH": str(_ROOT), **self.environment}
        for name in _OURS:
            environment.pop(name, None)
        self._process = reactor.spawnProcess(
            self,
            sys.executable,
            [sys.executable, "-c", _COMMAND, *self.words],
            env=environment,
            path=str(self.directory),
            usePTY=self.terminal,
        )
        if not self.terminal:
            self._process.closeStdin()

    @property
    def output(self) -> str:
        """All that it has shown."""
        return self._output.decode("utf-8", "replace").replace("\r\n", "\n")

    async def sees(self, text: str, seconds: float = 60.0) -> None:
        """
        Wait until something is shown, behind what was seen before.

        :raises AssertionError: it is not, in time.
        """

        def there() -> bool:
            place = self.output.find(text, self._read)
            if place >= 0:
                self._read = place + len(text)
            ended = self._status is not None
            if place < 0 and ended:
                raise AssertionError(f"{text!r} is not shown:\n{self.output}")
            return place >= 0

        try:
            await eventually(there, seconds)
        except AssertionError as error:
            raise AssertionError(f"{text!r}: {error}\n{self.output}") from error

    async def answers(self, question: str, line: str) -> None:
        """Wait for a question, and type a line."""
        await self.sees(question)
        self.type(f"{line}\n")

    def type(self, text: str) -> None:
        """Type something, such as ``\\x03`` for Ctrl-C."""
        self._process.write(text.encode())

    @property
    def exited(self) -> Deferred[int]:
        """Fires with its status, or less than 0: the signal."""
        if self._status is not None:
            return succeed(self._status)
        self._awaited.append(Deferred())
        return self._awaited[-1]

    async def stop(self) -> None:
        """Kill it, if it lives, and wait until it is gone."""
        if self._process is not None:
            with suppress(ProcessExitedAlready):
                self._process.signalProcess("KILL")
            await self.exited

    def outReceived(self, data: bytes) -> None:
        self._output += data

    def errReceived(self, data: bytes) -> None:
        self._output += data

    def processEnded(self, reason: Failure) -> None:
        ended: Any = reason.value
        self._status = -ended.signal if ended.signal else ended.exitCode
        awaited, self._awaited = self._awaited, []
        for exited in awaited:
            exited.callback(self._status)
