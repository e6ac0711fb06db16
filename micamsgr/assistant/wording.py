"""
What a person reads of what an LLM wrote.  Nothing here waits.
"""

from __future__ import annotations

import re

_LONGEST = 20_000

# A control character but newline and tab, a mark, override or isolate of the
# direction of writing, a lone surrogate.
_UNWANTED = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
    "\ud800-\udfff]"
)
# White space, what Unicode calls Default_Ignorable_Code_Point, and the braille
# pattern without a dot.
_INVISIBLE = re.compile(
    "[\\s\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]*"
)
# Never closed where it took all the tokens there were.
_REASONING = re.compile(r"\A(?:\s*<think>.*?(?:</think>|\Z))+", re.DOTALL)
# A dot behind a line's first number does not end a sentence but begins an item.
_SENTENCE_END = re.compile(
    r"""(?:(?<!^\d)(?<!^\d\d)[.]|[!?…])["'”’»)\]]*(?=\s|\Z)|[。！？]["'”’」』）]*|\n""",
    re.MULTILINE,
)


def presentable(content: str, cut: bool) -> str:
    """
    Make *content* fit for a person to read.

    The text is stripped, is free of reasoning, of control characters but
    newline and tab, and of what sets the direction of writing, and has at most
    20,000 characters.  If it was cut short, there or by the LLM, it ends with an
    ellipsis, after the last whole sentence where that keeps half of it.

    :param cut: the LLM was stopped before its end.

    :return: nothing where the person would see nothing.
    """
    text = _without_reasoning(_UNWANTED.sub("", content)).strip()
    if len(text) > _LONGEST:
        text, cut = text[: _LONGEST - len(" …")], True
    if _INVISIBLE.fullmatch(text):
        return ""
    if not cut:
        return text
    whole = len(text)
    for match in _SENTENCE_END.finditer(text, len(text) // 2):
        whole = match.end()
    return text[:whole].rstrip() + " …"


def _without_reasoning(text: str) -> str:
    # Some chat templates open the block, so that only its end is in the text.
    reasoning, closed, rest = text.partition("</think>")
    if closed and "<think>" not in reasoning and rest.lstrip(" \t").startswith("\n"):
        return rest
    return _REASONING.sub("", text)
