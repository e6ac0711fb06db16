"""
Tests for the flame graph among the benchmarks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from bench import flame
from bench.stacks import (
    ROOMS,
    Frame,
    Stack,
    busy,
    folded,
    laid_out,
    parse,
    shares,
)

RAW = """\
thread (7): MainThread;<module> (<string>:1);ReactorBase.mainLoop \
(twisted/internet/base.py:690);Connection.doRead (twisted/internet/tcp.py:269);\
Deferred.callback (twisted/internet/defer.py:858);Steps.run \
(micamsgr/conversation/steps.py:12) 30
thread (7): MainThread;ReactorBase.mainLoop (twisted/internet/base.py:690);\
EPollReactor.doPoll (twisted/internet/epollreactor.py:215) 5
thread (8): store;Thread._bootstrap (threading.py:988);Thread.run (threading.py:971);\
DatabaseThread._run (micamsgr/store/thread.py:235) 10
thread (9): PoolThread-0;Queue.get (queue.py:1);Condition.wait (threading.py:2) 99
"""

TCP = Frame("Connection.doRead", "twisted/internet/tcp.py")
RUN = Frame("Steps.run", "micamsgr/conversation/steps.py")
KEEP = Frame("DatabaseThread._run", "micamsgr/store/thread.py")
CALLBACK = Frame("Deferred.callback", "twisted/internet/defer.py")
LOOP = Frame("ReactorBase.mainLoop", "twisted/internet/base.py")
SVG = "{http://www.w3.org/2000/svg}"


def stack(*frames: Frame, count: int = 1, thread: str = "main thread") -> Stack:
    """
    Make a stack.
    """
    return Stack(thread, frames, count)


class StackTests(SynchronousTestCase):
    """
    Tests for reading stacks and making them shorter.
    """

    def test_parse(self) -> None:
        """
        Threads have names, and calls a function and a file, without the line.
        """
        first, *_, store, pool = parse(RAW)
        self.assertEqual((first.thread, first.count), ("main thread", 30))
        self.assertEqual(first.frames[0], Frame("<module>", "<string>"))
        self.assertEqual(first.frames[-1], RUN)
        self.assertEqual((store.thread, store.frames[-1]), ("store thread", KEEP))
        self.assertEqual((pool.thread, pool.count), ("PoolThread-0", 99))

    def test_other(self) -> None:
        """
        What is not Python has no file, and a thread need not have a name.
        """
        (found,) = parse("thread (0x7F01);PyEval_Eval 2")
        self.assertEqual(found.frames, (Frame("PyEval_Eval", ""),))

    def test_not_stacks(self) -> None:
        """
        What isn't a stack is no sample.
        """
        for line in ("Error: no such process", "main (a.py:1) 3", "thread (1): a;b x"):
            with self.assertRaisesRegex(ValueError, "not a stack"):
                parse(line)

    def test_busy(self) -> None:
        """
        Threads that wait for something to do are left out.
        """
        self.assertEqual([it.count for it in busy(parse(RAW))], [30, 10])

    def folds(self, frames: Sequence[Frame], kept: Sequence[Frame]) -> None:
        """
        Check what stays of a stack.
        """
        self.assertEqual(folded(stack(*frames)).frames, tuple(kept))

    def test_plumbing(self) -> None:
        """
        Deferreds between two calls are left out, and so is a call of a function by
        itself, with or without them between.
        """
        self.folds([TCP, CALLBACK, CALLBACK, RUN, KEEP], [TCP, RUN, KEEP])
        self.folds([TCP, RUN, CALLBACK, RUN, RUN, KEEP], [TCP, RUN, KEEP])
        self.folds([TCP, RUN, CALLBACK, RUN], [TCP, RUN])

    def test_last(self) -> None:
        """
        A Deferred that itself takes the time stays.
        """
        self.folds([TCP, CALLBACK, RUN, CALLBACK], [TCP, RUN, CALLBACK])
        self.folds([CALLBACK], [CALLBACK])

    def test_beginning(self) -> None:
        """
        How the process and its threads began is left out, for each Python: 3.10 does
        not tell of which class a function is.
        """
        begun = Frame("run", "twisted/scripts/twistd.py")
        self.folds([begun, LOOP, TCP], [TCP])
        self.folds([begun, Frame("mainLoop", LOOP.file), TCP], [TCP])
        self.folds([begun, LOOP], [begun, LOOP])
        self.folds([Frame("Thread.run", "threading.py"), KEEP], [KEEP])

    def test_rooms(self) -> None:
        """
        Each file is at home in one room.
        """
        names = {
            "twisted/web/http.py": "twisted.web",
            "twisted/internet/tcp.py": "rest of Twisted",
            "micamsgr/store/thread.py": "store",
            "micamsgr/conversation/steps.py": "conversation",
            "micamsgr/httpcall.py": "messenger, assistant, httpcall",
            "micamsgr/assistant/answers.py": "messenger, assistant, httpcall",
            "micamsgr/web/channel.py": "rest of micamsgr",
            "json/decoder.py": "Python and its libraries",
            "": "Python and its libraries",
        }
        found = {file: ROOMS[Frame("f", file).room][0] for file in names}
        self.assertEqual(found, names)

    def test_shares(self) -> None:
        """
        Time counts where it was spent, and not where that was called.
        """
        found = shares(
            [
                stack(KEEP, count=1, thread="store thread"),
                stack(TCP, count=1),
                stack(TCP, RUN, count=2),
            ]
        )
        self.assertEqual(list(found), ["main thread", "store thread"])
        self.assertEqual(found["main thread"], [0.0, 0.25, 0.0, 0.5, 0.0, 0.0, 0.0])
        self.assertEqual(found["store thread"], [0.0, 0.0, 0.25, 0, 0, 0, 0])


class PictureTests(SynchronousTestCase):
    """
    Tests for the flame graph itself.
    """

    stacks = (
        stack(KEEP, count=2, thread="store thread"),
        stack(TCP, RUN, count=5),
        stack(TCP, count=1),
        stack(RUN, KEEP, count=2),
    )

    def test_laid_out(self) -> None:
        """
        Threads are beside each other, each call above its caller and within it, same
        calls together, and the widest is leftmost.
        """
        boxes = [
            (box.name[0], box.frame, box.depth, round(box.left, 9), round(box.width, 9))
            for box in laid_out(self.stacks, 0.0)
        ]
        self.assertEqual(
            boxes,
            [
                ("m", None, 0, 0.0, 0.8),
                ("m", TCP, 1, 0.0, 0.6),
                ("m", RUN, 2, 0.0, 0.5),
                ("m", RUN, 1, 0.6, 0.2),
                ("m", KEEP, 2, 0.6, 0.2),
                ("s", None, 0, 0.8, 0.2),
                ("s", KEEP, 1, 0.8, 0.2),
            ],
        )

    def test_narrow(self) -> None:
        """
        What is narrow is left out, with all that it called.
        """
        boxes = laid_out(self.stacks, 0.5)
        self.assertEqual([box.frame for box in boxes], [None, TCP, RUN])

    def test_drawn(self) -> None:
        """
        The picture can be read as it is, light and dark, without a script: function
        and file are written where they fit, and are titles everywhere.
        """
        odd = Frame("<lambda>", "a&b.py")
        stacks = [*self.stacks, stack(odd, count=1)]
        text = flame.draw("A <title>", laid_out(stacks, 0.0), 11)
        root = ElementTree.fromstring(text)
        self.assertEqual(root.get("aria-label"), "A <title>")
        titles = [it.text for it in root.iter(f"{SVG}title")]
        self.assertEqual(len(titles), 8)
        self.assertIn("Connection.doRead (twisted/internet/tcp.py), 54.5%", titles)
        self.assertIn("<lambda> (a&b.py), 9.1%", titles)
        texts = [it.text for it in root.iter(f"{SVG}text")]
        self.assertIn("main thread", texts)
        self.assertIn("store thread", texts)
        self.assertIn("Steps.run (micamsgr/conversation/steps.py)", texts)
        # It is a fifth as wide.
        self.assertIn("DatabaseThread._run", texts)
        for name, _ in ROOMS:
            self.assertIn(name, texts)
        self.assertIn("prefers-color-scheme:dark", text)
        self.assertNotIn("<script", text)

    def test_no_room(self) -> None:
        """
        A name is cut where there is not enough room, and left out where next to
        nothing of it would be left.
        """
        long = Frame("a_function_of_a_long_name", "file.py")
        for count, said in ((60, "a_funct…"), (20, None)):
            stacks = [stack(long, count=count), stack(count=1000 - count)]
            drawn = flame.draw("it", laid_out(stacks, 0.0), 1000)
            (box,) = (
                it
                for it in ElementTree.fromstring(drawn).iter(f"{SVG}g")
                if (it.findtext(f"{SVG}title") or "").startswith("a_function")
            )
            self.assertEqual(box.findtext(f"{SVG}text"), said)

    def test_report(self) -> None:
        """
        The table says how much of the time each thread spent in each room; a thread
        that did next to nothing has no column, and counts.
        """
        found = flame.report(
            [
                stack(TCP, count=594),
                stack(KEEP, count=400, thread="store thread"),
                stack(RUN, count=6, thread="another"),
            ],
            5.0,
        )
        head, *rows = found.rows
        self.assertEqual(head, ["", "main thread", "store thread", "all threads"])
        self.assertIn(["rest of Twisted", "59.4%", "0.0%", "59.4%"], rows)
        self.assertIn(["conversation", "0.0%", "0.0%", "0.6%"], rows)
        self.assertEqual(rows[-1], ["together", "59.4%", "40.0%", "100.0%"])
        self.assertIn("1000 samples in 5 s, 59%, in rest of Twisted", found.line)

    def test_no_spy(self) -> None:
        """
        Without py-spy nothing is started, and it is said what to do.
        """
        self.patch(sys, "executable", "/nowhere/python")
        self.patch(os, "environ", {"PATH": "/nowhere"})
        with self.assertRaisesRegex(SystemExit, "py-spy is not installed: pip install"):
            flame.sampled(Path("/nowhere"), 1, 1.0)
