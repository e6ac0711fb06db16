"""
Sockets that listen already, and that systemd hands over.

Source: sd_listen_fds(3).
"""

from __future__ import annotations

import os
import socket

from twisted.internet.endpoints import AdoptedStreamServerEndpoint


class NoListener(Exception):
    """
    What was handed over can't be listened on; the text says why.
    """


def keep(endpoint: AdoptedStreamServerEndpoint) -> None:
    """
    Let an endpoint listen on a copy of the socket that was handed over, so that
    it can be listened on again, after a reload has taken it away and another one
    brings it back.  Without it the number could be another file's by then.

    It becomes of the socket's own family, whatever the configuration says:
    systemd's are of IPv6 where they serve both.

    :raises NoListener: where no client can be accepted there.
    """
    os.set_inheritable(endpoint.fileno, False)
    with socket.socket(fileno=os.dup(endpoint.fileno)) as copy:
        stream = copy.type == socket.SOCK_STREAM
        if not stream or not copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise NoListener(
                "what systemd hands over is no socket that listens; its unit needs"
                " ListenStream=, and not Accept=yes"
            )
        endpoint.addressFamily = copy.family
        endpoint.fileno = copy.detach()
