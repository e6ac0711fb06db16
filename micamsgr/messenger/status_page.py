"""
The page on which people see what came of their request to be erased.
"""

from __future__ import annotations

import hashlib
import math
from base64 import b64encode
from datetime import datetime, timezone

from attrs import frozen

from micamsgr.conversation.deletion import Deletion, Progress

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1.1em/1.5 sans-serif;max-width:38em;margin:2em auto;padding:0 1em}"
    "code{font-size:1.1em;overflow-wrap:anywhere}"
)

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'sha256-"
        + b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
        + "'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

#: Those that belong to the page: its address is the key to it, and nobody's
#: business.
HEADERS = (
    ("Content-Security-Policy", _POLICY),
    ("Referrer-Policy", "no-referrer"),
    ("X-Robots-Tag", "noindex"),
)


@frozen(kw_only=True)
class Kept:
    """
    For how many seconds things are kept of those who don't ask.

    :ivar texts: what was said.
    :ivar ledger: what was done, and for whom.
    """

    texts: float
    ledger: float


_FRAME = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<p>Confirmation code: <code>{code}</code><br>
Asked for: {asked}</p>
{body}
</body>
</html>
"""

_UNDER_WAY = """\
<p>It is known which conversation is yours, and it is being erased now. Look
again in a minute.</p>"""

_ERASED = """\
<p>Erased: {done}</p>
<p>What you wrote to the Page and what the bot answered is erased from the bot's
store, and so is who you are. That a message came and was answered is still
counted, without the words and without your name; and a mark is kept by which
what you wrote before is not taken in again, but from which nobody can read who
you are.</p>
<p>What you write to the Page from now on is answered, and kept, as
anybody's. To have that erased too, send the code to the Page once more.</p>"""

_UNKNOWN = """\
<p>Your request is kept. Nothing is erased yet, for this reason: Facebook names
you to this app by another number than Messenger does, and does not say which
conversation with the Page is yours. Under the number that it sent, nothing is
kept.</p>
<p><strong>If you have written to the Page in Messenger,</strong> send it this
code as a message, from the account with which you wrote, and nothing else in
that message:</p>
<p><code>{code}</code></p>
<p>Then all that is kept of your conversation is erased within a minute, and this
page says so. The bot does not answer that message.</p>
<p>If you never wrote to the Page, nothing is kept of you, and there is nothing
to do.</p>"""

_ANYWAY = """\
<p>Of everybody, what was said is erased after {texts}, and that they wrote at all
after {ledger}, without being asked.</p>
<p>What Facebook itself keeps is not touched by this: your copy of the
conversation is in Messenger until you delete it there.</p>"""

_TITLES = {
    Progress.UNKNOWN: "To have your messages erased, one step is left",
    Progress.UNDER_WAY: "Your messages are being erased",
    Progress.ERASED: "Your messages are erased",
}
_TEXTS = {
    Progress.UNKNOWN: _UNKNOWN,
    Progress.UNDER_WAY: _UNDER_WAY,
    Progress.ERASED: _ERASED,
}


def status_page(code: str, deletion: Deletion, kept: Kept) -> bytes:
    """
    Write the page, in HTML.

    :param code: of letters and digits only.
    """
    text = _TEXTS[deletion.progress]
    done = deletion.asked if deletion.done is None else deletion.done
    words = {
        "code": code,
        "done": _moment(done),
        "texts": _span(kept.texts),
        "ledger": _span(kept.ledger),
    }
    body = "\n".join(part.format(**words) for part in (text, _ANYWAY))
    page = _FRAME.format(
        title=_TITLES[deletion.progress],
        style=_STYLE,
        code=code,
        asked=_moment(deletion.asked),
        body=body,
    )
    return page.encode()


def _moment(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds // 1000, timezone.utc)
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _span(seconds: float) -> str:
    days = seconds / 86400
    if days >= 2:
        return f"{math.ceil(days)} days"
    hours = max(1, math.ceil(seconds / 3600))
    return "1 hour" if hours == 1 else f"{hours} hours"
