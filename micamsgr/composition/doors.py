"""
Endpoints at which the daemon listens, and how they change while it runs.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, frozen
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IProtocolFactory

from micamsgr.config.values import Config
from micamsgr.messenger.seldom import Seldom
from micamsgr.sandbox.addresses import address
from micamsgr.services import CannotStart, InTurn, Listener

_INTERFACE = re.compile(r":interface=((?:\\:|[^:])*)")
_EVERYWHERE = ("", "0.0.0.0", r"\:\:")


def _overlap(one: str, other: str) -> bool:
    """
    Say whether two endpoints at the same port can be in each other's way.
    """
    hosts = [_INTERFACE.search(it) for it in (one, other)]
    everywhere = [host is None or host[1] in _EVERYWHERE for host in hosts]
    return any(everywhere) or address(one) == address(other)


@frozen
class Door:
    """
    An endpoint where clients may come in.

    :ivar place: where the configuration names it, for errors.
    :ivar secure: whether TLS is spoken there.
    """

    endpoint: str
    place: str
    secure: bool


class Doors(InTurn):
    """
    Listeners at the endpoints that a configuration names for something.

    A change takes two steps: one that may fail and then has changed nothing,
    and one that can't fail.  Connections that are open live on through both.
    """

    def __init__(
        self,
        reactor: Any,
        due: Seldom,
        doors: Callable[[Config], Sequence[Door]],
        factories: Mapping[bool, IProtocolFactory],
        kind: type[Listener] = Listener,
    ) -> None:
        """
        :param doors: lists where a configuration wants somebody to listen.
        :param factories: who serves, without TLS and with it.
        :param kind: what listens.
        """
        super().__init__()
        self._reactor = reactor
        self._due = due
        self._doors = doors
        self._factories = factories
        self._kind = kind
        self._open: dict[str, tuple[Door, Listener]] = {}

    def prepare(self, config: Config) -> list[str]:
        """
        Listen wherever else a configuration wants it.

        :return: the endpoints that are new.

        :raises CannotStart: where nobody can listen at one of the endpoints.
        """
        new: list[str] = []
        try:
            for door in self._doors(config):
                if door.endpoint not in self._open:
                    self._add(door)
                    new.append(door.endpoint)
        except CannotStart as error:
            self.withdraw(new)
            ours = self._ours(door.endpoint)
            if ours is None or os.strerror(errno.EADDRINUSE) not in str(error):
                raise
            raise CannotStart(
                f"{error}. It may be this daemon itself, which listens there as"
                f" {ours}: what a port that it has is like takes a restart to change"
            ) from error
        return new

    def _ours(self, endpoint: str) -> str | None:
        """
        Find what we listen on, otherwise described, at an endpoint's TCP port.
        """
        wanted = address(endpoint)
        for known in self._open:
            at = address(known)
            if wanted and at and wanted[1] == at[1] and _overlap(endpoint, known):
                return known
        return None

    def withdraw(self, new: Sequence[str]) -> None:
        """
        Take back what :meth:`prepare` did.

        :param new: what it returned.
        """
        for endpoint in new:
            self._close(endpoint)

    def commit(self, config: Config) -> list[str]:
        """
        Follow a configuration that :meth:`prepare` accepted.

        :return: the endpoints at which nobody listens any more.
        """
        wanted = {door.endpoint: door for door in self._doors(config)}
        old = [endpoint for endpoint in self._open if endpoint not in wanted]
        for endpoint in old:
            self._close(endpoint)
        for endpoint, (door, listener) in list(self._open.items()):
            if wanted[endpoint].secure != door.secure:
                listener.serve(self._factories[wanted[endpoint].secure])
            self._open[endpoint] = wanted[endpoint], listener
        return old

    def _add(self, door: Door) -> None:
        listener = self._kind(
            self._reactor,
            door.endpoint,
            door.place,
            self._factories[door.secure],
            due=self._due.count,
        )
        try:
            listener.setServiceParent(self)
        except CannotStart:
            self.services.remove(listener)
            raise
        self._open[door.endpoint] = door, listener

    def _close(self, endpoint: str) -> None:
        _, listener = self._open.pop(endpoint)
        maybeDeferred(listener.disownServiceParent)


@define(eq=False)
class AllDoors:
    """
    Several :class:`Doors`, which change together or not at all.
    """

    _each: Sequence[Doors]

    def prepare(self, config: Config) -> list[str]:
        """
        See :meth:`Doors.prepare`.
        """
        done: list[tuple[Doors, list[str]]] = []
        try:
            for doors in self._each:
                done.append((doors, doors.prepare(config)))
        except Exception:
            for doors, new in done:
                doors.withdraw(new)
            raise
        return [endpoint for _, new in done for endpoint in new]

    def commit(self, config: Config) -> list[str]:
        """
        See :meth:`Doors.commit`.
        """
        return [old for doors in self._each for old in doors.commit(config)]
