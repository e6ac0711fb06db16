"""
What a process was doing when it was looked at: stacks of calls, made shorter, and
put together.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from attrs import evolve, field, frozen

#: Where a frame is at home, by how its file begins; the first that fits.
ROOMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("twisted.web", ("twisted/web/",)),
    ("rest of Twisted", ("twisted/",)),
    ("store", ("micamsgr/store/",)),
    ("conversation", ("micamsgr/conversation/",)),
    (
        "messenger, assistant, httpcall",
        (
            "micamsgr/messenger/",
            "micamsgr/assistant/",
            "micamsgr/httpcall.py",
            "micamsgr/connecting.py",
        ),
    ),
    ("rest of micamsgr", ("micamsgr/",)),
    ("Python and its libraries", ("",)),
)

# Between a Deferred and whom it calls, and between the reactor and a connection.
# Each is there many times in one stack, and says nothing of who works.
_PLUMBING = (
    "twisted/internet/defer.py",
    "twisted/python/context.py",
    "twisted/python/log.py",
)
_DISPATCHER = "makeStatefulDispatcher.<locals>.dispatcher"

# Last calls of threads that have nothing to do.
_WAITING = {("wait", "threading.py"), ("doPoll", "twisted/internet/epollreactor.py")}

_THREADS = {"MainThread": "main thread", "store": "store thread"}

_THREAD = re.compile(r"thread \([^)]*\)(?:: (?P<name>.*))?")
_FRAME = re.compile(r"(?P<function>.*?) \((?P<file>[^()]*?)(?::\d+)?\)")


@frozen
class Frame:
    """
    A call.

    :ivar file: such as ``twisted/web/http.py``; empty for what is not Python.
    """

    function: str
    file: str

    @property
    def room(self) -> int:
        """Where in *ROOMS* it is at home."""
        return next(
            number
            for number, (_, begins) in enumerate(ROOMS)
            if self.file.startswith(begins)
        )

    @property
    def last_name(self) -> str:
        """Its function without the class, which Python 3.10 does not tell."""
        return self.function.rpartition(".")[2]


@frozen
class Stack:
    """
    Calls within each other.

    :ivar frames: the innermost last.
    :ivar count: how often they were seen.
    """

    thread: str
    frames: tuple[Frame, ...]
    count: int


def parse(text: str) -> list[Stack]:
    """
    Read what ``py-spy record --format raw --threads`` writes.

    :raises ValueError: where a line of it is something else.
    """
    stacks = []
    for line in text.splitlines():
        calls, _, count = line.rpartition(" ")
        first, *rest = calls.split(";")
        thread = _THREAD.fullmatch(first)
        if thread is None or not count.isdecimal():
            raise ValueError(f"not a stack of a thread: {line!r}")
        name = thread["name"] or "a thread"
        frames = tuple(map(_frame, rest))
        stacks.append(Stack(_THREADS.get(name, name), frames, int(count)))
    return stacks


def _frame(text: str) -> Frame:
    found = _FRAME.fullmatch(text)
    return Frame(found["function"], found["file"]) if found else Frame(text, "")


def busy(stacks: Iterable[Stack]) -> list[Stack]:
    """
    Leave out threads that wait for something to do.
    """
    return [
        stack
        for stack in stacks
        if stack.frames
        and (stack.frames[-1].last_name, stack.frames[-1].file) not in _WAITING
    ]


def folded(stack: Stack) -> Stack:
    """
    Leave out what only leads from one room to the next: how the process, or the
    thread, began; Deferreds and contexts; and calls of a function by itself.

    The last call always stays, so that each room keeps its time.
    """
    frames = _begun(stack.frames)
    kept: list[Frame] = []
    for frame in frames:
        plumbing = frame.file in _PLUMBING or frame.function == _DISPATCHER
        if not plumbing and kept[-1:] != [frame]:
            kept.append(frame)
    if kept[-1:] != [*frames[-1:]]:
        kept += frames[-1:]
    return evolve(stack, frames=tuple(kept))


def _begun(frames: Sequence[Frame]) -> Sequence[Frame]:
    for number, frame in enumerate(frames[:-1]):
        if frame.last_name == "mainLoop":
            return frames[number + 1 :]
    for number, frame in enumerate(frames):
        if frame.file != "threading.py":
            return frames[number:]
    return frames


def shares(stacks: Sequence[Stack]) -> dict[str, list[float]]:
    """
    Tell how much of all the time each thread spent in each room, not counting what
    it called there: from 0.0 to 1.0, in the order of *ROOMS*.

    :param stacks: not empty.

    :return: the busiest thread first.
    """
    total = sum(stack.count for stack in stacks)
    threads: Counter[str] = Counter()
    found: dict[str, list[float]] = {}
    for stack in stacks:
        threads[stack.thread] += stack.count
        rooms = found.setdefault(stack.thread, [0.0] * len(ROOMS))
        rooms[stack.frames[-1].room] += stack.count / total
    return {thread: found[thread] for thread, _ in threads.most_common()}


@frozen
class Box:
    """
    A call, or a thread, as it is drawn.

    :ivar frame: None for a thread.
    :ivar name: of the thread.
    :ivar depth: 0 for a thread.
    :ivar left: from 0.0 to 1.0, as the width.
    """

    name: str
    frame: Frame | None
    depth: int
    left: float
    width: float


@frozen
class _Node:
    count: list[int] = field(factory=lambda: [0])
    inner: dict[Frame, _Node] = field(factory=dict)


def laid_out(stacks: Iterable[Stack], least: float) -> list[Box]:
    """
    Put same calls within same calls together, and each above its caller: threads
    beside each other, as wide as the share of time that they took, and so on.  The
    widest is leftmost.

    :param least: nothing is kept that is narrower; from 0.0 to 1.0.
    """
    threads: dict[str, _Node] = {}
    total = 0
    for stack in stacks:
        node = threads.setdefault(stack.thread, _Node())
        node.count[0] += stack.count
        total += stack.count
        for frame in stack.frames:
            node = node.inner.setdefault(frame, _Node())
            node.count[0] += stack.count
    boxes = []
    left = 0.0
    for name, node in sorted(threads.items(), key=lambda it: -it[1].count[0]):
        width = node.count[0] / total
        if width >= least:
            boxes.append(Box(name, None, 0, left, width))
            boxes += _above(node, name, 1, left, total, least)
        left += width
    return boxes


def _above(
    node: _Node, name: str, depth: int, left: float, total: int, least: float
) -> Iterator[Box]:
    for frame, inner in sorted(node.inner.items(), key=lambda it: -it[1].count[0]):
        width = inner.count[0] / total
        if width >= least:
            yield Box(name, frame, depth, left, width)
            yield from _above(inner, name, depth + 1, left, total, least)
        left += width
