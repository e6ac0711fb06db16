"""
The Markdown that LLMs write: CommonMark with tables, less what they don't mean
by it.

Nothing here waits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.parser_block import RuleFuncBlockType
from markdown_it.rules_block import StateBlock, blockquote, hr, list_block
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter
from markdown_it.token import Token

BULLET = "• "

# The parser leaves out what is nested deeper.
_DEEPEST = 20

# What Markdown would take for markup, though nobody means it so: in an
# address or a name, in a path, a formula or a pattern, and a backslash before
# anything that writers of Markdown don't escape.
_LOOKALIKE = re.compile(
    r"""
      (?P<address> (?:https?://|www\.) [^\s<>()\[\]"`|。，、！？]+
        | (?<![\w.+-]) [\w.+-]+ @ [\w.-]+
        | (?<!\w) [@#] \w+ )
    | (?: \b[A-Za-z]: | \\ ) \\ \w [^\s`*|]*
    | \\[(\[] [^\n]{0,300}? \\[)\]]
    | (?<!\w) __\w+__ (?= \( | \.\w )
    | (?<![\w*]) \* (?= \.\w )
    | \\\\ | \\ (?! [*_`\#.+\-|~<>$\n] )
    """,
    re.VERBOSE,
)
# While it is parsed, characters that no text should hold stand for its own.
_SHIELD = {ord("*"): "\ufdd0", ord("_"): "\ufdd1", ord("\\"): "\ufdd2"}
_UNSHIELD = {ord(shield): chr(own) for own, shield in _SHIELD.items()}
_NO_CHARACTER = re.compile("[\ufdd0-\ufdef]")

# Before a number, unless it is an item's, it means "more than".
_QUOTED = re.compile(r">(?:[ \t]+(?![ \t]|\d+(?!\d|[.)][ \t]))|$)")
# A line of low lines is there to write on.
_RULED = re.compile("[^_]")
# Behind a plus there is what to add.
_LISTED = re.compile(r"[^+]")

_DESTINATION = re.compile(
    r"\Z | [a-z][a-z0-9+.-]*: | [/\#] | \./ | [\w-]+(?:\.[\w-]+)*\.[a-z]{2,}",
    re.VERBOSE | re.IGNORECASE,
)

_TAG = re.compile(
    r"""< (/?) ([a-z][a-z0-9]*) (?:\s+[\w-]+=(?:"[^"<>]*"|'[^'<>]*'))* \s* /? >""",
    re.VERBOSE | re.IGNORECASE,
)
_LOOKS = "b big center code em font i ins kbd mark small span strong sub u"
_TAGS = {
    **dict.fromkeys(_LOOKS.split(), ""),
    **dict.fromkeys(("br", "details", "div", "ol", "p", "summary", "ul"), "\n"),
    "li": "\n" + BULLET,
    "sup": "^",
}
_LINE_END = re.compile(r"[ \t]*\n?")


def parse(text: str) -> tuple[Sequence[Token], Sequence[str]]:
    """
    Find the markup in *text*.

    Entities and escaped characters are ``text_special``; tags that have to do
    with nothing but looks are ``html_inline``, with what stands for them as
    their content; any other tag is text.

    :return: the tokens; and the lines that their ``map`` counts.  The text of
        both is to be :func:`restored`.

    :raises ValueError: it is nested too deep, or holds characters that are
        none.
    """
    if _NO_CHARACTER.search(text):
        raise ValueError("holds what is no character")
    source = _LOOKALIKE.sub(_shield, text.replace("\r\n", "\n").replace("\r", "\n"))
    tokens = _PARSER.parse(source)
    if any(token.level >= _DEEPEST - 1 for token in tokens):
        raise ValueError("nested too deep")
    return tokens, source.split("\n")


def restored(text: str) -> str:
    """
    Put back what was kept from the parser.
    """
    return text.translate(_UNSHIELD)


def _shield(match: re.Match[str]) -> str:
    whole = match[0]
    # Emphasis may end behind an address.
    own = whole.rstrip("*_.,;:!?") if match["address"] else whole
    return own.translate(_SHIELD) + whole[len(own) :]


class _Parser(MarkdownIt):
    """
    Markdown as LLMs write it.
    """

    def __init__(self) -> None:
        super().__init__("commonmark", {"maxNesting": _DEEPEST})
        self.enable("table")
        self.disable(["code", "html_block", "lheading", "reference", "text_join"])
        block, inline = self.block.ruler, self.inline.ruler
        # What each may interrupt is as in CommonMark.
        text, item = ["paragraph", "blockquote"], ["paragraph", "blockquote", "list"]
        block.at("blockquote", _only(_QUOTED, blockquote), {"alt": item})
        block.at("hr", _only(_RULED, hr), {"alt": item})
        block.at("list", _only(_LISTED, list_block), {"alt": text})
        block.before("paragraph", "outdented", _outdented, {"alt": ["paragraph"]})
        inline.at("emphasis", _emphasis)
        inline.at("html_inline", _tag)
        inline.at("newline", _newline)

    def normalizeLink(self, url: str) -> str:
        return url

    def normalizeLinkText(self, link: str) -> str:
        return link

    def validateLink(self, url: str) -> bool:
        # An index and a call, as in a[0](1), are no link.
        return _DESTINATION.match(url) is not None


def _only(pattern: re.Pattern[str], rule: RuleFuncBlockType) -> RuleFuncBlockType:
    """
    Apply *rule* only to lines that begin as *pattern* says.
    """

    def careful(state: StateBlock, line: int, end: int, silent: bool) -> bool:
        begin = state.bMarks[line] + state.tShift[line]
        begins = pattern.match(state.src, begin, state.eMarks[line])
        return begins is not None and rule(state, line, end, silent)

    return careful


def _outdented(state: StateBlock, line: int, end: int, silent: bool) -> bool:
    """
    End an item's paragraph where the lines are no longer indented.
    """
    return silent and state.sCount[line] < state.blkIndent


def _emphasis(state: StateInline, silent: bool) -> bool:
    """
    Find asterisks and low lines that may begin or end emphasis.

    CommonMark's rule leaves asterisks standing where punctuation meets a
    letter, as is common where words have no spaces between them; and takes
    them away from ``2*3*4``.
    """
    marker = state.src[state.pos]
    if silent or marker not in "*_":
        return False
    opens, closes, length = state.scanDelims(state.pos, False)
    if marker == "*":
        before = state.src[state.pos - 1 : state.pos] or " "
        after = state.src[state.pos + length : state.pos + length + 1] or " "
        in_word = before.isalnum() and before < "\u0590"
        opens = not (in_word or after.isspace() or after in ",:;)")
        closes = not before.isspace()
    for _ in range(length):
        state.push("text", "", 0).content = marker
        place = len(state.tokens) - 1
        state.delimiters.append(
            Delimiter(ord(marker), length, place, -1, opens, closes)
        )
    state.pos += length
    return True


def _tag(state: StateInline, silent: bool) -> bool:
    """
    Find an HTML tag that has to do with nothing but looks.
    """
    match = _TAG.match(state.src, state.pos, state.posMax)
    if match is None or match[2].lower() not in _TAGS:
        return False
    content = _TAGS[match[2].lower()]
    if match[1]:
        content = "\n" if content == "\n" else ""
    end = match.end()
    if content == "\n":
        line_end = _LINE_END.match(state.src, end, state.posMax)
        assert line_end is not None
        end = line_end.end()
    if not silent:
        state.push("html_inline", "", 0).content = content
    state.pos = end
    return True


def _newline(state: StateInline, silent: bool) -> bool:
    """
    Find the end of a line; unlike CommonMark's, the next keeps its
    indentation.
    """
    if state.src[state.pos] != "\n":
        return False
    if not silent:
        state.pending = state.pending.rstrip(" ")
        state.push("softbreak", "br", 0)
    state.pos += 1
    return True


_PARSER = _Parser()
