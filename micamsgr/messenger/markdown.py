"""
How an LLM's Markdown becomes text that reads well in Messenger, which shows
Markdown as it is written.

Nothing here waits.

Source: docs/messenger-platform.md, section 4.2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import define, field
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, blockquote, hr, list_block
from markdown_it.rules_block.table import escapedSplit
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter
from markdown_it.token import Token

_BULLET = "• "
_BOXES = {"[ ] ": "☐ ", "[x] ": "☑ ", "[X] ": "☑ "}
_QUOTE = "│ "
_RULE = "———"
_NOTHING = "–"

# The parser leaves out what is nested deeper.
_DEEPEST = 20
# Most characters that a table may grow by where its headings are repeated.
_MOST_REPEATED = 4000

_MAYBE_MARKUP = re.compile(
    r"[*_`\\<&|\[] | ^[ \t]*(?: [>#] | -[ \t] | --- | ~~~ )",
    re.VERBOSE | re.MULTILINE,
)
_NOT_MARKUP = frozenset(
    {
        *("paragraph_open", "paragraph_close", "inline", "text", "softbreak"),
        *("ordered_list_open", "ordered_list_close"),
        *("list_item_open", "list_item_close"),
    }
)

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
_SHIELDED = re.compile("[\ufdd0-\ufdd2]")

# Before a number it means "more than".
_QUOTED = re.compile(r">(?:[ \t]+(?![ \t\d])|$)")

_DESTINATION = re.compile(
    r"\Z | [a-z][a-z0-9+.-]*: | [/\#] | \./ | [\w-]+(?:\.[\w-]+)*\.[a-z]{2,}",
    re.VERBOSE | re.IGNORECASE,
)
_SCHEME = re.compile(r"(?:https?://|mailto:|tel:)?(?:www\.)?", re.IGNORECASE)

_TAG = re.compile(
    r"""< (/?) ([a-z][a-z0-9]*) (?:\s+[\w-]+=(?:"[^"<>]*"|'[^'<>]*'))* \s* /? >""",
    re.VERBOSE | re.IGNORECASE,
)
_LOOKS = "b big center code em font i ins kbd mark small span strong sub u"
_TAGS = {
    **dict.fromkeys(_LOOKS.split(), ""),
    **dict.fromkeys(("br", "details", "div", "ol", "p", "summary", "ul"), "\n"),
    "li": "\n" + _BULLET,
    "sup": "^",
}
_LINE_END = re.compile(r"[ \t]*\n?")
_OVERRIDE = re.compile("[\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """
    Turn Markdown into plain text.

    Where nothing is markup, *text* comes back as it is.  Otherwise words stay
    in their order, and only these are lost: the language of a block of code,
    the title of a link, and the label of a link where it repeats the address.
    A table of more than two columns has its headings repeated in each row.

    Never raises, and never makes blank what is not.  Takes time in proportion
    to the length of *text*.
    """
    if not _MAYBE_MARKUP.search(text) or _SHIELDED.search(text):
        return text
    try:
        result = _converted(text)
    except Exception:
        # A defect in the parser, or too deep a stack, is not to cost a person
        # the answer.
        return text
    return result if result.strip() else text


def _converted(text: str) -> str:
    source = _LOOKALIKE.sub(_shield, text.replace("\r\n", "\n").replace("\r", "\n"))
    tokens = _PARSER.parse(source)
    if _is_too_deep(tokens) or not _has_markup(tokens):
        return text
    page = _Page(source.split("\n"))
    for token in tokens:
        page.add(token)
    return page.text().translate(_UNSHIELD)


def _shield(match: re.Match[str]) -> str:
    whole = match[0]
    # Emphasis may end behind an address.
    own = whole.rstrip("*_.,;:!?") if match["address"] else whole
    return own.translate(_SHIELD) + whole[len(own) :]


def _is_too_deep(tokens: Sequence[Token]) -> bool:
    return any(token.level >= _DEEPEST - 1 for token in tokens)


def _has_markup(tokens: Sequence[Token]) -> bool:
    return any(
        token.type not in _NOT_MARKUP or _has_markup(token.children or ())
        for token in tokens
    )


@define
class _Page:
    """
    The text so far.

    :ivar _source: the lines of the Markdown.
    :ivar _open: what the next line begins with, for each quote and list item
        that it is in.
    :ivar _numbers: for each list that it is in, its first and last number.
    :ivar _rows: the cells of the table that it is in.
    :ivar _headed: the last line is a heading.
    :ivar _set_off: the last lines are to be set off from the next.
    """

    _source: Sequence[str]

    _lines: list[str] = field(factory=list, init=False)
    _open: list[str] = field(factory=list, init=False)
    _numbers: list[tuple[str, str]] = field(factory=list, init=False)
    _rows: list[list[str]] = field(factory=list, init=False)
    _table_line: int = field(default=0, init=False)
    _in_heading: bool = field(default=False, init=False)
    _headed: bool = field(default=False, init=False)
    _set_off: bool = field(default=False, init=False)

    def text(self) -> str:
        return "\n".join(self._lines).strip("\n")

    def add(self, token: Token) -> None:
        line = token.map[0] if token.map else 0
        match token.type:
            case "bullet_list_open" | "ordered_list_open":
                self._numbers.append(("", ""))
            case "bullet_list_close" | "ordered_list_close":
                self._numbers.pop()
            case "list_item_open":
                self._open.append(self._marker(token))
            case "list_item_close":
                if self._open[-1].strip():
                    self._write("", line)
                self._open.pop()
            case "blockquote_open":
                self._open.append(_QUOTE)
            case "blockquote_close":
                self._open.pop()
            case "heading_open" | "heading_close":
                self._in_heading = token.type == "heading_open"
            case "table_open":
                self._table_line = line
            case "tr_open":
                self._rows.append([])
            case "table_close":
                self._write(_table(self._whole_rows()), self._table_line, set_off=True)
                self._rows.clear()
            case "hr":
                self._write(_RULE, line)
            case "fence":
                self._write(_code(token), line, set_off=True)
            case "inline":
                self._add_inline(_inline(token.children or ()), line)

    def _marker(self, item: Token) -> str:
        if not item.info:
            return _BULLET
        first, last = self._numbers[-1]
        # Where every item has the same number, Markdown means to count.
        number = str(int(last) + 1) if item.info == first else item.info
        self._numbers[-1] = first or number, number
        return f"{number}{item.markup} "

    def _whole_rows(self) -> Sequence[Sequence[str]]:
        """
        Give back to the rows the cells beyond the last column, which the
        parser leaves out.
        """
        header, *body = self._rows
        for line, row in enumerate(body, self._table_line + 2):
            cells = escapedSplit(self._source[line].strip(" \t>"))
            cells = cells[cells[0] == "" : len(cells) - (cells[-1] == "")]
            spare = [cell.strip() for cell in cells[len(header) :]]
            row[-1] = " | ".join([row[-1], *spare])
        return self._rows

    def _add_inline(self, text: str, line: int) -> None:
        if self._rows:
            self._rows[-1].append(text.strip().replace("\n", ", "))
            return
        if self._in_heading:
            if self._lines[-1:] == [_RULE]:
                self._lines.pop()
            self._write(text, line, heading=True)
            return
        box = _BOXES.get(text[:4])
        if box and self._open:
            text = text[4:]
            if self._open[-1] == _BULLET:
                self._open[-1] = box
            else:
                text = box + text
        self._write(text, line)

    def _write(
        self, text: str, line: int, *, heading: bool = False, set_off: bool = False
    ) -> None:
        """
        :param line: where it begins in the source; a blank line before it is
            kept.
        """
        set_off = set_off and not self._open
        blank = line > 0 and not self._source[line - 1].strip(" \t>")
        apart = blank or set_off or self._set_off
        if heading or (apart and not self._headed):
            self._lines += [""] * bool(self._lines and self._lines[-1])
        for one in text.split("\n"):
            whole = "".join(self._open) + one
            self._lines.append(whole if one.strip() else whole.rstrip())
            self._open = [
                prefix if prefix == _QUOTE else " " * len(prefix)
                for prefix in self._open
            ]
        self._headed, self._set_off = heading, set_off


def _code(fence: Token) -> str:
    # Behind three backticks there may be more than the language.
    info = fence.info.strip()
    return (info + "\n" if " " in info else "") + fence.content.removesuffix("\n")


def _table(rows: Sequence[Sequence[str]]) -> str:
    header, *body = rows
    repeated = (len("".join(header)) + len(header)) * len(body)
    if not body or repeated > _MOST_REPEATED:
        return "\n".join(" | ".join(row).rstrip(" |") for row in rows)
    if len(header) == 1:
        return "\n".join(row[0] for row in rows)
    if len(header) == 2:
        return "\n".join(_pair(name, value) for name, value in rows)
    return "\n\n".join(
        "\n".join(_pair(name, value) for name, value in zip(header, row, strict=True))
        for row in body
    )


def _pair(name: str, value: str) -> str:
    name = name.rstrip(":：")
    return f"{name}: {value or _NOTHING}" if name else value


def _inline(tokens: Sequence[Token]) -> str:
    texts: list[str] = []
    label, url = 0, ""
    for token in tokens:
        match token.type:
            case "softbreak" | "hardbreak":
                texts.append("\n")
            case "link_open":
                label, url = len(texts), str(token.attrs["href"])
            case "link_close":
                texts[label:] = [_link("".join(texts[label:]), url)]
            case "image":
                alternative = _inline(token.children or ())
                texts.append(_link(alternative, str(token.attrs["src"])))
            case "text_special":
                texts.append(_special(token))
            case _:
                texts.append(token.content)
    return re.sub("\n{3,}", "\n\n", "".join(texts)).strip("\n")


def _special(token: Token) -> str:
    """
    Say what an escaped character or an entity stands for; but one that would
    turn the direction of writing stays as it is.
    """
    if token.content.isspace():
        return " "
    return token.markup if _OVERRIDE.search(token.content) else token.content


def _link(label: str, url: str) -> str:
    label = label.strip()
    if not url or url.startswith("#"):
        return label
    address = re.sub(r"^(?:mailto|tel):", "", url)
    if not label or _bare(label) == _bare(url):
        return address
    if url.startswith("tel:") and _digits(label) == _digits(url):
        return label
    return label + (" " if label[-1] in ".!?…:。！？：" else ": ") + address


def _bare(address: str) -> str:
    whole = address.translate(_UNSHIELD)
    return _SCHEME.sub("", whole, count=1).rstrip("/").casefold()


def _digits(text: str) -> str:
    return "".join(filter(str.isdecimal, text))


class _Parser(MarkdownIt):
    """
    Markdown as LLMs write it.
    """

    def __init__(self) -> None:
        super().__init__("commonmark", {"maxNesting": _DEEPEST})
        self.enable("table")
        self.disable(["code", "html_block", "lheading", "reference", "text_join"])
        paragraph = ["paragraph", "reference", "blockquote"]
        block, inline = self.block.ruler, self.inline.ruler
        block.at("blockquote", _blockquote, {"alt": [*paragraph, "list"]})
        block.at("hr", _hr, {"alt": [*paragraph, "list"]})
        block.at("list", _list, {"alt": paragraph})
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


def _begins(state: StateBlock, line: int) -> tuple[int, int]:
    return state.bMarks[line] + state.tShift[line], state.eMarks[line]


def _blockquote(state: StateBlock, line: int, end: int, silent: bool) -> bool:
    if _QUOTED.match(state.src, *_begins(state, line)) is None:
        return False
    return blockquote(state, line, end, silent)


def _hr(state: StateBlock, line: int, end: int, silent: bool) -> bool:
    # A line of low lines is there to write on.
    if state.src.startswith("_", *_begins(state, line)):
        return False
    return hr(state, line, end, silent)


def _list(state: StateBlock, line: int, end: int, silent: bool) -> bool:
    # Behind a plus there is what to add.
    if state.src.startswith("+", *_begins(state, line)):
        return False
    return list_block(state, line, end, silent)


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
        opens = not after.isspace() and not in_word
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
