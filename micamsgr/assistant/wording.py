"""
What a person reads of what an LLM wrote.  Nothing here waits.
"""

from __future__ import annotations

import re

from micamsgr.unseen import INVISIBLE, UNWANTED

# UTF-16 code units: as much as ten messages in Messenger hold, which is the most
# that one answer becomes.
_LONGEST = 20_000

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
    20,000 characters, counted in UTF-16 code units.  If it was cut short, there
    or by the LLM, it ends with an ellipsis, after the last whole sentence where
    that keeps half of it.

    :param cut: the LLM was stopped before its end.

    :return: nothing where the person would see nothing.
    """
    text = _without_reasoning(UNWANTED.sub("", content)).strip()
    units = text.encode("utf-16-le")
    if len(units) > _LONGEST * 2:
        units = units[: (_LONGEST - len(" …")) * 2]
        text, cut = units.decode("utf-16-le", "ignore"), True
    if INVISIBLE.fullmatch(text):
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
