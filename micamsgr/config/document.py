"""
YAML text as nodes that know their line and their dotted path.

Scalars keep the text that the operator wrote: ``0123`` and ``no`` are not
numbers or booleans before somebody asks for one.  No fault found here shows a
value, for any value may be a secret in the wrong place.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from pathlib import Path
from typing import Literal, TypeVar, overload

import yaml
from attrs import define, evolve, field, frozen

T = TypeVar("T")

_LARGEST_FILE = 1 << 20
_NULL = "tag:yaml.org,2002:null"
_QUOTES = "a value that begins with # & * ! % @ or ` must stand in quotes"

#: What a value may refer to, by groups.
REFERENCE = re.compile(
    r"(?P<literal>\$\$\{)"
    r"|\$\{file:(?P<file>(?:\$\{\w+\}|[^{}])+)\}"
    r"|\$\{(?P<name>[A-Za-z_]\w*)(?P<default>:-(?:(?!\$\{)[^}])*)?\}"
    r"|\$\{",
    re.ASCII,
)

# Parts of PyYAML's own words, which may quote a secret, and ours in their place.
_PHRASES = (
    ("'\\t'", "a tab; indent with spaces"),
    ("mapping values", "a second colon, or wrong indentation; quote the value"),
    ("expected ':'", "expected `key: value`, with a space after the colon"),
    ("<block end>", "wrong indentation; align the keys of one section"),
    ("alias", _QUOTES),
    ("cannot start", _QUOTES),
    ("tag", _QUOTES),
    ("expected ',' or", "inside { } or [ ], quote values that hold braces; close it"),
    ("another document", "a second document (---); keep one"),
    ("end of stream", "a quotation mark that is never closed"),
    ("escape", "a backslash between double quotes; use single quotes"),
)


@frozen
class Fault:
    """
    One thing to mend; ``str()`` makes a line of it, for the operator.

    :ivar line: from 1; ``None`` where nothing in the file is to blame.
    :ivar key: dotted path; empty for the file as a whole.
    :ivar problem: what was expected and what to do; shows no value.
    :ivar name: the file's.
    """

    line: int | None
    key: str
    problem: str
    name: str = "mica.yaml"

    def __str__(self) -> str:
        place = self.name if self.line is None else f"{self.name}:{self.line}"
        return ": ".join(filter(None, (place, self.key, self.problem)))


class ConfigError(Exception):
    """
    A configuration can't be used.

    :ivar faults: all that were found, at least one, in the file's order.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: fault.line or 0))
        super().__init__(self.faults)

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))


def gather(
    readings: Iterable[Callable[[], T]], known: Iterable[Fault] = ()
) -> tuple[T, ...]:
    """
    Call each, and return what they return.

    :raises ConfigError: with the faults *known* and of all of them.
    """
    values: list[T] = []
    faults = list(known)
    for reading in readings:
        try:
            values.append(reading())
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)
    return tuple(values)


@frozen
class Source:
    """
    Where a document comes from, and what its references refer to.

    :ivar directory: of the file; relative paths begin there.
    """

    name: str
    directory: Path
    environ: Mapping[str, str] = field(repr=False)


