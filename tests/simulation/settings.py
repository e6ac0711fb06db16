"""
How the daemon of a run is configured.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from attrs import evolve

from micamsgr.config import Config, parse_config
from micamsgr.conversation.policy import Unresolved
from tests.simulation.plan import Plan

MICA, GRAPH, MODEL = 8080, 8092, 8091

PAGE = "108463527190842"
TOKEN, SECRET = "token-of-the-page", "secret-of-the-app"
KEY, VERIFY = "key-of-the-model", "token-to-verify"

#: After so many seconds somebody who waits is told that the answer is late.
APOLOGY = 5.0

#: For how many seconds the daemon is quiet where a human answers.
QUIET = 60.0

_CONFIG = f"""
bot_name: mica
llm_config:
  server: http://model.example:{MODEL}
  headers:
    Authorization: Bearer {KEY}
facebook:
  verify_token: {VERIFY}
  page_access_token: {TOKEN}
  secret: {SECRET}
  graph_url: http://graph.example:{GRAPH}
assistant: {{apology: {{after: {APOLOGY:.0f}}}}}
handover: {{quiet_minutes: {QUIET / 60.0:.0f}}}
listen: tcp:{MICA}:interface=127.0.0.1
"""


@lru_cache
def _configuration() -> Config:
    return parse_config(_CONFIG, directory=Path("/nowhere"), environ={})


def configuration(plan: Plan) -> Config:
    """
    Configure the daemon for a run.
    """
    config = _configuration()
    (bot,) = config.bots
    delivery, limits, manners = bot.delivery, bot.limits, bot.assistant.manners
    if plan.lookups_denied:
        delivery = evolve(delivery, unresolved=Unresolved.DROP)
    if plan.turns:
        limits = evolve(limits, person_turns_per_day=plan.turns)
    manners = evolve(manners, patience=plan.patience)
    bot = evolve(
        bot,
        assistant=evolve(bot.assistant, manners=manners),
        delivery=delivery,
        limits=limits,
        llm=evolve(bot.llm, concurrency=plan.calls or bot.llm.concurrency),
    )
    return evolve(config, bots=(bot,))
