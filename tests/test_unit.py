"""
The daemon in surroundings as etc/micamessenger.service makes them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.internet.threads import deferToThread

from tests.confined import allowed, members
from tests.daemon import DaemonCase, eventually
from tests.test_sockets import ALICE, SocketCase

ROOT = Path(__file__).resolve().parent.parent

# Debian's, which has what it gives by apt.
_SYSTEM = "/usr/bin/python3"

# Runs a command whose output goes where systemd's journal would be.
_JOURNALED = (
    "import os, sys; stream = os.fstat({number});"
    "os.environ['JOURNAL_STREAM'] = f'{{stream.st_dev}}:{{stream.st_ino}}';"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def _lacks() -> str | None:
    """
    Say what there is not.
    """
    if shutil.which("systemd-analyze") is None:
        return "needs systemd-analyze"
    if not Path(_SYSTEM).exists():
        return "needs Debian's python3"
    found = subprocess.run(
        [_SYSTEM, "-c", "import seccomp"], capture_output=True, check=False
    )
    return "needs Debian's python3-seccomp" if found.returncode else None


class ConfinedTests(SocketCase):
    """
    Tests for the unit's filter of system calls.
    """

    skip = _lacks()

    def confined(self, *words: str) -> tuple[str, ...]:
        """
        Give the words before a command that confine it.
        """
        return (_SYSTEM, str(ROOT / "tests" / "confined.py"), *words)

    async def test_lives(self) -> None:
        """
        With no other system calls than those of the unit the daemon does what
        it does elsewhere: it takes systemd's sockets, shakes hands over TLS,
        keeps, asks by name, answers, reads its configuration again and stops.
        """
        local = self.stand_ins.graph_url.replace("127.0.0.1", "localhost")
        daemon = self.daemon(
            self.confined(), **self.listening(facebook={"graph_url": local})
        )
        daemon.sockets = {
            "http": self.held(self.port),
            "https": self.held(self.tls_port),
        }
        daemon.start()
        await daemon.ready()
        await self.assert_confined(daemon.pid)
        await self.assert_answers()
        await self.assert_works("Hello?")
        daemon.signal("HUP")
        await eventually(lambda: "a configuration is put in force" in daemon.output)
        await self.assert_answers()
        await self.assert_works("Still there?")
        await self.settled()
        daemon.terminate()
        self.assertIn(await daemon.exited, (0, -15))
        for complaint in (" warn ", " error ", " critical ", "not permitted"):
            self.assertNotIn(complaint, daemon.output)

    async def assert_confined(self, pid: int) -> None:
        """
        Check that a process may do little.
        """
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        fields = dict(line.split(":\t", 1) for line in status)
        self.assertEqual((fields["NoNewPrivs"], fields["Seccomp"]), ("1", "2"))
        self.assertEqual(int(fields["CapBnd"], 16), 0)

    async def test_confined(self) -> None:
        """
        What the unit forbids can't be done: the test would notice if it could.
        """
        forbidden = (
            "import os, socket\n"
            "for it in (lambda: os.chroot('/'), lambda: os.nice(1),"
            " lambda: socket.socket(socket.AF_NETLINK)):\n"
            "    try:\n"
            "        it()\n"
            "        print('done')\n"
            "    except OSError as error:\n"
            "        print(error.errno)\n"
        )
        self.judged = False
        done = await self.run_python(self.confined(), forbidden)
        self.assertEqual(done.stdout.split(), ["1", "1", "97"], done.stderr)

    async def test_write_execute(self) -> None:
        """
        The library that does TLS can't where memory may not be both written
        and run; as soon as it can, MemoryDenyWriteExecute= belongs into the
        unit.
        """
        self.judged = False
        handshake = (
            "from OpenSSL.SSL import TLS_METHOD, Context\n"
            "Context(TLS_METHOD).set_alpn_select_callback(lambda *_: b'')\n"
        )
        done = await self.run_python(self.confined(), handshake)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = await self.run_python(self.confined("--deny-write-execute"), handshake)
        if "Invalid argument" in done.stderr:
            raise SkipTest("needs Linux 6.3")
        self.assertIn("MemoryError", done.stderr)

    async def run_python(
        self, starter: Sequence[str], code: str
    ) -> subprocess.CompletedProcess[str]:
        """
        Run a few lines of Python.
        """
        return await deferToThread(
            subprocess.run,
            [*starter, sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
        )


class FilterTests(DaemonCase):
    """
    Tests for how a unit's filter is read.
    """

    judged = False

    def test_allowed(self) -> None:
        """
        A filter allows what it names, and what is always allowed, but what it
        takes away.
        """
        sets = members(
            "@default\n    # Always\n    exit\n\n@io\n    read\n    write\n\n"
            "@all\n    # All\n    @io\n    open\n    mount\n"
        )
        unit = "SystemCallFilter=@all\nSystemCallFilter=~mount @none\n"
        self.assertEqual(
            allowed(unit, {**sets, "@none": ["write"]}), {"exit", "read", "open"}
        )


class JournalTests(DaemonCase):
    """
    Tests for what goes to systemd's journal.
    """

    def journaled(self, number: int) -> tuple[str, ...]:
        """
        Give the words before a command one of whose streams is the journal's.
        """
        return (sys.executable, "-c", _JOURNALED.format(number=number))

    async def test_lines(self) -> None:
        """
        Each line begins with its severity, and has no time: the journal has
        its own.
        """
        daemon = await self.serve(self.journaled(1))
        self.write(ALICE, "Hello?")
        await self.said(ALICE)
        daemon.terminate()
        await daemon.exited
        self.assertIn("<6>info micamsgr.composition.Greeting: bot mica", daemon.output)
        for line in daemon.output.splitlines():
            self.assertRegex(line, r"^<[2-7]>(debug|info|warn|error|critical) ")

    async def test_fault(self) -> None:
        """
        What keeps it from starting is an error in the journal, too.
        """
        wanted: dict[str, Any] = {"facebook": {"sekret": "x"}, "listenn": "y"}
        daemon = self.daemon(self.journaled(2), **wanted)
        self.judged = False
        daemon.start()
        self.assertEqual(await daemon.exited, 1)
        lines = daemon.errors.splitlines()
        self.assertEqual(len(lines), 2)
        for line in lines:
            self.assertTrue(line.startswith("<3>"), line)
