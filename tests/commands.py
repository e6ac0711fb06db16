"""
The operator's commands as processes of their own.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.utils import getProcessOutputAndValue

from tests.daemon import DaemonCase

ALICE, BOB = "6284913775102846", "6284913775102847"

_ROOT = Path(__file__).resolve().parent.parent
# They are there to show what was said.
_TELLING = ("conversation", "export")
_COMMAND = "import sys; from micamsgr.cli import main; sys.exit(main())"


class ControlCase(DaemonCase):
    """
    A daemon, and the commands to it.
    """

    async def command(
        self, *words: str, environ: dict[str, str] | None = None, text: str = ""
    ) -> tuple[int, str, str]:
        """
        Run ``micamessenger``.

        :return: the exit status, and what it printed and complained.
        """
        environment = {**os.environ, "PYTHONPATH": str(_ROOT), **(environ or {})}
        for name in ("STATE_DIRECTORY", "OPENAI_API_KEY"):
            environment.pop(name, None)
        config = str((self.directory / "mica.yaml").resolve())
        out, errors, status = await getProcessOutputAndValue(
            sys.executable,
            ["-c", _COMMAND, *words, "--config", config],
            env=environment,
            stdinBytes=text.encode(),
        )
        if words[0] not in _TELLING:
            self.places.append((words[0], out.decode() + errors.decode()))
        return status, out.decode(), errors.decode()

    async def done(self, *words: str, text: str = "") -> str:
        """
        Run one that must succeed.
        """
        status, out, errors = await self.command(*words, text=text)
        self.assertEqual((status, errors), (0, ""))
        return out

    async def document(self, *words: str) -> dict[str, Any]:
        """
        Run one that must succeed, for programs.
        """
        found = json.loads(await self.done(*words, "--json"))
        assert isinstance(found, dict)
        return found

    async def declined(self, *words: str) -> str:
        """
        Run one that must not succeed.
        """
        status, out, errors = await self.command(*words)
        self.assertEqual((status, out), (1, ""))
        self.assertNotIn("Traceback", errors)
        return errors
