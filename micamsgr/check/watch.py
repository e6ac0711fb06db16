"""
``micamessenger check --watch``: waits until somebody writes to the Page, and
tells what becomes of it.

What is told is decided in :mod:`.journey`; here is waited, and written.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO

from attrs import asdict, define, field

from micamsgr import __version__
from micamsgr.config.values import Config
from micamsgr.control.client import ask
from micamsgr.errors import Declined
from micamsgr.store.following import Sight, follow

from .findings import Verdict
from .journey import Line, Story, go_on, wants_states
from .journey_words import BotState

#: Seconds for which somebody is waited for, unless another time is named.
PATIENCE = 300.0

# Seconds between two looks; for the daemon to say how it is; and between two
# times that it is asked.
_LOOK, _ANSWER, _AGAIN = 0.1, 2.0, 5.0


def watch(
    config: Config,
    environ: Mapping[str, str],
    out: TextIO,
    *,
    patience: float = PATIENCE,
    as_json: bool = False,
) -> int:
    """
    Wait until a message to one of the bots' Pages is answered, and tell all of
    the way there as it happens.  Changes nothing.

    This waits, and Ctrl-C ends the waiting; call it in the main thread, and
    not in a reactor's call.

    :param environ: the variables of the process, for ``RUNTIME_DIRECTORY``.
    :param out: lines are written there, each at once; none holds what people
        wrote, or says who.
    :param patience: the most seconds.
    :param as_json: whether each line is one JSON object.

    :return: 0 where an answer was sent and has arrived; 2 where something
        failed, or an answer did not come in time; 1 where nobody can tell.
    """
    runtime = environ.get("RUNTIME_DIRECTORY")
    watching = Watch(
        lambda after: follow(Path(config.store), after),
        lambda: _states(config.store, runtime),
        Screen(out, as_json, several=len(config.bots) > 1),
        patience,
    )
    with _interruptible():
        return watching.run()


def _states(store: str, runtime: str | None) -> Mapping[str, BotState] | None:
    """
    Ask the daemon how its bots are; ``None`` where it does not say.
    """
    try:
        _, told = ask(store, runtime, __version__, "status", {}, patience=_ANSWER)
        return {str(bot["name"]): _state(bot) for bot in told["bots"]}
    except (Declined, KeyError, TypeError, AttributeError):
        return None


def _state(bot: Mapping[str, Any]) -> BotState:
    return BotState(
        stopped=str(bot["why"] or "") if bot["sending"] != "open" else "",
        alone=tuple(
            str(each["host"])
            for each in bot["endpoints"]
            if each["left_alone_for"] is not None
        ),
    )


@contextmanager
def _interruptible() -> Iterator[None]:
    """
    Have Ctrl-C raise, also where a reactor has run before.
    """
    before = None
    # Only the main thread may.
    with suppress(ValueError):
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


@define(eq=False)
class Watch:
    """
    Look again and again, until there is nothing to wait for.

    :ivar _look: looks at what came after an event; ``None``: only at which one
        is the last.
    :ivar _states: asks the daemon how its bots are.
    :ivar _patience: seconds, for all of it.
    :ivar _ticks: a clock that is never set, in seconds.
    """

    _look: Callable[[int | None], Sight]
    _states: Callable[[], Mapping[str, BotState] | None]
    _screen: Screen
    _patience: float
    _ticks: Callable[[], float] = field(default=time.monotonic, kw_only=True)
    _sleep: Callable[[float], None] = field(default=time.sleep, kw_only=True)

    _story: Story = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._story = Story(began=self._ticks())

    def run(self) -> int:
        """
        :return: see :func:`watch`.
        """
        interrupted = False
        try:
            self._wait()
        except KeyboardInterrupt:
            interrupted = True
        status = self._story.status(interrupted=interrupted)
        self._screen.end(self._story, status, interrupted)
        return status

    def _wait(self) -> None:
        after = self._look(None).last
        self._screen.begin(self._patience)
        until = self._ticks() + self._patience
        asked, states = -_AGAIN, None
        while True:
            sight, now = self._look(after), self._ticks()
            if after is None:
                # It could not be read before.
                after = sight.last
            if wants_states(self._story, sight, now) and now - asked >= _AGAIN:
                asked, states = now, self._states()
            self._story, lines = go_on(self._story, sight, now, states)
            for line in lines:
                self._screen.tell(line)
            left = until - self._ticks()
            if self._story.over or left <= 0.0:
                return
            self._sleep(min(_LOOK, left))


@define(eq=False)
class Screen:
    """
    Write what is told.

    :ivar _several: whether it has to be said of which bot.
    """

    _out: TextIO
    _as_json: bool
    _several: bool = field(kw_only=True)
    _now: Callable[[], datetime] = field(
        default=lambda: datetime.now(timezone.utc), kw_only=True
    )

    def begin(self, patience: float) -> None:
        """
        Say that it is time to write.

        :param patience: seconds.
        """
        said = (
            "write to the Page now: open it, choose Send message, and say something."
            f" Waiting for {_span(patience)}; Ctrl-C ends it"
        )
        self.tell(Line(stage="begin", verdict=Verdict.OK, said=said))

    def tell(self, line: Line) -> None:
        """
        Write a line.
        """
        now = self._now()
        if self._as_json:
            told = {"at": now.isoformat(timespec="milliseconds"), **asdict(line)}
            seconds = line.seconds
            told["verdict"] = line.verdict.value
            told["seconds"] = None if seconds is None else round(seconds, 3)
            self._write(json.dumps(told))
            return
        about = "" if line.message is None else f" {line.message}"
        if self._several and line.bot:
            about += f" ({line.bot})"
        said = f"{line.stage}{about}: {line.said}"
        if line.seconds is not None:
            since = " after it was written" if line.stage == "webhook" else ""
            said += f" ({line.seconds:.1f} s{since if line.message else ''})"
        if line.todo:
            said += f". To do: {line.todo}"
        shown = "".join(c if c.isprintable() else " " for c in said)
        local = now.astimezone()
        self._write(f"{local:%H:%M:%S} {line.verdict.value:<8} {shown}.")

    def end(self, story: Story, status: int, interrupted: bool) -> None:
        """
        Say what it came to.
        """
        said = _SAID[status] if story.messages or status == 2 else "nobody has written"
        if interrupted and status:
            said = "interrupted"
        verdict = (Verdict.OK, Verdict.WARNING, Verdict.FAILED)[status]
        if self._as_json:
            self._write(
                json.dumps(
                    {
                        "at": self._now().isoformat(timespec="milliseconds"),
                        "stage": "end",
                        "verdict": verdict.value,
                        "said": said,
                        "status": status,
                    }
                )
            )
        else:
            self.tell(Line(stage="end", verdict=verdict, said=said))

    def _write(self, line: str) -> None:
        self._out.write(f"{line}\n")
        self._out.flush()


_SAID = (
    "the whole way works: a message was taken, answered, and the answer has arrived",
    "nobody can tell whether it works",
    "it does not work: see above",
)


def _span(seconds: float) -> str:
    whole = round(seconds)
    if whole % 60 or not whole:
        return f"{whole} s"
    return f"{whole // 60} min"
