"""
Puts together who answers for a bot.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.internet.interfaces import IReactorTime

from micamsgr.assistant.chat_completions import ChatCompletions, Endpoint
from micamsgr.assistant.demo import Demo
from micamsgr.assistant.prompt import messages
from micamsgr.config.values import Bot, LanguageModel
from micamsgr.conversation.assistant import IAssistant
from micamsgr.httpcall import Call


def make_assistant(
    clock: IReactorTime, call: Call, jitter: Callable[[], float], bot: Bot
) -> IAssistant:
    """
    Make what a bot's configuration names.

    :param call: makes one HTTP call.
    :param jitter: makes a number from 0.0 to 1.0.
    """
    if bot.llm.provider == "demo":
        return Demo(clock)
    manners = bot.assistant.manners
    return ChatCompletions(
        call,
        [_endpoint(model) for model in (bot.llm, *bot.llm.fallbacks)],
        partial(
            messages,
            bot.assistant.instructions,
            history_messages=manners.history_messages,
            history_characters=manners.history_characters,
        ),
        clock.seconds,
        jitter,
    )


def _endpoint(model: LanguageModel) -> Endpoint:
    return Endpoint(
        url=model.url,
        model=model.model,
        headers={name: value.value for name, value in model.headers.items()},
        api_key=None if model.api_key is None else model.api_key.value,
        parameters=model.parameters,
        timeout=model.timeout,
    )
