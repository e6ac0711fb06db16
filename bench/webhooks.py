"""
Deliveries as Meta writes and signs them, ready to be sent.

Source: docs/messenger-platform.md, sections 2.1 to 2.3.
"""

from __future__ import annotations

import hmac
import json
import re
import time

PAGE = "108463527190842"
SECRET = "3f1d9c0b7a6e4825b1c0d9e8f7a6b5c4"
PATH = "/v1/facebook/webhook/mica"

# As many characters as in Meta's own.
_MID = "m_Zk3TqYc8h1Rr0WmXv5uJpQ7sLd2nEbGf9aKiOoCyHx-TtNwMzVlBSe4PU6jDgI0qAaRrFhX{:012}"

_FIRST_PERSON = 6_284_910_000_000_000

TEXT = "Hi, are you open on Sunday?"

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def person(number: int) -> str:
    """
    Give the page-scoped ID of a person.
    """
    return str(_FIRST_PERSON + number)


def sender(number: int, among: int = 0) -> str:
    """
    Name who writes a message; each number makes another person.

    :param among: so many people, from number 1 on, write in turn instead.
    """
    return person(number % among + 1 if among else number)


def delivery(number: int, among: int = 0) -> bytes:
    """
    Make the request that brings a message; each number makes another message.

    :param among: as for :func:`sender`.
    """
    now = int(time.time() * 1000)
    message = {
        "sender": {"id": sender(number, among)},
        "recipient": {"id": PAGE},
        "timestamp": now,
        "message": {"mid": _MID.format(number), "text": TEXT},
    }
    entry = {"time": now, "id": PAGE, "messaging": [message]}
    document = {"object": "page", "entry": [entry]}
    body = json.dumps(document, separators=(",", ":")).encode()
    signature = hmac.digest(SECRET.encode(), body, "sha256").hex()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n"
        "User-Agent: facebookexternalua\r\nContent-Type: application/json\r\n"
        f"X-Hub-Signature-256: sha256={signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def whole(received: bytes) -> int:
    """
    Tell how many bytes the request or answer takes up that comes first.

    :return: 0 while it is not all there.
    """
    head = received.find(b"\r\n\r\n")
    if head < 0:
        return 0
    length = _LENGTH.search(received, 0, head)
    size = head + 4 + (int(length[1]) if length else 0)
    return size if size <= len(received) else 0
