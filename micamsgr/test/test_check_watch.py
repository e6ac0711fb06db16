"""
Tests for the waiting, and for what is written, in :mod:`micamsgr.check.watch`.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from datetime import datetime, timezone
from io import StringIO
from pathlib import Path

from attrs import evolve
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.check.findings import Verdict
from micamsgr.check.journey import Line
from micamsgr.check.journey_words import BotState
from micamsgr.check.watch import Screen, Watch, watch
from micamsgr.config import parse_config
from micamsgr.store.following import Sight

from .test_check_journey import CAME, ECHOED, EMPTY, MADE, with_part
from .test_cli import CommandCase
from .test_config import FILLED

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)


class WatchTests(SynchronousTestCase):
    """
    Tests for the waiting.
    """

    def setUp(self) -> None:
        self.clock, self.out = Clock(), StringIO()
        self.sights: list[Sight] = []
        self.after: list[int | None] = []
        self.asked = 0

    def look(self, after: int | None) -> Sight:
        """
        See the next thing that there is to see, and the last one for ever.
        """
        self.after.append(after)
        return self.sights.pop(0) if len(self.sights) > 1 else self.sights[0]

    def states(self) -> dict[str, BotState]:
        """
        Count how often the daemon is asked.
        """
        self.asked += 1
        return {}

    def wait(
        self, *sights: Sight, sleep: Callable[[float], None] | None = None
    ) -> list[dict[str, object]]:
        """
        Wait for a minute and a half at most.

        :return: what is written, in JSON.
        """
        self.sights = [*sights]
        screen = Screen(self.out, True, several=False)
        waiting = Watch(
            self.look,
            self.states,
            screen,
            90.0,
            ticks=self.clock.seconds,
            sleep=sleep or self.clock.advance,
        )
        self.status = waiting.run()
        return [json.loads(line) for line in self.out.getvalue().splitlines()]

    def test_answered(self) -> None:
        """
        It ends once the answer has arrived, and looks only at what came after
        it began.
        """
        told = self.wait(EMPTY, EMPTY, evolve(EMPTY, messages=(with_part(ECHOED),)))
        self.assertEqual(told[-1]["status"], 0)
        self.assertEqual(self.status, 0)
        self.assertEqual(set(self.after), {None, EMPTY.last})
        self.assertLess(self.clock.seconds(), 10.0)

    def test_deadline(self) -> None:
        """
        It ends in time, and to the second.
        """
        told = self.wait(EMPTY)
        self.assertEqual(self.status, 1)
        self.assertAlmostEqual(self.clock.seconds(), 90.0)
        self.assertEqual([it["stage"] for it in told], ["begin", "webhook", "end"])
        self.assertEqual(self.asked, 0)

    def test_later(self) -> None:
        """
        If the store could not be read at first, what comes from the first look
        on is told of.
        """
        unknown = Sight(runs=False)
        self.wait(unknown, unknown, EMPTY, evolve(EMPTY, messages=(CAME,)))
        self.assertEqual(self.after[:5], [None, None, None, 7, 7])

    def test_asked(self) -> None:
        """
        The daemon is asked only where something is late, and not again and
        again.
        """
        self.wait(EMPTY, evolve(EMPTY, messages=(MADE,)))
        self.assertEqual(self.asked, 1)
        self.assertEqual(self.status, 2)
        self.setUp()
        both = evolve(EMPTY, messages=(MADE, evolve(MADE, id=9, conversation=4)))
        one = evolve(EMPTY, messages=(MADE,))
        told = self.wait(EMPTY, *[one] * 10, both)
        late = [it for it in told if it["said"] == "it is made, and not sent yet"]
        self.assertEqual([it["message"] for it in late], [1, 2])
        self.assertEqual(self.asked, 1)

    def test_interrupted(self) -> None:
        """
        Ctrl-C ends it as the deadline would, and the line says so.
        """

        def sleep(seconds: float) -> None:
            raise KeyboardInterrupt

        told = self.wait(EMPTY, evolve(EMPTY, messages=(CAME,)), sleep=sleep)
        self.assertEqual(told[-1]["said"], "interrupted")
        self.assertEqual(self.status, 1)

    def test_whole(self) -> None:
        """
        With a configuration it looks at the store that this names, and leaves
        Ctrl-C as it was.
        """
        store = Path(self.mktemp()).absolute()
        text = f"{FILLED}store: 'sqlite:{store}'\n"
        config = parse_config(text, directory=Path("/"), environ={})
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        status = watch(config, {}, self.out, patience=0.05)
        self.assertIs(signal.getsignal(signal.SIGINT), signal.SIG_IGN)
        self.assertEqual(status, 2)
        self.assertIn("the daemon doesn't run", self.out.getvalue())
        self.assertFalse(store.exists())


class ScreenTests(SynchronousTestCase):
    """
    Tests for what is written.
    """

    LINE = Line(
        stage="send",
        verdict=Verdict.WARNING,
        said="it is\nnot sent",
        message=2,
        bot="mica",
        id="e9",
        seconds=1.26,
        todo="look",
    )

    def written(
        self, line: Line, *, as_json: bool = False, several: bool = False
    ) -> str:
        """
        Write a line.
        """
        out = StringIO()
        Screen(out, as_json, several=several, now=lambda: NOON).tell(line)
        return out.getvalue()

    def test_people(self) -> None:
        """
        A line says when, how it is, which stage of which message, for how long
        and what to do; and the bot, where there are several.
        """
        said = self.written(self.LINE)[len("12:00:00 ") :]
        self.assertEqual(
            said, "warning  send 2: it is not sent (1.3 s). To do: look.\n"
        )
        self.assertIn("send 2 (mica): ", self.written(self.LINE, several=True))
        came = self.written(evolve(self.LINE, stage="webhook"))
        self.assertIn("(1.3 s after it was written)", came)

    def test_programs(self) -> None:
        """
        In JSON it is one line, with the same.
        """
        said = self.written(self.LINE, as_json=True)
        self.assertEqual(said.count("\n"), 1)
        told = json.loads(said)
        self.assertEqual(told.pop("at"), "2026-11-22T12:00:00.000+00:00")
        self.assertEqual(
            told,
            {
                "stage": "send",
                "verdict": "warning",
                "said": "it is\nnot sent",
                "message": 2,
                "bot": "mica",
                "id": "e9",
                "seconds": 1.26,
                "todo": "look",
            },
        )


class LineTests(CommandCase):
    """
    Tests for what can be typed.
    """

    def test_for(self) -> None:
        """
        For how long to watch can't be said without watching; and a file with a
        fault is told in one line of JSON, and nothing is watched.
        """
        status, _, complaint = self.run_command("check", "--for", "1m")
        self.assertEqual(status, 2)
        self.assertIn("--for needs --watch", complaint)
        command = ("check", "--json", "--watch", "--config", "/nowhere.yaml")
        status, said, _ = self.run_command(*command)
        self.assertEqual((status, said.count("\n")), (2, 1))
        self.assertEqual(json.loads(said)["status"], 2)