@frozen
class Node:
    """
    A value in the document, or the place where one is missing.

    :ivar path: dotted; empty at the top.
    :ivar line: of its key.
    """

    source: Source
    path: str
    line: int | None
    _yaml: yaml.Node | None = field(repr=False)

    @property
    def absent(self) -> bool:
        return self._yaml is None

    @property
    def null(self) -> bool:
        return self._yaml is None or self._yaml.tag == _NULL

    @property
    def bare(self) -> Node:
        """The same place without its value, for what is wrong with its key."""
        return evolve(self, yaml=None)

    def refusal(self, problem: str) -> ConfigError:
        """
        Make the error that says what is wrong here, and from where the value
        came if it doesn't stand here.
        """
        problem += self._origin()
        return ConfigError([Fault(self.line, self.path, problem, self.source.name)])

    def _origin(self) -> str:
        if not isinstance(self._yaml, yaml.ScalarNode):
            return ""
        matches = [*REFERENCE.finditer(self._yaml.value)]
        environ = self.source.environ
        names = {it["name"]: 0 for it in matches if environ.get(it["name"] or "")}
        origins = [f"the environment variable {name}" for name in names]
        # As written: a variable in the path may hold a secret by mistake.
        origins += [f"the file {it['file']!r}" for it in matches if it["file"]]
        return f" (from {' and '.join(origins)})" if origins else ""

    def child(self, key: str, line: int | None, value: yaml.Node | None) -> Node:
        # What is no plain word may be a secret, or upset a terminal.
        shown = key if re.fullmatch(r"[\w.-]{1,40}", key, re.ASCII) else "(a key)"
        path = f"{self.path}.{shown}" if self.path else shown
        return Node(self.source, path, line, value)

    def standing(self, text: str) -> Node:
        """Make the node that would be here if *text* were written."""
        return evolve(self, yaml=yaml.ScalarNode("tag:yaml.org,2002:str", text))

    def find(self, *keys: str) -> Node | None:
        """Look for what is below here, whether or not it belongs there."""
        if not keys:
            return self
        for key, value in _pairs(self._yaml):
            if key.value == keys[0]:
                return self.child(key.value, _line(key), value).find(*keys[1:])
        return None

    def scalars(self) -> Iterator[tuple[str, str]]:
        """
        List what is written below here, with the nearest key above each, and
        each once.
        """
        waiting, seen = [("", self._yaml)], set[int]()
        while waiting:
            key, node = waiting.pop()
            if id(node) in seen:  # an alias may hold itself
                continue
            seen.add(id(node))
            waiting += [(name.value, value) for name, value in _pairs(node)]
            if isinstance(node, yaml.SequenceNode):
                waiting += [(key, item) for item in node.value]
            elif isinstance(node, yaml.ScalarNode):
                yield key, node.value

    def items(self) -> tuple[Node, ...]:
        """
        The items of a list; a value that is none counts as a list of itself.
        """
        if self.null:
            return ()
        if not isinstance(self._yaml, yaml.SequenceNode):
            return (self,)
        return tuple(
            Node(self.source, f"{self.path}[{index}]", _line(item), item)
            for index, item in enumerate(self._yaml.value)
        )

    def braced(self) -> str | None:
        """
        What stands in ``{…}`` alone, which YAML takes for a mapping.
        """
        match _pairs(self._yaml):
            case [(key, value)] if value.tag == _NULL:
                return str(key.value)
        return None

    def text(self, wanted: str, where: str = "") -> str:
        """
        Read a scalar, with its references replaced.

        :param wanted: what is expected, such as ``"a number"``.
        :param where: where it is found, if that needs saying.

        :raises ConfigError: also where it comes out empty.
        """
        put = f"put {wanted} here{where and ', '}{where}"
        if self._yaml is None:
            raise self.refusal(f"missing; {put}")
        if self.null:
            raise self.refusal(f"empty; {put} ({_QUOTES})")
        if self.braced() is not None:
            raise self.refusal(f"expected {wanted}; take the braces {{}} away")
        if not isinstance(self._yaml, yaml.ScalarNode):
            raise self.refusal(f"expected {wanted}, not a list or further keys")
        if not self._yaml.tag.startswith("tag:yaml.org,2002:"):
            raise self.refusal(f"expected {wanted}; {_QUOTES}")
        text = self._replaced(self._yaml.value)
        if not text:
            raise self.refusal(f"empty; {put}")
        return text

    def peek(self) -> str:
        """Read a scalar as :meth:`text` does, or nothing where that fails."""
        try:
            return self.text("text")
        except ConfigError:
            return ""

    def _replaced(self, text: str) -> str:
        return REFERENCE.sub(self._referent, text)

    def _referent(self, match: re.Match[str]) -> str:
        literal, file, name, default = match.group("literal", "file", "name", "default")
        if literal:
            return "${"
        if file:
            return self._content(file)
        if not name:
            raise self.bare.refusal(
                "expected ${NAME}, ${NAME:-default} or ${file:/path};"
                " write $${ where ${ itself is meant"
            )
        value = self.source.environ.get(name) or (default or "")[2:]
        if not value and default is None:
            raise self.bare.refusal(
                f"the environment variable {name} is unset or empty; set it, or"
                f" write ${{{name}:-default}}"
            )
        return value

    def referred(self, written: str) -> Path:
        """
        Tell which file a reference means.

        :raises ConfigError: where a variable in its path is unset.
        """
        return self.source.directory / self._replaced(written)

    def _content(self, written: str) -> str:
        # A fault shows the path as written: what a variable in it holds may
        # be the secret itself, where "file:" was added by mistake.
        path = self.referred(written)
        try:
            with path.open("rb") as stream:
                content = stream.read(_LARGEST_FILE + 1)
            text = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except OSError as error:
            problem = f"{written!r} cannot be read: {error.strerror}"
            raise self.bare.refusal(problem) from None
        except ValueError:  # also of a path with NUL in it
            raise self.bare.refusal(f"{written!r} is not text in UTF-8") from None
        if not text or len(content) > _LARGEST_FILE:
            raise self.bare.refusal(f"{written!r} is empty, or larger than 1 MiB")
        return text

    def members(self) -> tuple[dict[str, Node], list[Fault]]:
        """
        Read a mapping whose keys may be any text; nothing counts as empty.

        :return: its values, and the faults of the mapping itself.
        """
        if self.null:
            return {}, []
        if not isinstance(self._yaml, yaml.MappingNode):
            raise self.refusal(
                "expected keys (`key: value`), each in a line of its own"
            )
        found: dict[str, Node] = {}
        faults: list[Fault] = []
        for key, value in self._yaml.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            child = self.child(name, _line(key), value)
            if not name:
                faults += child.refusal("expected a plain word as each key").faults
            elif name in found:
                problem = f"given twice, first in line {found[name].line}; keep one"
                faults += child.bare.refusal(problem).faults
            else:
                found[name] = child
        return found, faults


