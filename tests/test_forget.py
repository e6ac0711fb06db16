"""
A person is forgotten while the daemon runs and answers others, by the command
that an operator types.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from twisted.internet.utils import getProcessOutputAndValue

from tests.daemon import DaemonCase, reactor

ALICE, BOB = "6284913775102846", "7391046258813370"


class ForgetTests(DaemonCase):
    """
    Tests for ``micamessenger forget``.
    """

    # The oracle would miss what is to be gone.
    judged = False

    async def forget(self, psid: str) -> tuple[int, str]:
        """
        Run the command.

        :return: its exit status, and what it says.
        """
        environ = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *filter(None, sys.path)]),
        }
        environ.pop("STATE_DIRECTORY", None)
        config = self.directory.resolve() / "mica.yaml"
        code = "import sys; from micamsgr.cli import main; sys.exit(main())"
        command = ["-c", code, "forget", psid, "--config", str(config)]
        out, errors, status = await getProcessOutputAndValue(
            sys.executable, command, environ, reactor=reactor
        )
        return status, (out + errors).decode()

    def assertGone(self, *texts: str) -> None:
        """
        Assert that no file of the store holds any of these.
        """
        files = [f for f in self.directory.rglob("mica.db*") if f.is_file()]
        found = b"\0".join(file.read_bytes() for file in files)
        self.assertIn(BOB.encode(), found)
        for text in texts:
            self.assertNotIn(text.encode(), found)

    async def test_running_and_not(self) -> None:
        """
        No byte is left of what they wrote and were told, nor who they are,
        whether the daemon runs or not; who was not named is answered on.
        """
        daemon = await self.serve()
        self.write(ALICE, "Alice's secret")
        self.write(BOB, "Bob's words")
        await self.said(ALICE)
        await self.said(BOB)
        await self.settled()
        status, said = await self.forget(ALICE)
        self.assertEqual(status, 0, said)
        self.assertIn("forgotten: 1 conversations", said)
        self.assertGone("Alice's secret", ALICE)
        self.write(BOB, "are you still there?")
        await self.said(BOB, 2)
        self.write(ALICE, "Alice writes again")
        await self.said(ALICE, 2)
        await self.settled()
        daemon.terminate()
        await daemon.exited
        status, said = await self.forget(ALICE)
        self.assertEqual(status, 0, said)
        self.assertGone("Alice's secret", "Alice writes again", ALICE)
