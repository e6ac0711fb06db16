"""
Tests that the page on the configuration tells of the waits that have no key.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from micamsgr import connecting
from micamsgr.assistant import breaker
from micamsgr.composition import bots
from micamsgr.conversation import dispatcher, outlet, parts, planner, reception
from micamsgr.httpcall import outbound_client
from micamsgr.messenger import pages, patience, repair, token_watch, usage
from micamsgr.store import database, forget_command, thread

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"

_CLIENT = inspect.signature(outbound_client).parameters

# What a row begins with, and what it names: numbers that stand in the code.
WAITS: dict[str, tuple[float, ...]] = {
    "commit of what Meta delivers": (patience.COMMIT_DEADLINE,),
    "whatever else is to be written": (thread._LONGEST_WAIT,),
    "another program that holds": (database._BUSY,),
    "a stop": (bots.DRAIN,),
    "`micamessenger forget`": (forget_command._PATIENCE,),
    "connection to the LLM": (_CLIENT["connect"].default,),
    "what was sent there": (connecting._USER_TIMEOUT / 1000.0,),
    "idle connection there": (_CLIENT["idle"].default,),
    "from the commit that a message": (parts.GUARD,),
    "a message that surely was not sent": (
        2.0 * parts._FIRST_REST,
        parts._LONGEST_REST,
    ),
    "a Page to which nothing is sent": (outlet._SHORTEST_PAUSE, outlet._LONGEST_PAUSE),
    "a wait that Meta names": (usage._LONGEST_WAIT,),
    "look-ups that fail for now": (parts.EVIDENCE_PATIENCE,),
    "from one such look-up": (parts._LONGEST_REST,),
    "an LLM that gave no answer": (
        planner.after_failure(1, None, 1.0),
        planner.after_failure(99, None, 1.0),
    ),
    "an LLM that is left alone": (breaker._LONGEST_NAMED,),
    "a conversation in which a defect": (dispatcher._AFTER_A_DEFECT,),
    "whose Page a token is of": (pages._FIRST_REST, pages._LONGEST_REST),
    "a look at the token": (token_watch.DEADLINE,),
    "catching up that can't go on": (repair._FIRST_REST, repair._LONGEST_REST),
    "the 24 hours": (24 * 60 - planner.WINDOW / 60_000,),
    "a message that Meta delivers late": (reception.STALE / 3_600_000,),
}


class WaitTests(SynchronousTestCase):
    """
    Tests for a table in ``docs/configuration.md``.
    """

    def test_told(self) -> None:
        """
        Each wait is told of with the time that it takes.
        """
        if not PAGE.exists():
            raise SkipTest("needs docs/configuration.md")
        page = PAGE.read_text(encoding="utf-8")
        table = page.partition("### Waits that have no key")[2].partition("\n## ")[0]
        rows = re.findall(r"^\| (.+?) \| (.+?) \| .+ \|$", table, re.MULTILINE)
        for begins, times in WAITS.items():
            [limit] = [limit for wait, limit in rows if wait.startswith(begins)]
            told = re.findall(r"[0-9]+(?:\.[0-9]+)?", limit)
            self.assertEqual([float(time) for time in told], list(times), begins)
