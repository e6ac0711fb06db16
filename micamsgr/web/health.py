"""
What is answered to those who watch the daemon: pages that are made at each
look, and whether a thread is alive.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

PLAIN = "text/plain; charset=utf-8"
JSON = "application/json"


@frozen
class View:
    """
    What is answered.

    :ivar kind: its media type.
    """

    status: int
    kind: str
    body: bytes = field(repr=False)


_NOT_FOUND = View(404, PLAIN, b"not found\n")
_NOT_ALLOWED = View(405, PLAIN, b"method not allowed\n")
_DEFECT = View(500, PLAIN, b"internal server error\n")


@define(eq=False, slots=False)
class Page(Resource):
    """
    A page without parts, made anew for each who asks.

    :ivar _look: makes it.
    """

    isLeaf = True

    _look: Callable[[], Awaitable[View]]

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        super().__init__()

    def render(self, request: Request) -> int:
        if request.postpath:
            return _answer(request, _NOT_FOUND)
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader("Allow", "GET, HEAD")
            return _answer(request, _NOT_ALLOWED)
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        looking = Deferred.fromCoroutine(self._see())
        looking.addErrback(self._failed)
        looking.addCallback(lambda view: None if gone else _answer(request, view))
        return NOT_DONE_YET

    async def _see(self) -> View:
        return await self._look()

    def _failed(self, failure: Failure) -> View:
        self._log.failure("a defect, looking at how it is", failure, event="defect")
        return _DEFECT


class _Nothing(Resource):
    """
    A path at which there is nothing, whatever is asked of it.
    """

    def getChild(self, path: bytes, request: Request) -> Resource:
        below = _Nothing()
        # Not to ask for each part of a path of thousands.
        below.isLeaf = True
        return below

    def render(self, request: Request) -> int:
        return _answer(request, _NOT_FOUND)


def pages(looks: Mapping[str, Callable[[], Awaitable[View]]]) -> Resource:
    """
    Make the tree of pages by name, below the root; and nothing else.
    """
    root = _Nothing()
    for name, look in looks.items():
        root.putChild(name.encode(), Page(look))
    return root


def _answer(request: Request, view: View) -> int:
    request.setResponseCode(view.status)
    request.setHeader("Content-Type", view.kind)
    request.setHeader("Content-Length", str(len(view.body)))
    request.setHeader("Cache-Control", "no-store")
    request.setHeader("X-Content-Type-Options", "nosniff")
    # For HEAD it leaves the body out.
    request.write(view.body)
    request.finish()
    return NOT_DONE_YET


@define(eq=False)
class Pulse:
    """
    Whether somebody else, such as a thread, is alive: whether it answers in
    time.

    At most one question is open; those who want to know meanwhile share it.

    :ivar _ping: asks; fires with anything once there is an answer, and fails
        where it can't be asked.
    :ivar _patience: for how many seconds an answer is waited for.
    """

    _clock: IReactorTime
    _ping: Callable[[], Deferred[None]]
    _patience: float = 5.0

    # When the open question was asked.
    _asked: float | None = field(default=None, init=False)
    _late: IDelayedCall | None = field(default=None, init=False)
    _overdue: bool = field(default=False, init=False)
    _waiting: list[Deferred[str | None]] = field(factory=list, init=False)

    @property
    def stuck(self) -> str | None:
        """
        Why it must be taken for dead, as far as is known without asking;
        ``None`` where nothing speaks for that.
        """
        if self._asked is None or not self._overdue:
            return None
        seconds = self._clock.seconds() - self._asked
        return f"it has not answered for {seconds:.0f} s"

    def feel(self) -> Deferred[str | None]:
        """
        Ask, or wait for the answer with those who have.

        :return: fires within the time that an answer is waited for, with
            ``None`` if it is alive, else with the reason to doubt it.
        """
        if self.stuck is not None:
            return succeed(self.stuck)
        felt: Deferred[str | None] = Deferred()
        self._waiting.append(felt)
        if self._asked is None:
            self._asked = self._clock.seconds()
            self._late = self._clock.callLater(self._patience, self._too_late)
            self._ping().addCallbacks(self._alive, self._refused)
        return felt

    def _too_late(self) -> None:
        self._overdue = True
        self._tell(self.stuck)

    def _alive(self, _: object) -> None:
        self._over(None)

    def _refused(self, failure: Failure) -> None:
        self._over(getattr(failure.value, "detail", "it can't be asked"))

    def _over(self, why: str | None) -> None:
        if self._late is not None and self._late.active():
            self._late.cancel()
        self._asked, self._late, self._overdue = None, None, False
        self._tell(why)

    def _tell(self, why: str | None) -> None:
        waiting, self._waiting = self._waiting, []
        for felt in waiting:
            felt.callback(why)
