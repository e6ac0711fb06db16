"""
TCP ports on loopback that nobody else takes before they are listened on.
"""

from __future__ import annotations

import os
import socket
from itertools import count

# Below those that the system gives to connections, of which a test makes many;
# and a share of them for each process that tests at the same time.
_FIRST, _SHARES, _EACH = 10_000, 22, 1_000

_numbers = count()


def free_port() -> int:
    """
    Find a TCP port on loopback that nothing listens on, and that this process
    has not found before, or long ago.
    """
    first = _FIRST + os.getpid() % _SHARES * _EACH
    for _ in range(_EACH):
        port = first + next(_numbers) % _EACH
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no port is free from {first} on")
