"""
What Meta signs when it calls about a person: parsing and checking it.

Source: docs/messenger-platform.md, section 11.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import urlsafe_b64decode
from urllib.parse import parse_qsl

from attrs import field, frozen

from micamsgr.errors import RejectedRequest

from .bounded_json import read_json

LARGEST = 16 * 1024
"""How many bytes a signed request may have; Meta's have some hundred."""

LARGEST_FORM = 4 * LARGEST
"""How many bytes the form around it may have, which may escape any of them."""

# Fields of a form.
_MOST_FIELDS = 16

_ALGORITHM = "HMAC-SHA256"

# Without the padding, by rights; some implementations write it.
_SEGMENT = re.compile(rb"([A-Za-z0-9_-]+)={0,2}")

_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@frozen(kw_only=True)
class SignedRequest:
    """
    An authentic one.

    :ivar user: whom it is about, by an ID that only this app and Facebook
        know; ``None`` where it is about nobody.
    :ivar page: the Page that it is about, if it is about one.
    :ivar issued: tells one of the same person from another; the time, usually.
    """

    user: str | None = field(default=None, repr=False)
    page: str | None = None
    issued: str = ""


def form_field(body: bytes, name: bytes) -> bytes:
    """
    Read the one field of that name from a form as browsers write it
    (``application/x-www-form-urlencoded``).

    :raises RejectedRequest: with status 413 where the form is too large, 400
        where there is none such, or several.
    """
    if len(body) > LARGEST_FORM:
        raise RejectedRequest(413, "a form that is too large")
    try:
        fields = parse_qsl(body, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise RejectedRequest(400, "a form of too many fields") from None
    found = [value for key, value in fields if key == name]
    if len(found) != 1:
        raise RejectedRequest(400, "no signed_request")
    return found[0]


def check_signed_request(secret: bytes, text: bytes) -> SignedRequest:
    """
    Read a signed request, if it was signed with the app's secret.

    Of what it holds nothing is looked at before that is known.  When it says
    that it expires is not: that is said of a token that may come with it.

    :raises RejectedRequest: with status 400 where it is none, or holds what
        can't be understood; 403 where it is not authentic, or says to be signed
        in another way.
    """
    if len(text) > LARGEST:
        raise RejectedRequest(400, "a signed_request that is too large")
    signature, dot, payload = text.partition(b".")
    claimed, content = _decode(signature), _decode(payload)
    if not dot or claimed is None or content is None:
        raise RejectedRequest(400, "a signed_request that is none")
    digest = hmac.new(secret, payload, hashlib.sha256).digest()
    if not hmac.compare_digest(digest, claimed):
        raise RejectedRequest(403, "signature does not match")
    document = read_json(content)
    if not isinstance(document, dict):
        raise RejectedRequest(400, "a signed_request that is no object")
    algorithm = document.get("algorithm")
    if not isinstance(algorithm, str) or algorithm.upper() != _ALGORITHM:
        raise RejectedRequest(403, "a signed_request of another algorithm")
    return SignedRequest(
        user=_id(document.get("user_id")),
        page=_id(document.get("profile_id")),
        issued=_time(document.get("issued_at")),
    )


def _decode(segment: bytes) -> bytes | None:
    found = _SEGMENT.fullmatch(segment)
    if found is None:
        return None
    try:
        return urlsafe_b64decode(found[1] + b"=" * (-len(found[1]) % 4))
    except binascii.Error:
        return None


def _id(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value in (None, "", "0"):
        return None
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise RejectedRequest(400, "a signed_request of an ID that is none")
    return value


def _time(value: object) -> str:
    """
    Write a time in one way, however it was written; what is none, too.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise RejectedRequest(400, "a signed_request of a time that is none")
    return str(value)
