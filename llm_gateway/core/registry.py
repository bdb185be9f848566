"""Growth is a new file: a room's modules register themselves here and are found by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Generic, TypeVar

Item = TypeVar("Item")
T = TypeVar("T")


class Registry(Generic[T]):
    """Named things of one kind, discovered once from the modules of a package.

    ``get`` raises :class:`KeyError` with the known names for an unknown one.
    """

    def __init__(self, kind: str, package: str) -> None:
        self._kind = kind
        self._package = package
        self._items: dict[str, T] = {}
        self._loaded = False

    def add(self, name: str, item: T) -> T:
        if name in self._items:
            raise ValueError(f"two {self._kind}s are named {name!r}")
        self._items[name] = item
        return item

    def get(self, name: str) -> T:
        if not self._loaded:
            self._load()
        try:
            return self._items[name]
        except KeyError:
            raise KeyError(f"no {self._kind} named {name!r}; known: {', '.join(sorted(self._items))}") from None

    def __contains__(self, name: object) -> bool:
        if not self._loaded:
            self._load()
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._items))

    def items(self) -> Iterator[tuple[str, T]]:
        self._load()
        return iter(sorted(self._items.items()))

    def _load(self) -> None:
        if self._loaded:
            return
        package: ModuleType = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):
                importlib.import_module(f"{self._package}.{module.name}")
        self._loaded = True


class Facet(Generic[T]):
    """One member of each item of ``registry``, found by the item's name. An item without the member
    (``None``) is not in the facet.

    ``get`` raises :class:`KeyError` with the known names for one that is not in it.
    """

    def __init__(self, registry: Registry[Item], kind: str, member: Callable[[Item], T | None]) -> None:
        self._kind = kind
        self._read: Callable[[], dict[str, T]] = lambda: {
            name: value for name, item in registry.items() if (value := member(item)) is not None
        }
        self._members: dict[str, T] = {}

    def get(self, name: str) -> T:
        members = self._members or self._load()
        try:
            return members[name]
        except KeyError:
            raise KeyError(f"no {self._kind} named {name!r}; known: {', '.join(members)}") from None

    def find(self, name: str) -> T | None:
        """The member, ``None`` where the facet has none of this name."""
        return (self._members or self._load()).get(name)

    def __contains__(self, name: object) -> bool:
        return name in (self._members or self._load())

    def __iter__(self) -> Iterator[str]:
        return iter(self._members or self._load())

    def items(self) -> Iterator[tuple[str, T]]:
        return iter((self._members or self._load()).items())

    def _load(self) -> dict[str, T]:
        self._members = self._read()
        return self._members
