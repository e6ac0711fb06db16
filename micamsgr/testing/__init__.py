"""
Stand-ins for tests: the real store in memory, clocks that a test sets, and a
messenger, an assistant and a terminal that do what the test says, and no
sooner.

Each keeps the promises of its interface, refusals included.  What serves only
the test is not part of the interface.
"""

from __future__ import annotations

from .assistant import MemoryAssistant, Question
from .clocks import NOW, FixedClocks
from .events import ALICE, BOB, BOT, CAROL, INBOX, PAGE, echo, said
from .messenger import SHOWN, Arrived, MemoryMessenger, Sending
from .store import MemoryDatabase, MemoryStore, memory_store, stepped_store
from .terminal import ScriptedTerminal

__all__ = [
    "ALICE",
    "BOB",
    "BOT",
    "CAROL",
    "INBOX",
    "NOW",
    "PAGE",
    "SHOWN",
    "Arrived",
    "FixedClocks",
    "MemoryAssistant",
    "MemoryDatabase",
    "MemoryMessenger",
    "MemoryStore",
    "Question",
    "ScriptedTerminal",
    "Sending",
    "echo",
    "memory_store",
    "said",
    "stepped_store",
]
