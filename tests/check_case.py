"""
A configuration for ``micamessenger check``, and ways to ask.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from twisted.internet.utils import getProcessOutputAndValue

from micamsgr.check.findings import Finding, Verdict
from micamsgr.check.inquiry import Inquiry
from micamsgr.config import load_config
from micamsgr.httpcall import HTTPCaller, outbound_client
from tests.daemon import DaemonCase, reactor

_ROOT = Path(__file__).resolve().parent.parent

#: What nobody can tell where something else is wrong.
UNTOLD = {
    f"{question}.unknown"
    for question in (
        "clock",
        "token",
        "app",
        "page",
        "scopes",
        "appsecret_proof",
        "app_subscription",
        "page_subscription",
        "routing",
    )
}


class CheckCase(DaemonCase):
    """
    A configuration of which all is well, once the daemon runs.
    """

    def write_configuration(self, **changes: Any) -> Path:
        """
        Write the daemon's configuration, for its owner alone.
        """
        facebook = {"app_id": self.page.app.id, "page_id": self.page.id}
        facebook |= changes.pop("facebook", {})
        daemon = self.daemon(
            **{"public_url": f"http://127.0.0.1:{self.port}", **changes},
            facebook=facebook,
        )
        self.daemons.pop()
        file = self.directory / "check.yaml"
        file.touch(0o600)
        file.write_text(yaml.safe_dump(daemon.configuration), encoding="utf-8")
        return file.resolve()

    async def ask(self, file: Path) -> list[Finding]:
        """
        Ask everything, in this process.
        """
        client, pool = outbound_client(reactor, connections=8)
        config = load_config(file, {})
        caller = HTTPCaller(reactor, client.request)
        inquiry = Inquiry(reactor, caller, file, config, {}, time.time)
        try:
            return await inquiry.ask()
        finally:
            await pool.closeCachedConnections()

    async def troubles(self, file: Path) -> set[str]:
        """
        Ask everything, and name what is wrong.
        """
        found = await self.ask(file)
        for finding in found:
            if finding.verdict is not Verdict.OK:
                self.assertTrue(finding.means and finding.todo, finding)
        return {finding.name for finding in found if finding.name}

    async def run_command(
        self, file: Path, *more: str, **environment: str
    ) -> tuple[int, str]:
        """
        Run the command, as an operator does.

        :return: its status, and what it printed.
        """
        out, err, status = await getProcessOutputAndValue(
            sys.executable,
            [
                "-c",
                "import sys; from micamsgr.cli import main; sys.exit(main())",
                *("check", "--config", str(file), *more),
            ],
            env={**os.environ, "PYTHONPATH": str(_ROOT), **environment},
            path=str(self.directory),
        )
        self.assertEqual(err, b"")
        self.places.append(("check", out.decode()))
        return status, out.decode()