@define
class Entries:
    """
    The values of one section, by their known keys.

    Asking for one that is not given makes an absent node, and for ``""`` gives
    the whole section.
    """

    node: Node
    given: dict[str, Node] = field(factory=dict)
    faults: list[Fault] = field(factory=list)

    def __contains__(self, key: str) -> bool:
        return not key or key in self.given

    @overload
    def __getitem__(self, key: Literal[""]) -> Entries: ...  # type: ignore[overload-overlap]
    @overload
    def __getitem__(self, key: str) -> Node: ...
    def __getitem__(self, key: str) -> Entries | Node:
        if not key:
            return self
        return self.given.get(key) or self.node.child(key, self.node.line, None)


def entries(
    node: Node, known: Collection[str], deeper: Collection[str] = ()
) -> Entries:
    """
    Read a mapping whose keys are known.

    :param known: dotted where a key has further keys below it.
    :param deeper: keys of sections within, to recognize what is misplaced.

    :return: with a fault for each key that is unknown or given twice.
    """
    members, faults = node.members()
    result = Entries(node, faults=faults)
    for key, member in members.items():
        below = {name[len(key) + 1 :] for name in known if name.startswith(f"{key}.")}
        if key in known and "." not in key:
            result.given[key] = member
        elif below:
            try:
                inner = entries(member, below)
            except ConfigError as error:
                result.faults += error.faults
                continue
            result.given |= {f"{key}.{name}": it for name, it in inner.given.items()}
            result.faults += inner.faults
        else:
            problem = f"unknown key; {_nearest(key, {*known, *deeper})}"
            result.faults += member.bare.refusal(problem).faults
    return result


def compose(text: str, source: Source) -> Node:
    """
    Read the outline of a document.

    :raises ConfigError: with one fault, where it is not YAML.
    """
    top = Node(source, "", None, None)
    try:
        document = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line, problem = _syntax(error, text.splitlines())
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = "a character that YAML does not allow; take it away"
    except RecursionError:
        line, problem = None, "nested too deeply"
    except (ValueError, OverflowError):
        line, problem = None, "a number or an escape that YAML does not allow"
    else:
        return Node(source, "", None, document)
    raise evolve(top, line=line).refusal(f"not YAML: {problem}")


def _syntax(error: yaml.MarkedYAMLError, lines: Sequence[str]) -> tuple[int, str]:
    said = error.problem or ""
    mark = error.problem_mark
    if "expected ':'" in said:  # it is missed only in the next line
        mark = error.context_mark
    line = 0 if mark is None else mark.line
    if line < len(lines) and re.match(r" *\t", lines[line]):
        return line + 1, "a tab; indent with spaces"
    phrases = (ours for theirs, ours in _PHRASES if theirs in said)
    return line + 1, next(phrases, "look for a bracket, quotation mark or indentation")


def _nearest(key: str, known: Collection[str]) -> str:
    """
    Name the known key that was probably meant, wherever it belongs.
    """
    firsts = {name.partition(".")[0]: name.partition(".")[0] for name in known}
    lasts = {name.rpartition(".")[2]: name for name in sorted(known, reverse=True)}
    whole = {**lasts, **firsts}
    near = difflib.get_close_matches(key, whole, 1)
    if near:
        return f"did you mean {whole[near[0]]}?"
    return f"known here: {', '.join(sorted(firsts))}"


def _pairs(node: yaml.Node | None) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        return []
    return [(k, v) for k, v in node.value if isinstance(k, yaml.ScalarNode)]


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
