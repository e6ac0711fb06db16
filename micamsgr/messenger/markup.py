"""
The Markdown that LLMs write: CommonMark with tables, less what they don't mean
by it.

Nothing here waits.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from unicodedata import category

from markdown_it import MarkdownIt
from markdown_it.parser_block import RuleFuncBlockType
from markdown_it.rules_block import StateBlock, blockquote, hr, list_block, table
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
    | (?<!\w) __ (?: \w+__ (?= \( | \.\w ) | [a-z]+(?:_[a-z]+)*__ (?!\w) )
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

# Written without spaces between words, or with particles that stick to them.
_TOGETHER = re.compile(
    r"(?!\d) [\u0590-\u109f\u1100-\u11ff\u1780-\u17ff\u1a20-\u1aaf\u2e80-\ua4cf"
    r"\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufb1d-\ufdcf\ufdf0-\uffef"
    "\U00020000-\U0003ffff]",
    re.VERBOSE,
)
_NEVER_FIRST = frozenset(",:;)，、。：；！？）」』】》")
_APOSTROPHES = frozenset("'’")
_QUOTES = frozenset('"”»›') | _APOSTROPHES
_UNITS = frozenset("!%‰°′″")
_ENDS = _UNITS | frozenset(".,;?…")
# As Unicode calls them: brackets, quotation marks, signs of money.
_OPENING = frozenset({"Ps", "Pi"})
_CLOSING = frozenset({"Pe", "Pf", "Sc"})
# What an asterisk behind it can't be a factor to.
_WHOLE = frozenset({"code_inline", "image", "link_close"})

# Which lines hold no bar, in what the parser hands on.
_BARLESS = "lines without a bar"

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
        self.enable(["table", "strikethrough"])
        self.disable(["code", "html_block", "lheading", "reference", "text_join"])
        block, inline = self.block.ruler, self.inline.ruler
        # What each may interrupt is as in CommonMark.
        text, item = ["paragraph", "blockquote"], ["paragraph", "blockquote", "list"]
        block.at("blockquote", _only(_QUOTED, blockquote), {"alt": item})
        block.at("hr", _only(_RULED, hr), {"alt": item})
        block.at("list", _only(_LISTED, list_block), {"alt": text})
        block.at("table", _table, {"alt": ["paragraph", "reference"]})
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


def _table(state: StateBlock, line: int, end: int, silent: bool) -> bool:
    """
    Find a table; it ends at a line without a bar, which LLMs put right below.

    One whose rows are so short that filling them would take much longer than
    to read them is none.
    """
    if not table(state, line, end, True):
        return False
    barless = state.env.get(_BARLESS)
    if barless is None:
        lines = enumerate(state.src.split("\n"))
        barless = state.env[_BARLESS] = [n for n, text in lines if "|" not in text]
    place = bisect_left(barless, line + 2)
    if place < len(barless):
        end = min(end, barless[place])
    length = state.eMarks[end - 1] - state.bMarks[line]
    columns = state.src.count("|", state.bMarks[line], state.eMarks[line])
    if columns * (end - line) > length:
        return False
    return silent or table(state, line, end, False)


def _outdented(state: StateBlock, line: int, end: int, silent: bool) -> bool:
    """
    End an item's paragraph where the lines are no longer indented.
    """
    return silent and state.sCount[line] < state.blkIndent


def _emphasis(state: StateInline, silent: bool) -> bool:
    """
    Find asterisks and low lines that may begin or end emphasis.
    """
    marker = state.src[state.pos]
    if silent or marker not in "*_":
        return False
    opens, closes, length = state.scanDelims(state.pos, marker == "*")
    if marker == "*":
        end = state.pos + length
        before = state.src[max(state.pos - 2, 0) : state.pos]
        after = state.src[end : end + 1]
        if state.pending or not state.tokens or state.tokens[-1].type not in _WHOLE:
            opens = _may_open(before, after, length, opens)
            closes = _may_close(before, after, length, closes)
        else:
            opens, closes = opens and length > 1, True
        if length == 1 and closes and not opens and _is_factor(after):
            # Within what is bold it multiplies.
            begun = state.delimiters[-1:]
            closes = any(one.length == 1 and one.open for one in begun)
    for _ in range(length):
        state.push("text", "", 0).content = marker
        place = len(state.tokens) - 1
        state.delimiters.append(
            Delimiter(ord(marker), length, place, -1, opens, closes)
        )
    state.pos += length
    return True


def _may_open(before: str, after: str, length: int, common: bool) -> bool:
    """
    Say whether asterisks may begin emphasis.

    Within a word, behind what closes, and beside a number they multiply.  But
    where words have no spaces between them, more may begin it than CommonMark
    allows, which wants no punctuation to meet a letter.

    :param before: up to two characters.
    :param length: how many asterisks there are.
    :param common: what CommonMark says.
    """
    last = before[-1:]
    if not after or after.isspace() or after in _NEVER_FIRST:
        return False
    together = _TOGETHER.match(last) or _TOGETHER.match(after)
    closed = _is_closing(before, after)
    if not closed and not last.isalnum():
        return common or together is not None
    if length == 1 and (closed or last.isdigit() or after.isdigit()):
        return False
    return together is not None


def _may_close(before: str, after: str, length: int, common: bool) -> bool:
    """
    Say whether asterisks may end emphasis; otherwise like :func:`_may_open`.
    """
    last = before[-1:]
    if not last or last.isspace():
        return False
    factor = after.isalnum() or after == "("
    if length == 1 and (after.isdigit() or (last.isdigit() and factor)):
        return False
    kind = category(last)
    if common or kind in _OPENING:
        return common
    if after.isalpha() and (length > 1 or last == ":"):
        return True
    return bool(_TOGETHER.match(after) or (kind == "Po" and _TOGETHER.match(last)))


def _is_closing(before: str, after: str) -> bool:
    """
    Say whether the last character of *before* belongs to what stands before
    it: a bracket, a unit, a quotation mark or the like, but no apostrophe.
    """
    last, earlier = before[-1:], before[:-1]
    if last in _QUOTES:
        elided = last in _APOSTROPHES and earlier.isalpha() and not after.isdigit()
        quoted = earlier.isalnum() or earlier in _ENDS or _kind(earlier) in _CLOSING
        return quoted and not elided
    return last in _UNITS or _kind(last) in _CLOSING


def _is_factor(after: str) -> bool:
    return after.isalnum() or _kind(after) in ("Ps", "Sc")


def _kind(character: str) -> str:
    return category(character) if character else ""


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
