"""
Builds of the daemon that break the protocol, each in one way: what they do to
people must not go unnoticed, or the tests of the whole build prove nothing.

The product has no such switches.  What it is made of is replaced before it
starts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, cast

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater

from micamsgr.assistant import breaker
from micamsgr.conversation import answering, outlet, planner
from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.dispatcher import Dispatcher
from micamsgr.conversation.events import Mid
from micamsgr.conversation.outcomes import (
    Absent,
    Evidence,
    InDoubt,
    NeverSent,
    NoEvidence,
    NotSent,
    Outcome,
)
from micamsgr.conversation.outlet import Outlet
from micamsgr.conversation.pacing import Pressure
from micamsgr.conversation.parts import Part
from micamsgr.conversation.states import PartState
from micamsgr.messenger import notifications, webhook
from micamsgr.messenger.graph import GraphMessenger
from micamsgr.messenger.webhook import Webhook
from micamsgr.store import arrivals, erasure, retention, rows, sqlite, tally, turns
from micamsgr.web.deadlines import Deadline

# For so many seconds a build that has said 200 has not begun to keep it.
_LAZY = 0.05

# And so many are all kept waiting by one doubt.
_STILL = 6.0


def _replace(owner: Any, **what: Any) -> None:
    for name, value in what.items():
        setattr(owner, name, value)


def doubt_is_failure() -> None:
    """
    Take an error, or no answer, for a message that was not sent.
    """
    send = GraphMessenger.send

    async def sent(self: GraphMessenger, *given: Any) -> Outcome:
        outcome = await send(self, *given)
        if isinstance(outcome, InDoubt):
            return NotSent(detail=outcome.detail, rest=0.0)
        return outcome

    _replace(GraphMessenger, send=sent)


def doubt_is_success() -> None:
    """
    Take what is in doubt for said.
    """
    after = lifecycle.after_outcome

    def concluded(part: Part, outcome: Outcome, *more: Any) -> Part:
        if isinstance(outcome, InDoubt):
            return evolve(part, state=PartState.SENT, mid=Mid("m_unknown"))
        return after(part, outcome, *more)

    _replace(lifecycle, after_outcome=concluded)


def crash_is_failure() -> None:
    """
    Take what a dead process left in flight for not sent.
    """
    adopt = lifecycle.adopt

    def adopted(part: Part, *more: Any) -> Part:
        return evolve(adopt(part, *more), state=PartState.COMPOSED)

    _replace(lifecycle, adopt=adopted)


def early_200() -> None:
    """
    Answer 200 first, and then keep what was delivered.
    """
    receive = Webhook.receive

    def received(self: Webhook, *given: Any) -> Deferred[None]:
        clock = cast(Any, self._clock)
        later: Deferred[Any] = deferLater(clock, _LAZY, receive, self, *given)
        later.addErrback(lambda _: None)
        return succeed(None)

    _replace(Webhook, receive=received)


def no_dedup() -> None:
    """
    Take what is delivered again for new.
    """
    insert = arrivals._insert

    def inserted(database: Any, arrival: Any, *more: Any) -> None:
        event = evolve(arrival.event, key=os.urandom(16))
        insert(database, evolve(arrival, event=event), *more)

    _replace(arrivals, _insert=inserted)
    _replace(arrivals, _known=lambda *_: False)


def one_look() -> None:
    """
    Believe the first look-up that finds nothing.
    """
    after = lifecycle.after_look_up

    def concluded(part: Part, evidence: Evidence, now: Any, delivery: Any) -> Part:
        if isinstance(evidence, Absent):
            part = evolve(part, looked=now.tick)
        return after(part, evidence, now, delivery)

    _replace(lifecycle, after_look_up=concluded)


def blind_resend() -> None:
    """
    Send again, whatever the operator wished, where no evidence can be had.
    """
    after = lifecycle.after_look_up

    def concluded(part: Part, evidence: Evidence, *more: Any) -> Part:
        if isinstance(evidence, NoEvidence):
            return evolve(part, state=PartState.COMPOSED, looked=None, rest=None)
        return after(part, evidence, *more)

    _replace(lifecycle, after_look_up=concluded)


def blind_drop() -> None:
    """
    Give up, whatever the operator wished, where no evidence can be had.
    """
    after = lifecycle.after_look_up

    def concluded(part: Part, evidence: Evidence, *more: Any) -> Part:
        if isinstance(evidence, NoEvidence):
            return evolve(part, state=PartState.DEAD, reason="unresolved", rest=None)
        return after(part, evidence, *more)

    _replace(lifecycle, after_look_up=concluded)


def doubt_stops_all() -> None:
    """
    Let the whole Page wait while one message is in doubt.
    """
    note = Outlet.note

    def noted(self: Outlet, conversation: int, outcome: Outcome, *more: Any) -> None:
        if isinstance(outcome, InDoubt):
            now = self._ticks()
            self._told["doubt"] = outlet._Told(
                Pressure(source="doubt", share=1.0, rest=_STILL, detail="doubt"),
                now + _STILL,
                now + _STILL,
            )
        note(self, conversation, outcome, *more)

    _replace(Outlet, note=noted)


def no_pause() -> None:
    """
    Take a refused token, or a Graph API out of reach, for trouble of each
    message's own.
    """
    note = Outlet.note

    def noted(self: Outlet, conversation: int, outcome: Outcome, *more: Any) -> None:
        if isinstance(outcome, NotSent):
            outcome = evolve(outcome, pause=False, away=False)
        note(self, conversation, outcome, *more)

    _replace(Outlet, note=noted)


def token_is_refusal() -> None:
    """
    Give up messages that are refused for the token's sake.
    """
    send = GraphMessenger.send

    async def sent(self: GraphMessenger, *given: Any) -> Outcome:
        outcome = await send(self, *given)
        if isinstance(outcome, NotSent) and outcome.pause:
            return NeverSent("token", outcome.detail)
        return outcome

    _replace(GraphMessenger, send=sent)


def herd() -> None:
    """
    Ask a language model that fails again and again, by all who wait for it.
    """
    _replace(breaker, most_at_once=lambda *_: None)
    _replace(planner, after_failure=lambda *_: 0.05)
    _replace(answering, after_failure=lambda *_: 0.05)


def eager() -> None:
    """
    Ask the language model twice, and take its second answer.
    """
    ask = answering.Answerer._ask

    async def asked(
        self: Any, begun: Any, now: Any, answered: Callable[[], None]
    ) -> Any:
        await ask(self, begun, now, lambda: None)
        return await ask(self, begun, now, answered)

    _replace(answering.Answerer, _ask=asked)


def no_deadlines() -> None:
    """
    Wait for clients for ever.
    """
    _replace(Deadline, set=lambda self, seconds, late: self.lift())


def stumbling() -> None:
    """
    Trust that what is signed is what one expects.
    """
    parse = notifications.parse_notification

    def parsed(body: bytes, *more: Any) -> Any:
        for entry in json.loads(body)["entry"]:
            for item in entry.get("messaging", ()):
                item["sender"]["id"].encode()
        return parse(body, *more)

    _replace(webhook, parse_notification=parsed)


def no_indexes() -> None:
    """
    Look for what is open among all that was ever done.
    """
    for module in (arrivals, erasure, retention, rows, sqlite, tally, turns):
        for name in ("OPEN_EVENT", "OPEN_TURN", "OPEN_PART"):
            if hasattr(module, name):
                # Of what is computed from a column, no index serves.
                computed = getattr(module, name).replace("state =", "state || '' =")
                _replace(module, **{name: computed})


def no_drain() -> None:
    """
    Stop without waiting for what is in flight, and take it for not sent.
    """
    check = Dispatcher.stopService

    def stopped(self: Dispatcher) -> Deferred[None]:
        self._drain = 0.0
        return check(self)

    _replace(Dispatcher, stopService=stopped)
    doubt_is_failure()
    crash_is_failure()


def endless_drain() -> None:
    """
    Wait for what is in flight, however long that takes.
    """
    _replace(Dispatcher, _cut_off=lambda self: None)


def leaking() -> None:
    """
    Keep 4 KiB of each delivery for ever.
    """
    receive, kept = Webhook.receive, list[bytes]()

    def received(self: Webhook, *given: Any) -> Deferred[None]:
        kept.append(os.urandom(4096))
        return receive(self, *given)

    _replace(Webhook, receive=received)


BUILDS: dict[str, Callable[[], None]] = {
    build.__name__: build
    for build in (
        doubt_is_failure,
        doubt_is_success,
        crash_is_failure,
        early_200,
        no_dedup,
        one_look,
        blind_resend,
        doubt_stops_all,
        no_pause,
        token_is_refusal,
        blind_drop,
        herd,
        eager,
        no_deadlines,
        stumbling,
        no_indexes,
        no_drain,
        endless_drain,
        leaking,
    )
}
