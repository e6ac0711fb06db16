"""
How several keys make one value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from attrs import define, field, fields
from cattrs import BaseValidationError, Converter
from cattrs.gen import make_dict_structure_fn, override

from micamsgr.config.document import ConfigError, Entries, Node, entries
from micamsgr.config.readers import Reader

T = TypeVar("T")

_CONVERTER = Converter(detailed_validation=True)


@define(eq=False)
class Section(Generic[T]):
    """
    A reader of keys that make one value together, and of all their faults.

    An attribute whose key is not given keeps the default of its class; one
    without a default is read from an absent node.

    :ivar keys: dotted where a key has further keys below it; each fills the
        attribute of its own name, with ``_`` for the dot.
    :ivar renamed: by key, the attribute where its name is another.
    :ivar inlined: by attribute, what reads it from the whole section.
    :ivar shared: further keys, read by those alone.
    :ivar finish: is handed the value, to complete or to refuse it.
    """

    cls: type[T]
    keys: Mapping[str, Reader[object]]
    renamed: Mapping[str, str] = field(factory=dict, kw_only=True)
    inlined: Mapping[str, Callable[[Entries], object]] = field(
        factory=dict, kw_only=True
    )
    shared: Mapping[str, Reader[object]] = field(factory=dict, kw_only=True)
    finish: Callable[[Entries, T], T] = field(
        default=lambda _, value: value, kw_only=True
    )
    _structure: Callable[[Any, Any], T] = field(init=False)

    @_structure.default
    def _made(self) -> Callable[[Any, Any], T]:
        overrides = {it.name: override(omit=True) for it in fields(self.cls)}  # type: ignore[arg-type]
        for key, read in self.keys.items():
            name = self.renamed.get(key, key.replace(".", "_"))
            overrides[name] = override(rename=key, struct_hook=_hook(read))
        for name, inlined in self.inlined.items():
            overrides[name] = override(rename="", struct_hook=_hook(inlined))
        return make_dict_structure_fn(self.cls, _CONVERTER, **overrides)  # type: ignore[arg-type]

    def __call__(self, node: Node) -> T:
        return self.build(entries(node, {*self.keys, *self.shared}, {*self.paths()}))

    def build(self, found: Entries) -> T:
        """
        Make the value of a section whose keys have been told apart.

        :raises ConfigError: also for the faults that *found* has already.
        """
        faults = list(found.faults)
        try:
            value = self._structure(found, self.cls)
        except BaseValidationError as errors:
            for error in errors.exceptions:
                if not isinstance(error, ConfigError):
                    raise
                faults += error.faults
        if faults:
            raise ConfigError(faults) from None
        return self.finish(found, value)

    def paths(self) -> Iterator[str]:
        """
        Name every key, and those of the sections within, dotted.
        """
        for key, read in {**self.keys, **self.shared}.items():
            if isinstance(read, Section):
                yield from (f"{key}.{path}" for path in read.paths())
            else:
                yield key


def _hook(read: Callable[[Any], object]) -> Callable[[Any, Any], object]:
    return lambda value, _: read(value)
