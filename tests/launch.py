"""
Start the daemon as another command would, with stops or faults built in:
``python -m tests.launch JSON COMMAND...``

``JSON`` holds ``broken``, names of ``tests/broken.py``, and ``stops``: for each
life a point of ``tests/stops.py`` and at which pass it ends there.  One life
follows the other, as under a supervisor, and each is a process of its own; what
was imported once is not imported again.  A life that does not pass its point
is lived again at the end, to end at the first pass; so often as ``TRIES`` says.
A line on standard output says how each ended, and one that the last one
begins: that one ends when it is told to.

Without ``stops`` the process itself becomes the daemon.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from twisted.scripts import twistd

# Known to every life before it begins.
from micamsgr import tap  # noqa: F401
from tests.broken import BUILDS
from tests.stops import Stop, install

_SET_PARENT_DEATH_SIGNAL = 1

#: Seconds after which a life ends that does not pass its point, and how often
#: it is tried again.
LONGEST, TRIES = 20.0, 2


def starter(python: str, **spec: Any) -> list[str]:
    """
    Give the words before the command.
    """
    return [python, "-m", "tests.launch", json.dumps(spec)]


def _run(command: Sequence[str]) -> None:
    sys.argv = ["twistd", *command[command.index("-n") :]]
    twistd.run()


def _live(command: Sequence[str], stop: Stop | None) -> int:
    """
    :return: how a life ended, as by :func:`os.waitpid`.
    """
    sys.stdout.flush()
    life = os.fork()
    if not life:
        # Whoever kills its parent means it too.
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if stop is not None:
            install(stop)
        _run(command)
        sys.stdout.flush()
        os._exit(0)
    if stop is None:
        signal.signal(signal.SIGTERM, lambda *_: os.kill(life, signal.SIGTERM))
        return os.waitpid(life, 0)[1]
    deadline = time.monotonic() + LONGEST
    while True:
        ended, status = os.waitpid(life, os.WNOHANG)
        if ended:
            return status
        if time.monotonic() > deadline:
            os.kill(life, signal.SIGKILL)
            os.waitpid(life, 0)
            return 0
        time.sleep(0.01)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> None:
    """
    Run what there is to run.
    """
    spec, command = json.loads(arguments[0]), arguments[1:]
    for name in spec.get("broken", ()):
        BUILDS[name]()
    stops = deque((point, pass_, 0) for point, pass_ in spec.get("stops", ()))
    if not stops:
        _run(command)
        return
    while stops:
        point, pass_, tried = stops.popleft()
        status = _live(command, Stop(point, pass_))
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        _say(f"LIFE {point} {'stopped' if killed else 'not passed'}")
        if not killed and tried < TRIES:
            # The Page is remembered once and for all: other lives would do so.
            once = point.startswith("remember_page.")
            (stops.appendleft if once else stops.append)((point, 1, tried + 1))
    _say("LAST LIFE")
    status = _live(command, None)
    raise SystemExit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(sys.argv[1:])
