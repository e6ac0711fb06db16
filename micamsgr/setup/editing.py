"""
Puts values into a configuration's text, and leaves all else in it as it is.

Nothing here opens a file.  Whoever calls reads the result as the daemon would,
and writes it only if it says what it should.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml
from attrs import field, frozen

_PLAIN = re.compile(r"[A-Za-z0-9/](?:[A-Za-z0-9._/=-]|:(?=[A-Za-z0-9/]))*")
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_EMPTY = {"null", "y", "n", "yes", "no", "true", "false", "on", "off"}


class Unwritable(Exception):
    """A file is laid out so that nothing can be put into it."""


@frozen(kw_only=True)
class Wish:
    """
    A value that a configuration is to have.

    :ivar path: its keys, outermost first.
    :ivar value: in the file's language, in which ``${`` refers to something.
    :ivar comment: for whoever reads the file; may be empty, and have lines.
    """

    path: tuple[str, ...]
    value: str = field(repr=False)
    comment: str = ""


def literal(text: str) -> str:
    """Write text so that nothing in it refers to anything."""
    return text.replace("${", "$${")


def quoted(text: str) -> str:
    """
    Write text in YAML, on one line.
    """
    if _PLAIN.fullmatch(text) and text.lower() not in _EMPTY:
        return text
    style = "'" if text.isprintable() else '"'
    return yaml.safe_dump(
        text, default_style=style, allow_unicode=True, width=1 << 30
    ).rstrip("\n")


def put(text: str, wishes: Sequence[Wish]) -> str:
    """
    Put values into a configuration, each at its place.

    :raises Unwritable: there is none.
    """
    sections = dict.fromkeys(wish.path[0] for wish in wishes)
    for section in sections:
        of_section = [wish for wish in wishes if wish.path[0] == section]
        if _there(text, section):
            for wish in of_section:
                text = _put(text, wish)
        else:
            text = _appended(text, of_section)
    return text


def take_out(text: str, path: Sequence[str]) -> str:
    """
    Take a key and its value out of a configuration, where they stand in a line of
    their own.

    :raises Unwritable: they don't.
    """
    node = _root(text)
    for key in path[:-1]:
        found = _member(node, key)
        node = None if found is None else found[1]
    found = _member(node, path[-1])
    assert isinstance(node, yaml.MappingNode)
    assert found is not None
    name, value = found
    if node.flow_style or value.end_mark.line != name.start_mark.line:
        raise Unwritable(f"{'.'.join(path)} does not stand in a line of its own")
    begin = name.start_mark.index - name.start_mark.column
    end = text.find("\n", value.end_mark.index) + 1 or len(text)
    return text[:begin] + text[end:]


def _root(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        raise Unwritable("it is not YAML") from None


def _there(text: str, section: str) -> bool:
    return _member(_root(text), section) is not None


def _member(
    node: yaml.Node | None, key: str
) -> tuple[yaml.ScalarNode, yaml.Node] | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    for name, value in node.value:
        if isinstance(name, yaml.ScalarNode) and name.value == key:
            return name, value
    return None


def _appended(text: str, wishes: Sequence[Wish]) -> str:
    root = _root(text)
    if root is not None and (not isinstance(root, yaml.MappingNode) or root.flow_style):
        raise Unwritable("its keys do not stand in lines of their own")
    if text and not text.endswith("\n"):
        text += "\n"
    gap = "\n" if text and not text.endswith("\n\n") else ""
    column = 0
    if isinstance(root, yaml.MappingNode) and root.value:
        column = root.value[0][0].start_mark.column
    return f"{text}{gap}{_block(wishes, 0, column)}"


def _block(wishes: Sequence[Wish], depth: int, column: int) -> str:
    """
    Write keys and what is below them, each in a line of its own.

    :param depth: how many of the outer keys are written already.
    """
    space, lines, done = " " * column, [], set()
    for wish in wishes:
        key = wish.path[depth]
        if key in done:
            continue
        done.add(key)
        if len(wish.path) == depth + 1:
            lines += [f"{space}# {line}\n" for line in wish.comment.splitlines()]
            lines.append(f"{space}{_key(key)}: {quoted(wish.value)}\n")
        else:
            below = [it for it in wishes if it.path[depth] == key]
            lines.append(f"{space}{_key(key)}:\n")
            lines.append(_block(below, depth + 1, column + 2))
    return "".join(lines)


def _key(name: str) -> str:
    return name if _KEY.fullmatch(name) else quoted(name)


def _put(text: str, wish: Wish) -> str:
    node = _root(text)
    for depth, key in enumerate(wish.path):
        found = _member(node, key)
        if found is None:
            return _inserted(text, node, wish, depth)
        name, value = found
        if value.start_mark.index < name.end_mark.index:
            raise Unwritable(f"{'.'.join(wish.path)} is an alias")
        last = depth + 1 == len(wish.path)
        begin, end = value.start_mark.index, value.end_mark.index
        if last or not isinstance(value, yaml.MappingNode):
            return _replaced(text, begin, end, wish, depth)
        node = value
    raise AssertionError("a wish has a key")


def _replaced(text: str, begin: int, end: int, wish: Wish, depth: int) -> str:
    """Put a value where another one is, or nothing."""
    if depth + 1 == len(wish.path):
        new = quoted(wish.value)
    else:
        line = text[:begin].rpartition("\n")[2]
        column = len(line) - len(line.lstrip(" "))
        new = "\n" + _block([wish], depth + 1, column + 2).rstrip("\n")
    if begin == end and text[begin - 1 : begin] == ":" and not new.startswith("\n"):
        new = f" {new}"
    if text[begin:end].endswith("\n"):
        new += "\n"
    return text[:begin] + new + text[end:]


def _inserted(text: str, node: yaml.Node | None, wish: Wish, depth: int) -> str:
    """Put a key before the first one of a mapping."""
    if not isinstance(node, yaml.MappingNode):
        raise Unwritable(f"{'.'.join(wish.path[:depth])} has no keys")
    if node.flow_style or not node.value:
        begin = node.start_mark.index + 1
        inner = quoted(wish.value)
        for key in reversed(wish.path[depth + 1 :]):
            inner = f"{{{_key(key)}: {inner}}}"
        return f"{text[:begin]}{_key(wish.path[depth])}: {inner}, {text[begin:]}"
    mark = node.value[0][0].start_mark
    line = mark.index - mark.column
    return text[:line] + _block([wish], depth, mark.column) + text[line:]


def value_at(text: str, path: Sequence[str]) -> str | None:
    """
    Tell what is written at a place, as it stands there; ``None``: no text is.
    """
    node = _root(text)
    for key in path:
        found = _member(node, key)
        if found is None:
            return None
        node = found[1]
    return node.value if isinstance(node, yaml.ScalarNode) else None
