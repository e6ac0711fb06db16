"""
Somebody at a terminal, who types what the test says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from attrs import define, field

from micamsgr.setup.failing import GivenUp


@define(eq=False)
class ScriptedTerminal:
    """
    Answers each question by the next line, and goes away after the last one.

    :ivar lines: what is still to be typed.
    :ivar shown: all that can be read on it; what is typed unseen can't.
    :ivar asked: the prompts, and whether what was typed was hidden.
    """

    lines: deque[str]
    interactive: bool = True
    shown: str = field(default="", init=False)
    asked: list[tuple[str, bool]] = field(factory=list, init=False)

    @classmethod
    def typing(cls, lines: Iterable[str]) -> ScriptedTerminal:
        """Make one at which somebody types these lines."""
        return cls(deque(lines))

    @classmethod
    def nobodys(cls) -> ScriptedTerminal:
        """Make one at which there is nobody."""
        return cls(deque(), interactive=False)

    def say(self, text: str) -> None:
        self.shown += f"{text}\n"

    async def ask(self, prompt: str, *, hidden: bool = False) -> str:
        if not self.interactive:
            raise GivenUp
        self.shown += prompt
        self.asked.append((prompt, hidden))
        if not self.lines:
            raise GivenUp
        line = self.lines.popleft()
        self.shown += "\n" if hidden else f"{line}\n"
        return line
