"""
Tests for :mod:`micamsgr.processor`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection

from attrs import define, evolve, field
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.processor import Linux, OneProcessor, Usage


@define(eq=False, slots=False)
class MemoryScheduler:
    """
    A machine of four processors.

    :ivar kept: on which this process may run.
    """

    refuses: bool = False
    known: Collection[int] = (0, 1, 2, 3)
    place: int = 2
    so_far: Usage = field(default=Usage(5.0, 7.0))
    kept: set[int] | None = None

    def allowed(self) -> Collection[int]:
        return self.known

    def here(self) -> int:
        return self.place

    def keep(self, processors: Collection[int]) -> None:
        if self.refuses:
            raise PermissionError
        self.kept = set(processors)

    def usage(self) -> Usage:
        return self.so_far


class OneProcessorTests(SynchronousTestCase):
    """
    Tests for :class:`OneProcessor`.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.machine = MemoryScheduler()

    def start(self) -> None:
        service = OneProcessor(self.clock, self.machine)
        service.startService()
        self.addCleanup(service.stopService)

    def wait(self, waited: float, threads: float = 0.0) -> None:
        """
        Let a second pass, of which so much is spent waiting for the processor,
        and so much used by other threads.
        """
        before = self.machine.so_far
        self.machine.so_far = evolve(
            before, waited=before.waited + waited, threads=before.threads + threads
        )
        self.clock.advance(1.0)

    def test_kept(self) -> None:
        """
        Once it has started, the process stays on the processor on which it is.
        """
        self.start()
        self.assertIsNone(self.machine.kept)
        for _ in range(3):
            self.wait(0.09)
            self.assertEqual(self.machine.kept, {2})

    def test_crowded_start(self) -> None:
        """
        Where others want the processor from the start, any will do until they
        don't.
        """
        self.start()
        self.wait(0.2)
        self.assertIsNone(self.machine.kept)
        self.wait(0.0)
        self.assertEqual(self.machine.kept, {2})

    def test_gives_way(self) -> None:
        """
        Where another program wants that processor, any will do, for a minute;
        then it stays where it is by then.
        """
        self.start()
        self.wait(0.0)
        self.wait(0.2)
        self.assertEqual(self.machine.kept, {0, 1, 2, 3})
        self.machine.place = 1
        self.clock.advance(59.0)
        self.assertEqual(self.machine.kept, {0, 1, 2, 3})
        self.clock.advance(1.0)
        self.assertEqual(self.machine.kept, {1})

    def test_own_threads(self) -> None:
        """
        It does not give way to itself.
        """
        self.start()
        self.wait(0.4, threads=0.35)
        self.wait(0.4, threads=0.35)
        self.assertEqual(self.machine.kept, {2})

    def test_cannot(self) -> None:
        """
        Where there is one processor, or somebody else chose, or the system
        refuses, nothing is done.
        """
        for machine in (
            MemoryScheduler(known=()),
            MemoryScheduler(known=(2,)),
            MemoryScheduler(refuses=True),
        ):
            self.machine = machine
            self.start()
            self.clock.advance(1.0)
            self.assertIsNone(machine.kept)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_files(self) -> None:
        """
        Where it can't be told whether it waits, it stays as it is, and asks again.
        """
        self.start()
        self.wait(0.0)
        tell = self.machine.usage
        self.patch(self.machine, "usage", self.fail_to_tell)
        self.wait(0.2)
        self.assertEqual(self.machine.kept, {2})
        self.patch(self.machine, "usage", tell)
        self.wait(0.5)
        self.assertEqual(self.machine.kept, {0, 1, 2, 3})

    def fail_to_tell(self) -> Usage:
        raise OSError

    def test_stop(self) -> None:
        """
        Nothing is looked at any more once it stops.
        """
        service = OneProcessor(self.clock, self.machine)
        service.startService()
        service.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class LinuxTests(SynchronousTestCase):
    """
    Tests for :class:`Linux`, on the machine on which they run.
    """

    def test_keep(self) -> None:
        """
        All threads are kept, those that are there and those that begin.
        """
        machine = Linux()
        before = os.sched_getaffinity(0)
        self.addCleanup(machine.keep, before)
        go, seen = threading.Event(), []

        def look() -> None:
            go.wait(10.0)
            seen.append(os.sched_getaffinity(0))

        threads = [threading.Thread(target=look)]
        threads[0].start()
        machine.keep({machine.here()})
        threads.append(threading.Thread(target=look))
        threads[1].start()
        go.set()
        for thread in threads:
            thread.join()
        self.assertEqual([len(each) for each in seen], [1, 1])

    def test_usage(self) -> None:
        """
        What other threads use is told from what this one does.
        """
        before = Linux().usage()
        busy = threading.Thread(target=lambda: sum(range(3_000_000)))
        busy.start()
        busy.join()
        after = Linux().usage()
        self.assertGreater(after.threads, before.threads + 0.005)
        self.assertGreaterEqual(after.waited, before.waited)

    def test_chosen(self) -> None:
        """
        Where somebody chose processors for the process, it stays with these.
        """
        machine = Linux()
        before = os.sched_getaffinity(0)
        self.addCleanup(machine.keep, before)
        machine.keep({min(before)})
        if os.cpu_count() != 1:
            self.assertEqual(list(machine.allowed()), [])
