"""
Characters that a person doesn't see in a message.
"""

from __future__ import annotations

import re

#: What no answer should hold: a control character but newline and tab; a mark,
#: override or isolate of the direction of writing; a lone surrogate.
UNWANTED = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
    "\ud800-\udfff]"
)

#: Text that shows nothing: white space, what Unicode calls
#: Default_Ignorable_Code_Point, and the braille pattern without a dot.
INVISIBLE = re.compile(
    "[\\s\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]*"
)
