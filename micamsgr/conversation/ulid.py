"""
IDs that sort by time and never come again, not even after the database was
restored from an older copy.
"""

from __future__ import annotations

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

# Two characters at a time take half as long.
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)


def ulid(milliseconds: int, entropy: bytes) -> str:
    """
    Spell a ULID: 26 characters of Crockford's base 32.

    :param milliseconds: since the epoch; 48 bits are kept.
    :param entropy: ten random bytes.
    """
    value = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(entropy, "big")
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10)])
