"""
The store's disk and the ports of this machine.

Nothing here waits.
"""

from __future__ import annotations

import errno
import stat
from enum import Enum

from attrs import frozen

from micamsgr.services import why_not
from micamsgr.store.look import NEWEST, Look

from .findings import Finding, fine
from .troubles import trouble

_MIB, _GIB = 1 << 20, 1 << 30

# Bytes: the ballast of the store's, and some more; and what a busy Page writes
# in weeks.
_LEAST, _LITTLE = 64 * _MIB, _GIB

# Seconds: from the first on, deliveries are answered 503.
_TOO_SLOW, _SLOW = 3.0, 0.25

_OTHERS = stat.S_IRWXO


def judge_store(path: str, look: Look) -> Finding:
    """
    Say whether what people write can be kept.
    """
    if look.problem:
        return trouble("store.unusable", path, look.problem)
    if look.unwritable:
        return trouble("store.unwritable", path, look.unwritable)
    if look.free is not None and look.free < _LEAST:
        return trouble("store.full", path, f"{_size(look.free)} free")
    if look.sync is not None and look.sync >= _TOO_SLOW:
        return trouble("store.too_slow", path, f"fsync takes {look.sync:.2f} s")
    if look.mode is not None and look.mode & _OTHERS:
        return trouble("store.readable", path, f"mode {look.mode:04o}")
    if look.free is not None and look.free < _LITTLE:
        return trouble("store.filling", path, f"{_size(look.free)} free")
    if look.sync is not None and look.sync > _SLOW:
        return trouble("store.slow", path, f"fsync takes {look.sync:.2f} s")
    told = [_version(look), *(["the daemon has it"] if look.taken else [])]
    if look.free is not None:
        told.append(f"{_size(look.free)} free")
    if look.sync is not None:
        told.append(f"fsync takes {look.sync * 1000:.1f} ms")
    return fine("store", path, ", ".join(told))


def _version(look: Look) -> str:
    if not look.version:
        return "it is made at the first start"
    if look.version < NEWEST:
        return f"version {look.version}, and {NEWEST} from the next start on"
    return f"version {look.version}"


def _size(count: int) -> str:
    if count >= _GIB:
        return f"{count / _GIB:.1f} GiB"
    return f"{count / _MIB:.0f} MiB"


class Holder(Enum):
    """
    Who listens somewhere: our daemon, systemd for it, or nobody of ours.
    """

    OURS = "ours"
    SYSTEMD = "systemd"
    NOBODY = "nobody"


@frozen(kw_only=True)
class Port:
    """
    What was found at an endpoint.

    :ivar error: why nobody can listen there, where that was tried in vain.
    """

    endpoint: str
    holder: Holder
    error: Exception | None = None


def judge_port(port: Port) -> Finding:
    """
    Say whether the daemon can listen at an endpoint, or does.
    """
    about = port.endpoint
    if port.holder is Holder.OURS:
        return fine("ports", about, "the daemon listens there")
    if port.holder is Holder.SYSTEMD:
        return fine("ports", about, "systemd listens there, and hands it over")
    if port.error is None:
        return fine("ports", about, "it is free")
    number = getattr(getattr(port.error, "socketError", port.error), "errno", None)
    why = why_not(port.error, port.endpoint)
    if number == errno.EACCES:
        return trouble("ports.forbidden", about, why)
    if number == errno.EADDRINUSE:
        return trouble("ports.taken", about, why)
    return trouble("ports.impossible", about, why)
