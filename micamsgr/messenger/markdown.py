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
from markdown_it.rules_block.table import escapedSplit
from markdown_it.token import Token

from micamsgr.unseen import INVISIBLE, UNWANTED

from .markup import BULLET, parse, restored

_BOXES = {"[ ] ": "☐ ", "[x] ": "☑ ", "[X] ": "☑ "}
_QUOTE = "│ "
_RULE = "———"
_NOTHING = "–"

# Most characters that a table may grow by where its headings are repeated.
_MOST_REPEATED = 4000

_MAYBE_MARKUP = re.compile(
    r"[*_`\\<&|\[] | ~~ | (?: ^ | \d[.)] ) [ \t]* (?: [>#] | -[ \t] | --- | ~~~ )",
    re.VERBOSE | re.MULTILINE,
)
_NOT_MARKUP = frozenset(
    {
        *("paragraph_open", "paragraph_close", "inline", "text", "softbreak"),
        *("ordered_list_open", "ordered_list_close"),
        *("list_item_open", "list_item_close"),
    }
)

# While it is put together, stands for the end of an address.
_END = "\ufddf"
_SCHEME = re.compile(r"(?:https?://|mailto:|tel:)?(?:www\.)?", re.IGNORECASE)
# Behind an address only white space can't be taken for more of it, or what
# ends a sentence or a bracket there.
_GLUED = re.compile(
    _END
    + r"""(?! \s | \Z | [.,;:!?…)\]}'"”’»›。]+ (?: \s | \Z )
    | [，、；：！？）】」』》] | 。 [^a-z0-9] )""",
    re.VERBOSE | re.IGNORECASE,
)


def plain(text: str) -> str:
    """
    Turn Markdown into plain text.

    Where nothing is markup, *text* comes back as it is.  Otherwise words stay
    in their order, and only these are lost: the language of a block of code,
    the title of a link, the label of a link where it repeats the address, what
    a letter is to begin with, and characters that nobody sees where entities
    stood for them.
    A table of more than two columns has its headings repeated in each row.

    Never raises, and never makes invisible what is not.  Takes time in proportion
    to the length of *text*.
    """
    if not _MAYBE_MARKUP.search(text):
        return text
    try:
        result = _converted(text)
    except Exception:
        # What can't be parsed is not to cost a person the answer.
        return text
    return text if INVISIBLE.fullmatch(result) else result


def _converted(text: str) -> str:
    tokens, source = parse(text)
    if not _has_markup(tokens):
        return text
    page = _Page(source)
    for token in tokens:
        page.add(token)
    # Entities may stand for what has no place in an answer.
    return UNWANTED.sub("", restored(page.text()))


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
    :ivar _begun: the line of the source where the table or the item begins.
    :ivar _headed: the last line is a heading.
    :ivar _set_off: the last lines are to be set off from the next.
    """

    _source: Sequence[str]

    _lines: list[str] = field(factory=list, init=False)
    _open: list[str] = field(factory=list, init=False)
    _numbers: list[tuple[str, str]] = field(factory=list, init=False)
    _rows: list[list[str]] = field(factory=list, init=False)
    _begun: int = field(default=0, init=False)
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
                self._begun = line
                self._open.append(self._marker(token))
            case "list_item_close":
                if self._open[-1].strip():
                    self._write("", self._begun)
                self._open.pop()
            case "blockquote_open":
                self._open.append(_QUOTE)
            case "blockquote_close":
                self._open.pop()
            case "heading_open" | "heading_close":
                self._in_heading = token.type == "heading_open"
            case "table_open":
                self._begun = line
            case "tr_open":
                self._rows.append([])
            case "table_close":
                self._write(_table(self._whole_rows()), self._begun, set_off=True)
                self._rows.clear()
            case "hr":
                self._write(_RULE, line)
            case "fence":
                self._write(_code(token), line, set_off=True)
            case "inline":
                self._add_inline(_inline(token.children or ()), line)

    def _marker(self, item: Token) -> str:
        if not item.info:
            return BULLET
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
        for line, row in enumerate(body, self._begun + 2):
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
        box = _BOXES.get(text[:4]) if self._open else None
        if box and self._open[-1] == BULLET:
            self._open[-1], text = box, text[4:]
        elif box:
            text = box + text[4:]
        self._write(text, line)

    def _write(
        self, text: str, line: int, *, heading: bool = False, set_off: bool = False
    ) -> None:
        """
        :param line: where it begins in the source; a blank line before it is
            kept.
        """
        before = self._source[line - 1] if line else "the beginning"
        blank = not before.strip(" \t>")
        set_off = set_off and not self._open
        apart = blank or set_off or self._set_off
        if heading or (apart and not self._headed):
            bars = _QUOTE * before.count(">") if blank else ""
            self._lines += [bars.rstrip()] * bool(self._lines and self._lines[-1])
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
    if len(header) <= 2:
        return _pairs(rows)
    return "\n\n".join(_pairs(list(zip(header, row, strict=True))) for row in body)


def _pairs(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(_pair(*row) for row in rows if any(row))


def _pair(name: str, value: str | None = None) -> str:
    if not name or value is None:
        return value or name
    return f"{name.rstrip(':：')}: {value or _NOTHING}"


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
            case "s_open":
                texts.append("(")
            case "s_close":
                texts.append(")")
            case "text_special":
                texts.append(_special(token))
            case _:
                texts.append(token.content)
    whole = _GLUED.sub(" ", "".join(texts)).replace(_END, "")
    return re.sub("\n{3,}", "\n\n", whole).strip("\n")


def _special(token: Token) -> str:
    """
    Say what an escaped character or an entity stands for.
    """
    return " " if token.content.isspace() else token.content


def _link(label: str, url: str) -> str:
    label = label.strip()
    if not url or url.startswith("#"):
        return label
    whole, address = url, re.sub(r"^(?:mailto|tel):", "", url)
    if url.startswith("mailto:"):
        # Behind it may be what to write.
        address = address.partition("?")[0]
    if not label or _bare(label) in (_bare(whole), _bare(address)):
        return address + _END
    if url.startswith("tel:") and re.sub(r"\D", "", label) == re.sub(r"\D", "", url):
        return label
    return label + (" " if label[-1] in ".!?…:。！？：" else ": ") + address + _END


def _bare(address: str) -> str:
    whole = restored(address)
    return _SCHEME.sub("", whole, count=1).rstrip("/").casefold()
