"""
What Meta delivers, made up; and whom it is about.
"""

from __future__ import annotations

import os

from micamsgr.conversation.events import (
    BotName,
    Echo,
    Mid,
    PageId,
    Psid,
    Said,
)

from .clocks import NOW

BOT = BotName("mica")
PAGE = PageId("108463527190842")
ALICE = Psid("6284913775102846")
BOB = Psid("7391046258813370")
CAROL = Psid("8120375946620415")


#: The app as which a human in the Page's inbox sends.
INBOX = "263902037430900"


def said(
    text: str = "hi",
    psid: Psid = ALICE,
    *,
    at: int = NOW,
    kind: str = "message",
    page: PageId = PAGE,
    standby: bool = False,
) -> Said:
    """
    Make the event that a person said something; a new one each time.
    """
    key = os.urandom(16)
    return Said(
        key=key,
        page=page,
        psid=psid,
        at=at,
        kind=kind,
        mid=Mid(f"m_{key.hex()}"),
        text=text,
        standby=standby,
    )


def echo(
    text: str = "I'll take over",
    psid: Psid = ALICE,
    *,
    mid: Mid | None = None,
    metadata: str | None = None,
    app_id: str | None = INBOX,
    at: int = NOW,
    page: PageId = PAGE,
) -> Echo:
    """
    Make the event that the Page said something new, by default a human's words.
    """
    key = os.urandom(16)
    return Echo(
        key=key,
        page=page,
        psid=psid,
        at=at,
        mid=mid or Mid(f"m_{key.hex()}"),
        text=text,
        metadata=metadata,
        app_id=app_id,
    )
