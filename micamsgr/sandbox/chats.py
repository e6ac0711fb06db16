"""
What the people of the sandbox see in Messenger: their chats with a Page.
"""

from __future__ import annotations

from enum import IntEnum

from attrs import define, evolve, field, frozen

#: The most people who chat at once, which is how many names there are.
NAMES = ("Alice", "Bob", "Carol", "Dave", "Erin", "Frank")

# A chat shows so many of its last bubbles.
_MOST_BUBBLES = 200


class Mark(IntEnum):
    """
    What a person knows of a message of theirs: Messenger took it (SENT), the
    Page's app has it (DELIVERED), it was SEEN.
    """

    SENT = 1
    DELIVERED = 2
    SEEN = 3


@frozen(kw_only=True)
class Bubble:
    """
    A message, as it is shown.

    :ivar by: ``person``, ``bot``, or ``human``, which is the Page's staff.
    :ivar at: seconds since the epoch.
    :ivar mark: of the person's own.
    """

    mid: str
    by: str
    text: str
    at: float
    mark: Mark = Mark.SENT

    def document(self) -> dict[str, object]:
        """
        Give it as JSON can hold it.
        """
        mark = self.mark.name.lower()
        return {
            "mid": self.mid,
            "by": self.by,
            "text": self.text,
            "at": self.at,
            "mark": mark,
        }


@define(eq=False)
class Chat:
    """
    One person's chat with one Page.

    :ivar page: the Page's ID.
    :ivar typing: whether the person sees the dots.
    """

    psid: str
    name: str
    bot: str
    page: str
    typing: bool = field(default=False, init=False)
    # By mid, oldest first.
    _bubbles: dict[str, Bubble] = field(factory=dict, init=False)

    def add(self, bubble: Bubble) -> None:
        """
        Show a message; one of the Page's ends the dots.
        """
        self._bubbles[bubble.mid] = bubble
        if bubble.by != "person":
            self.typing = False
        while len(self._bubbles) > _MOST_BUBBLES:
            del self._bubbles[next(iter(self._bubbles))]

    def mark(self, mark: Mark, mid: str | None = None) -> list[str]:
        """
        Mark what the person wrote.

        :param mid: which message; ``None``: all of them.

        :return: the mids of those that were not so far yet.
        """
        changed = [
            bubble
            for bubble in self._bubbles.values()
            if bubble.by == "person"
            and bubble.mark < mark
            and mid in (None, bubble.mid)
        ]
        for bubble in changed:
            self._bubbles[bubble.mid] = evolve(bubble, mark=mark)
        return [bubble.mid for bubble in changed]

    def document(self) -> dict[str, object]:
        """
        Give it as JSON can hold it.
        """
        return {
            "psid": self.psid,
            "name": self.name,
            "bot": self.bot,
            "typing": self.typing,
            "bubbles": [bubble.document() for bubble in self._bubbles.values()],
        }
