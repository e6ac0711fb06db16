"""
Whether the daemon answers where Meta will call it.
"""

from __future__ import annotations

from attrs import frozen

from micamsgr.check.knocking import Knocker
from micamsgr.check.webhook import Reply, is_ours, judge_reach

#: Seconds between two looks.
PAUSE = 2.0


@frozen(kw_only=True)
class Knock:
    """
    What came of knocking once.

    :ivar verified: ``None``: that was not tried.
    """

    signed: Reply
    unsigned: Reply | None = None
    verified: Reply | None = None
    challenge: str = ""


async def knock(
    knocker: Knocker, url: str, secret: str, verify_token: str, challenge: str
) -> Knock:
    """
    Ask as Meta would; the verification token is said only to whoever knows
    the app secret.
    """
    signed = await knocker.deliver(url, secret)
    if signed.status != 200:
        return Knock(signed=signed)
    unsigned = await knocker.deliver(url, None)
    if not is_ours(signed, unsigned):
        return Knock(signed=signed, unsigned=unsigned)
    verified = await knocker.verify(url, verify_token, challenge)
    return Knock(
        signed=signed, unsigned=unsigned, verified=verified, challenge=challenge
    )


def why_not(url: str, knocked: Knock) -> str:
    """
    Say why the daemon is not there, or not with this configuration; nothing
    where it is.
    """
    signed, verified = knocked.signed, knocked.verified
    if signed.answer is None:
        found = judge_reach("", url, signed, True)
        if found.name == "webhook.untrusted":
            return f"the certificate is not trusted ({signed.failure})"
        return f"nobody answers yet ({signed.failure})"
    if signed.status == 403:
        return (
            "somebody answers, and does not know this app secret: if it is the"
            " daemon, let it load the configuration anew"
        )
    if signed.status == 404:
        return (
            "somebody answers, and knows no such webhook (404): if it is the"
            " daemon, let it load the configuration anew"
        )
    if signed.status in (502, 503, 504):
        return f"a server answers {signed.status}; the daemon behind it does not"
    if signed.status != 200:
        return f"a server answers {signed.status}, and is not the daemon"
    if verified is None:
        return "a server answers 200 to whoever calls it, and is not the daemon"
    if verified.status != 200:
        return (
            "the daemon answers, and does not know this verification token: let it"
            " load the configuration anew"
        )
    answer = verified.answer
    if answer is None or answer.body != knocked.challenge.encode("ascii"):
        return "what answers does not give the challenge back"
    return ""
