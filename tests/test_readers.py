"""
Commands whose reader goes away, as in ``micamessenger status | head -1``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from twisted.internet.threads import deferToThread

from tests.check_case import CheckCase

_ROOT = Path(__file__).resolve().parent.parent
_COMMAND = "import sys; from micamsgr.cli import main; sys.exit(main())"


class ReaderTests(CheckCase):
    """
    Tests with a real pipe that nobody reads.
    """

    async def unread(self, *words: str, both: bool = False) -> tuple[int, bytes]:
        """
        Run ``micamessenger`` with its output in such a pipe.

        :param both: with its errors there, too.

        :return: the exit status, less than 0: the signal; and its errors.
        """
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        # What is printed then waits until the end.
        environment.pop("PYTHONUNBUFFERED", None)
        reading, writing = os.pipe()
        os.close(reading)
        try:
            ended = await deferToThread(
                subprocess.run,
                [sys.executable, "-c", _COMMAND, *words],
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing if both else subprocess.PIPE,
                env=environment,
                cwd=self.directory,
                timeout=60,
            )
        finally:
            os.close(writing)
        return ended.returncode, ended.stderr or b""

    async def test_gone(self) -> None:
        """
        A command whose reader has gone ends at once, without a traceback, by
        the signal by which other programs do.
        """
        file = self.write_configuration()
        await self.serve()
        for words in (
            ("--help",),
            ("status", "--help"),
            ("status",),
            ("queue", "list", "--json"),
            ("check",),
            ("check", "--json"),
            # It would wait for a message for five minutes.
            ("check", "--watch"),
        ):
            named = () if "--help" in words else ("--config", str(file))
            status, errors = await self.unread(*words, *named)
            self.assertEqual((status, errors), (-signal.SIGPIPE, b""), words)
        # And if it is a complaint that nobody reads.
        for words in (("nothing",), ("status", "--config", "nowhere.yaml")):
            status, _ = await self.unread(*words, both=True)
            self.assertEqual(status, -signal.SIGPIPE, words)
