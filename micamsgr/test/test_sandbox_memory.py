"""
Tests for :mod:`micamsgr.sandbox.memory`, and for the sandbox's use of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.sandbox.journal import Applied, Wrote
from micamsgr.sandbox.memory import Joined, Memory, Remembered

from .test_sandbox_page import SandboxCase

JOINED = Joined(at=1.0, page="1", psid="2", name="Alice")
WROTE = Wrote(at=2.0, page="1", psid="2", mid="m_1", text="Grüße")
APPLIED = Applied(
    at=3.0, page="1", psid="2", mid="m_2", text="Hi", metadata="m:1", app_id="700"
)


class MemoryTests(SynchronousTestCase):
    """
    Tests for :class:`Memory`.
    """

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.memory = Memory(self.path, 3)

    def test_recalled(self) -> None:
        """
        What was added is there at the next run, in its order.
        """
        facts: list[Remembered] = [JOINED, WROTE, APPLIED]
        for fact in facts:
            self.memory.add(fact)
        self.assertEqual(Memory(self.path, 3).recall(), facts)

    def test_private(self) -> None:
        """
        Nobody else may read what people wrote, before and after it is read.
        """
        self.memory.add(WROTE)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.memory.recall()
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_nothing(self) -> None:
        """
        At the first run there is nothing to recall, and nothing to say.
        """
        self.assertEqual(self.memory.recall(), [])
        self.assertFalse(self.path.exists())

    def test_forgotten(self) -> None:
        """
        Of each thread only the last messages are kept, so that the file does
        not grow without end; of others' threads none is lost by that.
        """
        other = evolve(WROTE, psid="3")
        lines = [evolve(WROTE, mid=f"m_{number}") for number in range(5)]
        facts: list[Remembered] = [JOINED, other, *lines]
        for fact in facts:
            self.memory.add(fact)
        self.assertEqual(self.memory.recall(), [JOINED, other, *lines[2:]])
        self.assertEqual(len(self.path.read_text().splitlines()), 5)

    def test_cut_off(self) -> None:
        """
        A line that was being written as the process was killed is left out.
        """
        self.memory.add(WROTE)
        self.memory.add(APPLIED)
        whole = self.path.read_bytes()
        self.path.write_bytes(whole[:-20])
        self.assertEqual(self.memory.recall(), [WROTE])

    def test_nonsense(self) -> None:
        """
        Lines that are none of ours are left out.
        """
        self.path.write_text('{"fact": "Acted"}\n[]\n7\n{"fact": "Wrote"}\n')
        self.assertEqual(self.memory.recall(), [])

    def test_trouble(self) -> None:
        """
        Where the file can't be used, that is said and no more.
        """
        self.path.mkdir()
        events: list[LogEvent] = []
        hear: Any = events.append
        globalLogPublisher.addObserver(hear)
        self.addCleanup(globalLogPublisher.removeObserver, hear)
        self.memory.add(WROTE)
        self.assertEqual(self.memory.recall(), [])
        self.assertEqual(len(events), 2)
        self.assertIn(
            f"can't remember its chats in {self.path}", formatEvent(events[0])
        )


class RestartTests(SandboxCase):
    """
    Tests for a sandbox that is started again.
    """

    def restart(self) -> None:
        self.sandbox.stopService()
        self.begin()

    def test_same_people(self) -> None:
        """
        After a restart the same people are there, and what was said.
        """
        self.do("join", bot="mica")
        before = [(it["psid"], it["name"]) for it in self.state()["people"]]
        self.do("say", psid=before[1][0], text="Hi")
        self.do("answer", psid=before[1][0], text="Hello!")
        self.restart()
        after = self.state()["people"]
        self.assertEqual([(it["psid"], it["name"]) for it in after], before)
        self.assertEqual(len(before), 3)
        bubbles = [(it["by"], it["text"], it["mark"]) for it in after[1]["bubbles"]]
        self.assertEqual(
            bubbles, [("person", "Hi", "seen"), ("human", "Hello!", "sent")]
        )

    def test_goes_on(self) -> None:
        """
        After a restart they can go on, and the Page's thread is whole.
        """
        psid = self.person()["psid"]
        self.do("say", psid=psid, text="Hi")
        self.restart()
        self.assertEqual(self.do("say", psid=psid, text="Still there?"), 204)
        texts = [it["text"] for it in self.person()["bubbles"]]
        self.assertEqual(texts, ["Hi", "Still there?"])
        self.assertEqual(self.posted[-1]["sender"]["id"], psid)

    def test_delivered(self) -> None:
        """
        What was said before a restart is not shown as on its way.
        """
        self.do("say", psid=self.person()["psid"], text="Hi")
        self.restart()
        self.assertEqual(self.person()["bubbles"][0]["mark"], "delivered")
