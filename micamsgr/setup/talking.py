"""
Asks an operator what is not known yet, and tells them how it goes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import define, field

from micamsgr.check.discretion import taken_out

from .failing import Failed, GivenUp
from .questions import Question, Unfit
from .terminal import ITerminal

T = TypeVar("T")

# What is shorter is in other words, too.
_LEAST_SECRET = 8


@define(eq=False)
class Talk:
    """
    A conversation, and the answers that it came to.

    :ivar answers: by name; those that are known already may be there.
    :ivar ended: whether nobody is to be asked any more.
    """

    _terminal: ITerminal
    answers: dict[str, str]
    ended: bool = False

    _doubtful: set[str] = field(factory=set, init=False)
    # By answer, how a program says it.
    _given: dict[str, str] = field(factory=dict, init=False)
    _secrets: set[str] = field(factory=set, init=False)

    def keep_secret(self, text: str) -> None:
        """Show this nowhere from now on."""
        if len(text) >= _LEAST_SECRET:
            self._secrets.add(text)

    def say(self, text: str) -> None:
        """Tell something, less what is secret in it."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = taken_out(text, secret)
        self._terminal.say(text)

    async def answer(self, question: Question) -> str:
        """
        Give an answer, and ask for it where there is none, or a doubtful one.

        :raises Failed: there is nobody to ask.
        """
        before = self.answers.get(question.name)
        if before is not None and question.name not in self._doubtful:
            return self._known(question, before)
        if not self._terminal.interactive:
            if before is None and question.default is not None:
                before = question.default
            if before is None or question.name in self._doubtful:
                raise Failed(
                    why=f"{question.asked}: not given",
                    todo=f"give {question.given}, or run setup in a terminal",
                )
            return self._known(question, before)
        if question.hint:
            self.say(f"  {question.hint}")
        default = question.default if before is None else before
        while True:
            typed = await self._terminal.ask(
                self._prompt(question, default, before is not None),
                hidden=question.hidden,
            )
            if not typed.strip() and default is not None:
                return self._known(question, default)
            try:
                return self._known(question, question.read(typed))
            except Unfit as why:
                self.say(f"  That won't do: {why}.")

    def _prompt(self, question: Question, default: str | None, again: bool) -> str:
        remark = ""
        if question.hidden:
            remark = " (not shown; Enter: as before)" if again else " (not shown)"
        elif default is not None:
            remark = f" [{default or 'none'}]"
        return f"{question.asked}{remark}: "

    def _known(self, question: Question, answer: str) -> str:
        self.answers[question.name] = answer
        self._given[question.name] = question.given
        self._doubtful.discard(question.name)
        if question.hidden:
            self.keep_secret(answer)
        return answer

    async def agreed(self, question: str, why_not: Failed, given: bool) -> None:
        """
        Ask whether something may be done; an empty line says yes.

        :param given: whether that was said before.

        :raises Failed: it may not, or there is nobody to ask.
        """
        if given:
            return
        if not self._terminal.interactive:
            raise why_not
        typed = await self._terminal.ask(f"{question} [Y/n] ")
        if typed.strip().lower() not in ("", "y", "yes"):
            raise GivenUp

    async def until_done(self, step: Callable[[], Awaitable[T]], instead: T) -> T:
        """
        Do a step, and again as long as it fails and somebody says so.

        :param instead: what comes of a step that is skipped.

        :raises GivenUp: it is not to be done again, or there is nobody to say
            so.
        """
        while True:
            try:
                return await step()
            except Failed as failed:
                if self.ended:
                    raise GivenUp from None
                self.tell(failed)
                if not self._terminal.interactive:
                    self._tell_program(failed)
                    raise GivenUp from None
                self._doubtful.update(failed.doubtful)
                skip = f", s to go on ({failed.skippable})" if failed.skippable else ""
                typed = await self._terminal.ask(
                    f"Press Enter to try again{skip}, or type q to give up: "
                )
                if typed.strip().lower() == "q":
                    raise GivenUp from None
                if skip and typed.strip().lower() == "s":
                    return instead

    def _tell_program(self, failed: Failed) -> None:
        """Say how what may be wrong is given where nobody can be asked."""
        ways = [self._given[it] for it in failed.doubtful if it in self._given]
        if ways:
            self.say(f"  Given by: {'; '.join(ways)}; or run setup in a terminal.")

    def tell(self, failed: Failed) -> None:
        """Say how a step failed, and what to do."""
        self.say(f"  Failed: {failed.why}.")
        self.say(f"  To do: {failed.todo}.")
        if failed.by_hand:
            self.say(f"  By hand: {failed.by_hand}.")
