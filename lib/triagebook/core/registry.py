"""Find plug-ins: every module of a package folder, plus entry points; one new file, no edit elsewhere."""

from __future__ import annotations

import importlib
import pkgutil
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Generic, TypeVar

from triagebook.core.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")


class Registry(Generic[T]):
    """Named plug-ins of one kind.

    Parameters
    ----------
    kind : str
        What a plug-in is called in messages, such as "metrics source".
    package : str
        Dotted name of the package whose modules (not starting with `_`) register plug-ins when
        imported.
    group : str
        Entry point group for plug-ins outside the tree, such as "triagebook.sources.metrics".
    """

    def __init__(self, kind: str, package: str, group: str) -> None:
        self.kind = kind
        self.package = package
        self.group = group
        self._items: dict[str, T] = {}
        self._from: dict[str, str] = {}
        self._loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers a plug-in; RegistryError where the name is taken."""

        def keep(item: T) -> T:
            origin = f"{getattr(item, '__module__', '?')}.{getattr(item, '__qualname__', name)}"
            if name in self._items and self._from[name] != origin:
                raise RegistryError(
                    f"two {self.kind}s are called {name!r}: {self._from[name]} and {origin}",
                    "rename one of them",
                )
            self._items[name] = item
            self._from[name] = origin
            return item

        return keep

    def get(self, name: str) -> T:
        """Return a plug-in; RegistryError naming the known ones where there is none."""
        self._load()
        if name not in self._items:
            near = get_close_matches(name, self._items, n=1)
            known = ", ".join(sorted(self._items)) or "none"
            raise RegistryError(
                f"no {self.kind} is called {name!r}; known: {known}",
                f"did you mean {near[0]!r}?" if near else "",
            )
        return self._items[name]

    def names(self) -> list[str]:
        """Return the known names, sorted."""
        self._load()
        return sorted(self._items)

    def __iter__(self) -> Iterator[T]:
        self._load()
        return iter([self._items[name] for name in sorted(self._items)])

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._items

    def _load(self) -> None:
        if self._loaded:
            return
        # A broken plug-in raises here: a source that silently is not there would read as "healthy".
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):
                importlib.import_module(f"{self.package}.{module.name}")
        for point in entry_points(group=self.group):
            item = point.load()
            if point.name not in self._items:
                self.register(point.name)(item)
        self._loaded = True
