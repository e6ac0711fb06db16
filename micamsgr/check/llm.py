"""
Whether an LLM answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen

from micamsgr.assistant.chat_completions import ChatCompletions, Endpoint, host_of
from micamsgr.config.values import LanguageModel
from micamsgr.conversation.assistant import Role, Utterance
from micamsgr.errors import Refused, Unavailable
from micamsgr.httpcall import Call

from .findings import Finding, fine
from .troubles import trouble

# Seconds.
_SLOW = 10.0

_PROMPT = "Answer with the word yes."


@frozen(kw_only=True)
class Asked:
    """
    What came of a question.

    :ivar failure: empty where there was an answer.
    :ivar reached: whether the server answered at all.
    """

    failure: str = ""
    reached: bool = True
    seconds: float = 0.0


async def ask(
    call: Call, model: LanguageModel, ticks: Callable[[], float], most: float
) -> Asked:
    """
    Ask an LLM for one word, as the daemon asks it.

    :param ticks: the monotonic clock.
    :param most: seconds to wait for it at most.
    """
    answered: list[int] = []

    async def noted(*arguments: object, **more: object) -> object:
        answer = await call(*arguments, **more)  # type: ignore[arg-type]
        answered.append(answer.status)
        return answer

    endpoint = Endpoint(
        url=model.url,
        model=model.model,
        headers={name: value.value for name, value in model.headers.items()},
        api_key=None if model.api_key is None else model.api_key.value,
        parameters=model.parameters,
        timeout=min(model.timeout, most),
    )
    assistant = ChatCompletions(
        noted,  # type: ignore[arg-type]
        [endpoint],
        _messages,
        ticks,
        lambda: 0.0,
    )
    began = ticks()
    try:
        await assistant.reply([Utterance(Role.PERSON, _PROMPT)], "check")
    except (Unavailable, Refused) as error:
        return Asked(failure=error.detail, reached=bool(answered))
    return Asked(seconds=ticks() - began)


def _messages(utterances: Sequence[Utterance]) -> list[dict[str, str]]:
    return [{"role": "user", "content": each.text} for each in utterances]


def judge_llm(bot: str, model: LanguageModel, place: int, asked: Asked) -> Finding:
    """
    Say whether an LLM answers, and how fast.

    :param place: 0 for the LLM itself, from 1 for its fallbacks.
    """
    which = f"fallback {place}, " if place else ""
    name = f"{which}{model.model} at {host_of(model.url)}"
    if asked.failure:
        if place:
            return trouble("llm.fallback", bot, f"{name}: {asked.failure}")
        kind = "refused" if asked.reached else "unreachable"
        return trouble(f"llm.{kind}", bot, f"{name}: {asked.failure}")
    line = f"{name} answered in {asked.seconds:.2f} s"
    if asked.seconds > _SLOW:
        return trouble("llm.slow", bot, line)
    return fine("llm", bot, line)
