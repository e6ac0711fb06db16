"""
What the sandbox remembers over a restart: who is there, and what was said.

So one can kill the daemon in the middle of an answer, start it again, and see
the answer arrive in the same chat.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict, deque
from pathlib import Path

from attrs import asdict, define, frozen
from twisted.logger import Logger

from micamsgr.sandbox.journal import Applied, Wrote


@frozen(kw_only=True)
class Joined:
    """
    A person is there who may write to a Page.
    """

    at: float
    page: str
    psid: str
    name: str


Remembered = Joined | Wrote | Applied
_KINDS = {kind.__name__: kind for kind in (Joined, Wrote, Applied)}


@define(eq=False)
class Memory:
    """
    Facts in a file, a line of JSON each, written at once.

    A file that can't be read or written costs the memory, and nothing else.

    :ivar _path: which file; nobody else may read it.
    :ivar _most: how many messages of each thread are remembered.
    """

    _path: Path
    _most: int

    _log = Logger()

    def recall(self) -> list[Remembered]:
        """
        Read what was added at earlier runs, oldest first, and forget for good
        what is too long ago.
        """
        try:
            text = self._path.read_text("ascii")
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            self._complain(error)
            return []
        facts = _recent(list(filter(None, map(_read, text.splitlines()))), self._most)
        try:
            whole = self._path.with_name(self._path.name + ".new")
            with open(whole, "w", encoding="ascii", opener=_private) as file:
                file.writelines(map(_line, facts))
            whole.replace(self._path)
        except OSError as error:
            self._complain(error)
        return facts

    def add(self, fact: Remembered) -> None:
        """
        Remember a fact, also if this process is killed at once.
        """
        try:
            with open(self._path, "a", encoding="ascii", opener=_private) as file:
                file.write(_line(fact))
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError | ValueError) -> None:
        self._log.warn(
            "the sandbox can't remember its chats in {path}: {why}",
            event="sandbox.forgets",
            path=self._path,
            why=getattr(error, "strerror", None) or "it is damaged",
        )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _line(fact: Remembered) -> str:
    return json.dumps({"fact": type(fact).__name__, **asdict(fact)}) + "\n"


def _read(line: str) -> Remembered | None:
    """
    Read a line; ``None`` for one that was cut off as the process was killed.
    """
    try:
        found = json.loads(line)
        return _KINDS[found.pop("fact")](**found)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _recent(facts: list[Remembered], most: int) -> list[Remembered]:
    threads: defaultdict[str, deque[Remembered]] = defaultdict(
        lambda: deque(maxlen=most)
    )
    for fact in facts:
        if not isinstance(fact, Joined):
            threads[fact.psid].append(fact)
    kept = {id(fact) for thread in threads.values() for fact in thread}
    return [fact for fact in facts if isinstance(fact, Joined) or id(fact) in kept]
