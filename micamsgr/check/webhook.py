"""
What our webhook answers to what Meta would ask.

Nothing here waits.

Source: docs/messenger-platform.md, sections 1 and 2.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlencode

from attrs import frozen

from micamsgr.httpcall import Answer

from .findings import Finding, fine
from .subscribed import shown_url
from .troubles import trouble

#: A delivery in which nothing is delivered.
EMPTY = b'{"object":"page","entry":[]}'

_SLOW = 2.0  # seconds

# Words in what a failed connection is told as, that tell of TLS.
_TLS = ("certificate", "SSL", "Mismatch", "VerificationError")


@frozen(kw_only=True)
class Reply:
    """
    What came of a request.

    :ivar answer: ``None`` where none came.
    :ivar failure: why not.
    :ivar connected: whether it may have arrived; where not, nobody was there
        to be trusted.
    """

    answer: Answer | None
    failure: str = ""
    connected: bool = True
    seconds: float = 0.0

    @property
    def status(self) -> int | None:
        """Of HTTP."""
        return None if self.answer is None else self.answer.status

    @property
    def shown(self) -> str:
        """Say what came, and nothing of what it holds."""
        if self.answer is None:
            return f"no answer: {self.failure}"
        return f"answered {self.answer.status}"


def signature(secret: str, body: bytes) -> str:
    """
    Sign a delivery as Meta does.
    """
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verification(url: str, verify_token: str, challenge: str) -> str:
    """
    Make the URL by which Meta asks whether a webhook is the app's.
    """
    asked = {
        "hub.mode": "subscribe",
        "hub.challenge": challenge,
        "hub.verify_token": verify_token,
    }
    return f"{url}?{urlencode(asked)}"


def is_ours(signed: Reply, unsigned: Reply) -> bool:
    """
    Tell our daemon from another server: it knows the app secret, and nothing
    that is secret was said to it.
    """
    return signed.status == 200 and unsigned.status == 403


def judge_reach(
    bot: str, url: str, reply: Reply, stand_in: bool, *, modern: bool = False
) -> Finding:
    """
    Say whether the public URL is reached as Meta would reach it.

    :param reply: what came of the first request.
    :param stand_in: whether ``facebook.graph_url`` is on this machine, so that
        a stand-in calls, which needs no TLS.
    :param modern: whether the daemon speaks only TLS 1.3, as far as it is the
        daemon that does TLS.
    """
    shown = shown_url(url)
    secure = url.lower().startswith("https:")
    if not secure and not stand_in:
        return trouble("webhook.plain", bot, shown)
    if reply.answer is not None:
        how = "by TLS that this machine trusts" if secure else "without TLS"
        if secure and modern:
            how += "; with tls.modern it is 1.3, which Meta doesn't say that it speaks"
        return fine("webhook", bot, f"{shown} answers, {how}")
    trusted = not any(word in reply.failure for word in _TLS)
    if secure and not reply.connected and not trusted:
        return trouble("webhook.untrusted", bot, f"{shown}: {reply.failure}")
    return trouble("webhook.unreachable", bot, f"{shown}: {reply.failure}")


def judge_verification(bot: str, reply: Reply, challenge: str) -> Finding:
    """
    Say whether Meta's verification would succeed.
    """
    if reply.status == 403:
        return trouble("webhook_verification.refused", bot, reply.shown)
    if reply.answer is None or reply.status != 200:
        return trouble("webhook_verification.wrong", bot, reply.shown)
    if reply.answer.body != challenge.encode("ascii"):
        line = "answered 200, and not with the challenge alone"
        return trouble("webhook_verification.wrong", bot, line)
    return fine("webhook_verification", bot, "answered with the challenge")


def judge_signed(bot: str, reply: Reply) -> Finding:
    """
    Say whether a delivery of Meta's would be taken.
    """
    if reply.status == 403:
        return trouble("webhook_signed.refused", bot, reply.shown)
    if reply.status != 200:
        return trouble("webhook_signed.wrong", bot, reply.shown)
    line = f"answered 200 in {reply.seconds:.2f} s"
    if reply.seconds > _SLOW:
        return trouble("webhook_signed.slow", bot, line)
    return fine("webhook_signed", bot, line)


def judge_unsigned(bot: str, reply: Reply) -> Finding:
    """
    Say whether somebody else's delivery would be refused.
    """
    if reply.status == 403:
        return fine("webhook_unsigned", bot, "refused with 403")
    if reply.status is not None and 200 <= reply.status < 300:
        return trouble("webhook_unsigned.accepted", bot, reply.shown)
    return trouble("webhook_unsigned.wrong", bot, reply.shown)


def unasked(bot: str) -> list[Finding]:
    """
    Tell what could not be asked, as nobody was there.
    """
    return [
        trouble(f"webhook_{what}.unasked", bot, "not asked")
        for what in ("verification", "signed", "unsigned")
    ]
