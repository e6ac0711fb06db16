"""
What Meta delivered, as values.

Times are milliseconds since the epoch by Meta's clock.  Every event has a
*key*: 16 bytes that are the same whenever the same event is delivered again.
"""

from __future__ import annotations

from typing import NewType

from attrs import field, frozen

BotName = NewType("BotName", str)
PageId = NewType("PageId", str)
Psid = NewType("Psid", str)
Mid = NewType("Mid", str)


@frozen
class Conversation:
    """
    One person's thread with one Page, as one bot answers it.
    """

    bot: BotName
    page: PageId
    psid: Psid


@frozen(kw_only=True)
class Said:
    """
    A person said something that wants an answer.

    :ivar kind: ``message``, ``quick_reply`` or ``postback``.
    :ivar mid: Meta's ID; older postbacks have none.
    :ivar text: in the person's words, or in ours where there are none, as for
        a picture; never empty.
    :ivar standby: another app owns the thread; never answered.
    """

    key: bytes
    page: PageId
    psid: Psid
    at: int
    kind: str
    mid: Mid | None
    text: str = field(repr=False)
    standby: bool = False


@frozen(kw_only=True)
class Echo:
    """
    The Page said something: this program, another app, or a human.

    :ivar text: empty where only attachments were sent.
    :ivar metadata: what the sender gave the Send API, if anything.
    :ivar app_id: the app that sent it, where Meta says; it may be missing on
        our own.
    """

    key: bytes
    page: PageId
    psid: Psid
    at: int
    mid: Mid
    text: str = field(repr=False)
    metadata: str | None = None
    app_id: str | None = None


@frozen(kw_only=True)
class Other:
    """
    Something that is counted and needs no answer.

    :ivar kind: ``read``, ``delivery``, ``reaction``, … or ``unknown``.
    :ivar psid: absent where the event concerns no one person.
    """

    key: bytes
    page: PageId
    at: int
    kind: str
    psid: Psid | None = None


@frozen(kw_only=True)
class Control(Other):
    """
    The thread has, or is to have, another owner among the Page's apps.

    :ivar kind: ``pass_thread_control`` or ``take_thread_control``; or
        ``request_thread_control``, where it is only asked for.
    :ivar owner: the app ID of that owner, where Meta says.
    """

    owner: str | None = None


@frozen(kw_only=True)
class Unreadable:
    """
    An item that is not of any shape known here.

    :ivar page: empty where even that could not be read.
    :ivar raw: the item as JSON, at most 64 KiB of it.
    :ivar why: the kind of trouble, for the log.
    """

    key: bytes
    page: PageId
    at: int
    raw: bytes = field(repr=False)
    why: str


Event = Said | Echo | Other | Unreadable
