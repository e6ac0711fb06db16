"""
Processes of their own: started, spoken to a line at a time, and ended.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml
from attrs import define

from bench.webhooks import SECRET
from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent

#: Seconds of load before what is measured.
WARM_UP = 1.0

_TICKS = os.sysconf("SC_CLK_TCK")

# The daemon lets what is in flight finish for 10 seconds.
_STOPPING = 15.0

# Seconds between two looks whether it listens.
_LOOK = 0.01


@define(eq=False)
class Child:
    """
    A process that says what there is to know in lines on its standard output.

    :ivar started: when, by ``time.perf_counter()``.
    """

    _process: subprocess.Popen[bytes]
    started: float

    def line(self, seconds: float = 30.0) -> str:
        """
        Read the next line.

        :raises SystemExit: where none comes in time.
        """
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        line = self._process.stdout.readline().decode() if ready else ""
        if not line:
            raise SystemExit(f"no word from {self._process.args!r}")
        return line.strip()

    def tell(self, line: str) -> None:
        """
        Write a line to its standard input.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    def cpu(self) -> float:
        """
        Count the seconds of processor time that it took so far.
        """
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / _TICKS

    def memory(self) -> int:
        """
        Tell how many KiB of memory it has.
        """
        return status(self.pid, "VmRSS")

    def peak(self) -> int:
        """
        Tell the most KiB of memory that it had so far.
        """
        return status(self.pid, "VmHWM")

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """
        Ask it to end, and wait until it has.
        """
        self._process.terminate()
        self._process.wait(_STOPPING)

    def kill(self) -> None:
        """
        Let it end at once.
        """
        self._process.kill()
        self._process.wait()


@contextmanager
def running(*arguments: object, log: Path | None = None) -> Iterator[Child]:
    """
    Run Python with these arguments, and kill it at the end.

    :param log: what it writes goes there, and its directory is where it runs.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name in ("STATE_DIRECTORY", "OPENAI_API_KEY"):
        environment.pop(name, None)
    with ExitStack() as stack:
        output: Any = subprocess.PIPE
        if log is not None:
            output = stack.enter_context(log.open("wb"))
        started = time.perf_counter()
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, *map(str, arguments)],
                # Unbuffered, so that select() sees each line.
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=None if log is None else subprocess.STDOUT,
                cwd=ROOT if log is None else log.parent,
                env=environment,
            )
        )
        stack.callback(process.kill)
        yield Child(process, started)


def module(name: str, *arguments: object) -> tuple[object, ...]:
    """
    Give the arguments by which Python runs a module of this package.
    """
    return ("-m", f"bench.{name}", *arguments)


def measured(
    speakers: Sequence[Child],
    watched: Sequence[Child],
    seconds: float,
    warm_up: float = WARM_UP,
) -> tuple[list[dict[str, Any]], list[float]]:
    """
    Wait for what each of *speakers* says: ``begin``, ``end``, and a result.

    :param seconds: how long it is from begin to end.
    :param warm_up: how long it is before.

    :return: the results; and for each of *watched*, the seconds of processor
        time that it took between.
    """
    patience = warm_up + seconds + 60.0
    for speaker in speakers:
        speaker.line()
    before = [child.cpu() for child in watched]
    for speaker in speakers:
        speaker.line(patience)
    after = [child.cpu() for child in watched]
    results = [json.loads(speaker.line(patience)) for speaker in speakers]
    return results, [end - begin for begin, end in zip(before, after, strict=True)]


@contextmanager
def daemon(
    directory: Path, remote: str, *, broken: Sequence[str] = (), **changes: Any
) -> Iterator[tuple[Child, int]]:
    """
    Run the daemon as an operator does, by the shortest configuration there is.

    :param directory: made for its configuration, its store and its log, unless
        it is there.
    :param remote: the URL of what stands in for the Graph API and the LLM.
    :param broken: what its build does wrong: names of ``tests/broken.py``.
    :param changes: what its configuration has besides, at any depth.

    :return: it, once it listens, and its port.
    """
    port = free_port()
    listen = f"tcp:{port}:interface=127.0.0.1"
    config = configure(directory, remote, **{"listen": listen, **changes})
    twistd: tuple[str, ...] = ("-c", "from twisted.scripts.twistd import run; run()")
    if broken:
        twistd = ("-m", "tests.launch", json.dumps({"broken": broken}))
    log = directory / "log"
    with running(
        *twistd, "-n", "micamessenger", "--config", config.name, log=log
    ) as child:
        deadline = time.monotonic() + 20.0
        while not _listens(port):
            if child.over or time.monotonic() > deadline:
                raise SystemExit(f"the daemon did not start:\n{log.read_text()}")
            time.sleep(_LOOK)
        yield child, port


def configure(directory: Path, remote: str, **changes: Any) -> Path:
    """
    Write the shortest configuration there is, for a daemon or for those who make
    its calls without one.

    :param directory: made, unless it is there.

    :return: where it is.
    """
    directory.mkdir(exist_ok=True)
    document: dict[str, Any] = {
        "bot_name": "mica",
        "llm_config": {"headers": {"Authorization": "Bearer k"}, "server": remote},
        "facebook": {
            "verify_token": "verify me",
            "page_access_token": "EAAB0123456789",
            "secret": SECRET,
            "graph_url": remote,
        },
    }
    merge(document, changes)
    config = directory / "mica.yaml"
    config.write_text(yaml.safe_dump(document))
    return config


def merge(document: dict[str, Any], changes: dict[str, Any]) -> None:
    """
    Put changes into a document.
    """
    for key, value in changes.items():
        if isinstance(value, dict) and key in document:
            merge(document[key], value)
        else:
            document[key] = value


def status(pid: int, name: str) -> int:
    """
    Read a line of what the system tells about a process, in KiB.
    """
    text = Path(f"/proc/{pid}/status").read_text()
    (line,) = (it for it in text.splitlines() if it.startswith(f"{name}:"))
    return int(line.split()[1])


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True
