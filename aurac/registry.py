"""Tables from a public name to the code behind it, imported on first use.

A name lives in its table and nowhere else: help texts, choices and error messages are made from the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from aurac.errors import UnknownNameError


class Registry(Mapping[str, Any]):
    """A read-only table of names whose values are imported when they are asked for.

    Args:
        kind: What the names are, as error messages say it ("integration rule").
        entries: Name to `"package.module:attribute"`.

    Example:
        >>> table = Registry("square root", {"real": "math:sqrt"})
        >>> table["real"](9.0)
        3.0
    """

    def __init__(self, kind: str, entries: Mapping[str, str]) -> None:
        """Keep the names; nothing is imported yet."""
        self.kind = kind
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> Any:
        """Import and return what stands behind `name`, or raise `UnknownNameError` with the near names."""
        if name not in self._entries:
            raise UnknownNameError(self.kind, name, self._entries)
        module, attribute = self._entries[name].split(":")
        return getattr(import_module(module), attribute)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names in the order of the table."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Count the names."""
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        """Tell whether the table holds the name, without importing anything."""
        return name in self._entries
