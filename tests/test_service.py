"""
The daemon as a process: how it starts, or doesn't, and how it stops.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml
from twisted.internet import reactor as _reactor
from twisted.internet.task import deferLater

from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.journal import Applied, Asked, in_turn
from tests.daemon import Daemon, DaemonCase, eventually
from tests.ports import free_port

reactor: Any = _reactor

ALICE, BOB = "6284913775102846", "6284913775102847"

# Runs a command that may have so many files open, and no more.
LIMITED = (
    "import os, resource, sys;"
    "resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]),) * 2);"
    "os.execv(sys.argv[2], sys.argv[2:])"
)


class StopTests(DaemonCase):
    """
    Tests for a daemon that is asked to stop.
    """

    def stopped(self, status: int) -> None:
        """
        Check that a process ended as one does that was asked to.
        """
        self.assertIn(status, (0, -15))

    async def test_idle(self) -> None:
        """
        One that has nothing to do stops at once, and leaves no pid file.
        """
        daemon = await self.serve()
        daemon.terminate()
        self.stopped(await daemon.exited)
        self.assertEqual(list(self.directory.glob("*.pid")), [])

    async def test_in_flight(self) -> None:
        """
        A call to the language model that is under way is waited for and not
        wasted; its answer is sent after the next start.
        """
        first = await self.serve()
        self.stand_ins.model.faults = in_turn("completion", llm.Fault(delay=2.0))
        self.write(ALICE, "Just before the end")
        await self.stand_ins.until(lambda: bool(self.stand_ins.journal.of(Asked)))
        first.terminate()
        self.stopped(await first.exited)
        self.assertEqual(self.stand_ins.journal.of(Applied), [])
        self.assertEqual(self.kept("SELECT state FROM turn"), [{"state": "composed"}])
        await self.serve()
        self.assertEqual(await self.said(ALICE), ["You said: Just before the end"])
        await self.settled()
        self.assertEqual(len(self.stand_ins.journal.of(Asked)), 1)

    async def test_accepts_no_more(self) -> None:
        """
        While it waits for what is in flight, it takes nothing more; what Meta
        has to deliver then is answered after the next start.
        """
        first = await self.serve()
        self.stand_ins.model.faults = in_turn("completion", llm.Fault(delay=2.0))
        self.write(ALICE, "Just before the end")
        await self.stand_ins.until(lambda: bool(self.stand_ins.journal.of(Asked)))
        first.terminate()
        await eventually(lambda: not _listening(self.port))
        self.assertEqual(self.kept("SELECT state FROM turn"), [{"state": "generating"}])
        self.write(BOB, "While it is stopping")
        self.stopped(await first.exited)
        await self.serve()
        self.assertEqual(await self.said(BOB), ["You said: While it is stopping"])
        self.assertEqual(await self.said(ALICE), ["You said: Just before the end"])
        await self.settled()

    async def test_endless(self) -> None:
        """
        What doesn't end in ten seconds is given up, and done again after the
        next start.
        """
        first = await self.serve()
        self.stand_ins.model.faults = in_turn("completion", llm.HANGING)
        self.write(ALICE, "A question without end")
        await self.stand_ins.until(lambda: bool(self.stand_ins.journal.of(Asked)))
        begun = reactor.seconds()
        first.terminate()
        self.stopped(await first.exited)
        self.assertLess(reactor.seconds() - begun, 15.0)
        await self.serve()
        self.assertEqual(await self.said(ALICE), ["You said: A question without end"])
        await self.settled()

    async def end(self, first: str, second: str) -> None:
        """
        Start a daemon, and end it by two signals while the language model
        keeps it waiting.
        """
        daemon = await self.serve(log={"level": "warn"})
        self.stand_ins.model.faults = in_turn("completion", llm.HANGING)
        asked = len(self.stand_ins.journal.of(Asked))
        self.write(ALICE, f"To be ended by {first} and {second}")
        await self.stand_ins.until(
            lambda: len(self.stand_ins.journal.of(Asked)) > asked
        )
        daemon.signal(first)
        await eventually(lambda: "stopping" in daemon.output)
        (line,) = daemon.output.splitlines()
        self.assertRegex(line, "warn .*stopping: .* 10 s")
        daemon.signal(second)
        daemon.signal("TERM")
        self.assertIn(await daemon.exited, (-2, -15))
        # Nothing of a traceback, and nothing of a stop that came to its end.
        self.assertEqual(daemon.output.splitlines(), [line])

    async def test_second_signal(self) -> None:
        """
        Asked to stop, the daemon says for how long it may wait; asked again,
        by whichever signal, it ends at once and without a word, and what it
        gave up is done after the next start.
        """
        for first, second in (("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")):
            await self.end(first, second)
        await self.serve()
        await self.said(ALICE)
        await self.settled()


def _line_of(text: str, daemon: Daemon) -> int:
    """
    Tell in which line of the daemon's configuration something stands.
    """
    lines = yaml.safe_dump(daemon.configuration).splitlines()
    (number,) = (n for n, line in enumerate(lines, 1) if text in line)
    return number


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class StartTests(DaemonCase):
    """
    Tests for starts that fail, or might be thought to.
    """

    judged = False

    async def fails(self, daemon: Daemon, *words: str) -> None:
        """
        Start a daemon that can't start, and check that it says why in one
        line and leaves nothing behind.
        """
        daemon.start()
        self.assertEqual(await daemon.exited, 1, daemon.output)
        (line,) = daemon.errors.splitlines()
        for word in words:
            self.assertIn(word, line)
        self.assertEqual(list(self.directory.rglob("*.pid")), [])

    def elsewhere(self, **changes: Any) -> Daemon:
        """
        Make a second daemon, with a directory and port of its own.
        """
        directory = self.directory / "elsewhere"
        directory.mkdir(exist_ok=True)
        admin = {"listen": f"tcp:{free_port()}:interface=127.0.0.1"}
        daemon = self.daemon(admin=admin, **changes)
        daemon.directory = directory
        return daemon

    async def test_port(self) -> None:
        """
        A port that is taken is named, and nothing listens on the others.
        """
        await self.serve()
        free = free_port()
        endpoints = [f"tcp:{p}:interface=127.0.0.1" for p in (free, self.port)]
        daemon = self.elsewhere(listen=endpoints)
        place = f"mica.yaml:{_line_of(endpoints[1], daemon)}: listen: "
        await self.fails(daemon, place, str(self.port), "another endpoint")
        self.assertFalse(_listening(free))

    async def test_store_in_use(self) -> None:
        """
        A store that another daemon uses is left to it.
        """
        await self.serve()
        free = free_port()
        daemon = self.elsewhere(
            store=f"sqlite:{self.directory.absolute()}/mica.db",
            listen=f"tcp:{free}:interface=127.0.0.1",
        )
        await self.fails(daemon, "mica.db", "another daemon")
        self.assertFalse(_listening(free))
        self.write(ALICE, "Do you still work?")
        await self.said(ALICE)

    async def test_foreign_store(self) -> None:
        """
        A file that isn't a store, or another program's, is left as it is.
        """
        theirs = self.directory / "theirs.db"
        with closing(sqlite3.connect(theirs)) as database:
            database.execute("CREATE TABLE recipe (name TEXT)")
            database.commit()
        (self.directory / "letter.db").write_text("Dear reader,\n" * 100)
        for name, why in (("theirs.db", "another program"), ("letter.db", "database")):
            before = (self.directory / name).read_bytes()
            daemon = self.daemon(store=f"sqlite:{name}")
            await self.fails(daemon, name, why)
            self.assertEqual((self.directory / name).read_bytes(), before)
        self.assertFalse(_listening(self.port))

    async def test_configuration(self) -> None:
        """
        A configuration with a fault is refused, and the fault named.
        """
        daemon = self.daemon(facebook={"sekret": "x"})
        await self.fails(daemon, "mica.yaml", "facebook.sekret", "secret")
        self.assertFalse(_listening(self.port))
        self.assertFalse(daemon.database.exists())

    async def test_stale_pid_file(self) -> None:
        """
        A pid file that somebody left there doesn't matter, and stays.
        """
        stale = self.directory / "twistd.pid"
        stale.write_text(str(os.getpid()))
        daemon = await self.serve()
        self.assertEqual(stale.read_text(), str(os.getpid()))
        self.assertNotIn("pid", daemon.errors)
        self.write(ALICE, "Up and running?")
        await self.said(ALICE)


class CrowdTests(DaemonCase):
    """
    Tests for more connections than the process may have open files.
    """

    async def test_crowd(self) -> None:
        """
        A daemon without a free file waits in peace, and serves again as soon
        as clients have gone.
        """
        most = 48
        starter = (sys.executable, "-c", LIMITED, str(most))
        daemon = await self.serve(starter)
        self.write(ALICE, "Before the crowd")
        await self.said(ALICE)
        crowd = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(80)]
        try:
            await eventually(lambda: _files(daemon.pid) >= most - 8)
            before = _seconds_used(daemon.pid)
            await deferLater(reactor, 2.0)
            self.assertLess(_seconds_used(daemon.pid) - before, 0.5)
        finally:
            for client in crowd:
                client.close()
        self.write(BOB, "After the crowd")
        self.assertEqual(await self.said(BOB), ["You said: After the crowd"])
        await self.settled()


def _files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _seconds_used(pid: int) -> float:
    """
    Tell how long a process has used the processor.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
