"""
The least that could answer people: one call of the LLM and one of the Send
API for each message, and nothing else, by treq with one pool; the bodies are
as long as the daemon's, and what comes back is read but not looked at.

Given a configuration, people at a time, and seconds, it says ``begin`` and
``end`` around what is measured, and in a line of JSON what came of it.  With
``--sends``, it makes so many calls of the Send API instead, and none of the
LLM, and all of them are measured.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import define, field
from treq.client import HTTPClient
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater, react
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers

from bench.stand_in import ANSWER
from bench.webhooks import PAGE, TEXT, person
from micamsgr.assistant.prompt import messages
from micamsgr.config import load_config
from micamsgr.config.values import Bot
from micamsgr.conversation.assistant import Role, Utterance
from micamsgr.messenger.graph import appsecret_proof

reactor: Any = installed


@define(eq=False)
class Caller:
    """
    Make the calls for one message after the other.

    :ivar _sends: so many calls of the Send API, and none of the LLM; 0: until
        told to stop.
    """

    _bot: Bot
    _client: HTTPClient
    _sends: int = 0
    answered: int = field(default=0, init=False)
    going: bool = field(default=True, init=False)
    _begun: int = field(default=0, init=False)

    async def run(self) -> None:
        """
        Go on until all is done; more than one may at a time.
        """
        bot = self._bot
        said = Utterance(Role.PERSON, TEXT)
        prompt = messages(
            bot.assistant.instructions,
            [said],
            history_messages=40,
            history_characters=1,
        )
        question = json.dumps({"model": bot.llm.model, "messages": prompt}).encode()
        answer = json.dumps(
            {
                "recipient": {"id": person(0)},
                "messaging_type": "RESPONSE",
                "message": {
                    "text": ANSWER,
                    "metadata": "mica:1:01KAM8T5Q0E6S4V8ZK2B3N9XWY:1",
                },
            }
        ).encode()
        token = bot.facebook.page_access_token.value
        proof = appsecret_proof(bot.facebook.secret.value, token)
        graph = f"{bot.facebook.graph_url}/{bot.facebook.api_version}"
        send = f"{graph}/{PAGE}/messages?appsecret_proof={proof}"
        key = bot.llm.headers["Authorization"].value
        while self.going and (self._begun < self._sends or not self._sends):
            self._begun += 1
            if not self._sends:
                await self._call(bot.llm.url, question, _headers(key))
            await self._call(send, answer, _headers(f"Bearer {token}"))
            self.answered += 1

    async def _call(self, url: str, body: bytes, headers: Headers) -> None:
        response = await self._client.post(url, data=body, headers=headers)
        if response.code != 200:
            sys.exit(f"{url} answered {response.code}")
        await response.content()


def _headers(authorization: str) -> Headers:
    return Headers(
        {"Authorization": [authorization], "Content-Type": ["application/json"]}
    )


async def _main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("--people", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--warm-up", type=float, default=0.0)
    parser.add_argument("--sends", type=int, default=0)
    given = parser.parse_args(arguments)
    (bot,) = load_config(given.config, os.environ).bots
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = given.people
    caller = Caller(bot, HTTPClient(Agent(reactor, pool=pool)), given.sends)
    if given.sends:
        print("begin", flush=True)
    start, before = time.perf_counter(), 0
    calling = [Deferred.fromCoroutine(caller.run()) for _ in range(given.people)]
    if given.sends:
        await gatherResults(calling)
    else:
        await deferLater(reactor, given.warm_up)
        print("begin", flush=True)
        start, before = time.perf_counter(), caller.answered
        await deferLater(reactor, given.seconds)
    answered = caller.answered - before
    measured = time.perf_counter() - start
    print("end", flush=True)
    caller.going = False
    for each in calling:
        await each
    print(json.dumps({"answered": answered, "seconds": measured}), flush=True)


if __name__ == "__main__":
    react(lambda _, *given: Deferred.fromCoroutine(_main(given)), sys.argv[1:])
