"""
What the Send API takes.

Source: docs/messenger-platform.md, sections 4.1 to 4.4.
"""

from __future__ import annotations

from typing import Any

from micamsgr.sandbox.journal import GraphError

_ACTIONS = ("mark_seen", "typing_on", "typing_off")
_PROOFS = {"access_token", "appsecret_proof"}
_ACTING = {"recipient", "sender_action"} | _PROOFS
_OPTIONS = {"tag", "notification_type", "persona_id", "reply_to", "thread_control"}
_SENDING = {"recipient", "message", "messaging_type"} | _OPTIONS | _PROOFS
_CONTENT = {"text", "attachment", "attachments"}

Document = dict[str, Any]


def check_send(arguments: Document) -> None:
    """
    Refuse what the Send API's reference doesn't allow.

    :raises GraphError: naming the first fault found.

    Source: docs/messenger-platform.md, sections 4.1 to 4.4.
    """
    recipient: Any = arguments.get("recipient")
    message: Any = arguments.get("message")
    acting = "sender_action" in arguments
    check(not (message and acting), "message and sender_action", 2018014)
    _only(arguments, _ACTING if acting else _SENDING, "parameter")
    check(isinstance(recipient, dict), "The parameter recipient is required")
    _only(recipient, {"id"}, "recipient")
    check(_measure(recipient.get("id")) > 0, "The recipient's id is required")
    if acting:
        check(arguments["sender_action"] in _ACTIONS, "Unknown sender_action")
        return
    # The other types are for humans, who need a tag, and for templates.
    check(arguments.get("messaging_type") in ("RESPONSE", "UPDATE"), "messaging_type")
    check("tag" not in arguments, "A tag needs messaging_type MESSAGE_TAG")
    check(isinstance(message, dict), "The parameter message is required")
    _only(message, _CONTENT | {"quick_replies", "metadata"}, "message")
    check(len(_CONTENT & set(message)) == 1, "Invalid data", 2018032)
    length = _measure(message.get("text", "-"))
    check(length > 0, "Empty message", 2018034)
    too_long = "Length of param message[{}] must be less than or equal to {}"
    check(length <= 2000, too_long.format("text", 2000))
    noted = _measure(message.get("metadata", "-"))
    check(0 < noted <= 1000, too_long.format("metadata", 1000))
    replies = message.get("quick_replies", [])
    fine = isinstance(replies, list) and len(replies) <= 13
    check(fine, "quick_replies must be a list of at most 13")


def check(fine: bool, why: str, subcode: int | None = None) -> None:
    """
    Refuse an argument that is not fine.

    :raises GraphError: with code 100.
    """
    if not fine:
        raise GraphError(f"(#100) {why}", subcode=subcode)


def _only(given: Document, known: set[str], where: str) -> None:
    for name in given:
        check(name in known, f"Unknown {where} field: {name}")


def _measure(text: object) -> int:
    """Count UTF-16 code units; 0 for what isn't text."""
    if not isinstance(text, str):
        return 0
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
