"""
Bodies that nobody would look at, known by the heads of their requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable
from urllib.parse import unquote_to_bytes

from twisted.web.resource import Resource

Methods = Mapping[bytes, bool]
"""The methods that there are, and whether a request of each may have a body."""


@runtime_checkable
class Choosy(Protocol):
    """A resource that says what it is for."""

    def accepts(self, rest: Sequence[bytes]) -> Methods:
        """
        Tell which methods there are.

        :param rest: of the path, what is beyond this resource.

        :return: nothing, where there is nothing.
        """


def methods_at(root: Resource, path: bytes) -> Methods | None:
    """
    Find which methods there are at a path.

    :param root: only what was put there beforehand is looked at, and nothing
        is made for this request.
    :param path: as on the request's first line.

    :return: ``None`` where it can't be told before the request is whole.
    """
    rest = path.partition(b"?")[0][1:].split(b"/")
    if b"%" in path:
        rest = list(map(unquote_to_bytes, rest))
    found, depth = root, 0
    while depth < len(rest) and not found.isLeaf:
        child = found.getStaticEntity(rest[depth])
        if child is None:
            break
        found, depth = child, depth + 1
    accepts = getattr(found, "accepts", None)
    return None if accepts is None else accepts(rest[depth:])


def body_refusal(methods: Methods | None, method: bytes) -> int | None:
    """
    Decide whether a request with a body is refused before the body comes.

    :param methods: those that there are.

    :return: with which status: 404 where there is nothing, 405 where there is
        no such method, 413 where it takes no body; ``None``: it is not.
    """
    if methods is None:
        return None
    if not methods:
        return 404
    if method not in methods:
        return 405
    return None if methods[method] else 413
