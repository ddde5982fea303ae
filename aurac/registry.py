"""Tables from a public name to the code behind it, imported on first use; other packages may add names to them.

A name lives in its table, or in the metadata of the package that adds it, and nowhere else: help texts, choices and
error messages are made from the table. Entry points are read when a name is asked for that the table itself does not
hold, or when all names are listed; a package that is broken, or clashes with another, is named and harms nothing else.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from aurac.errors import PluginError, UnknownNameError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class Registry(Mapping[str, Any]):
    """A read-only table of names whose values are imported when they are asked for.

    Args:
        kind: What the names are, as error messages say it ("integration rule").
        entries: Name to `"package.module:attribute"`.
        group: Group of entry points under which other packages add names ("aurac.rules"); None where they cannot.
        check: (name, value) of another package -> what the value must be, if it is not that, else None.

    Example:
        >>> table = Registry("square root", {"real": "math:sqrt"})
        >>> table["real"](9.0)
        3.0
    """

    def __init__(
        self,
        kind: str,
        entries: Mapping[str, str],
        *,
        group: str | None = None,
        check: Callable[[str, Any], str | None] | None = None,
    ) -> None:
        """Keep the names; nothing is imported yet."""
        self.kind, self.group = kind, group
        self._entries, self._check = dict(entries), check or must_be_callable

    def __getitem__(self, name: str) -> Any:
        """Import and return what stands behind `name`.

        Raises:
            UnknownNameError: If there is no such name, with the near ones.
            PluginError: If the package that added it cannot be used, or if several added it.
        """
        if name in self._entries:
            module, attribute = self._entries[name].split(":")
            return getattr(import_module(module), attribute)
        if name not in self._added:
            raise UnknownNameError(self.kind, name, self)
        return self._load(name)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names in the order of the table, then over those of other packages by name."""
        yield from self._entries
        yield from sorted(self._added)

    def __len__(self) -> int:
        """Count the names."""
        return len(self._entries) + len(self._added)

    def __contains__(self, name: object) -> bool:
        """Tell whether the table holds the name, without importing anything."""
        return name in self._entries or name in self._added

    def usable(self) -> dict[str, Any]:
        """Return name -> value for all that can be imported; for the others a warning names the package."""
        found = {}
        for name in self:
            try:
                found[name] = self[name]
            except PluginError as exc:
                warnings.warn(str(exc), stacklevel=2)
        return found

    def package(self, name: str) -> str | None:
        """Return the package that added a name, None for a name of the table itself or an unknown one."""
        return None if name in self._entries or name not in self._added else _package(self._added[name][0])

    @cached_property
    def _added(self) -> dict[str, list[EntryPoint]]:
        """Name -> entry points of other packages; more than one is a clash."""
        if self.group is None:
            return {}
        from importlib.metadata import entry_points  # takes longer to import than the rest of a short command

        found: dict[str, list[EntryPoint]] = {}
        for entry in entry_points(group=self.group):
            if entry.name in self._entries:
                warnings.warn(
                    f"the package {_package(entry)} adds the {self.kind} {entry.name!r}, a name that aurac has itself; "
                    "aurac's own is used. The package must choose another name.",
                    stacklevel=3,
                )
            else:
                found.setdefault(entry.name, []).append(entry)
        return found

    def _load(self, name: str) -> Any:
        first, *others = self._added[name]
        what = f"the {self.kind} {name!r} of the package {_package(first)}"
        if others:
            packages = " and ".join(sorted(map(_package, self._added[name])))
            raise PluginError(f"the {self.kind} {name!r} is added by the packages {packages}. Uninstall all but one.")
        try:
            value = first.load()
        except Exception as exc:  # whatever a stranger's module does when it is imported
            reason = f"{type(exc).__name__}: {exc}"
            raise PluginError(f"{what} cannot be imported ({reason}). Repair or uninstall the package.") from exc
        if needed := self._check(name, value):
            raise PluginError(f"{what} is {value!r}; it must be {needed}. Repair or uninstall the package.")
        return value


def must_be_callable(_: str, value: Any) -> str | None:
    """Return what a value must be that is no function; a check for a `Registry` of functions."""
    return None if callable(value) else "a function"


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value.partition(":")[0]
