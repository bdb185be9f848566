"""Which dialect file answers which path."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping

import msgspec

from llm_gateway.api.http import Endpoint


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """``pattern`` matches the whole path; ``dialect`` shapes the errors of a request that never reaches its endpoint. ``when`` narrows by a
    request header that must be present. ``uploads``: the most bytes of a body that is handed on as it comes; 0: bodies are read whole.
    ``keyless``: its address says who may come; it is called without an identity."""

    method: str
    pattern: re.Pattern[str]
    dialect: str
    endpoint: Endpoint
    when: str | None = None
    uploads: int = 0
    keyless: bool = False


class Routes:
    """Filled by the dialect files as they are imported."""

    def __init__(self) -> None:
        self._routes: list[Route] = []
        # What matches a path that a route spells out; paths with a name in them are too many to remember.
        self._spelt_out: dict[str, list[Route]] = {}
        self._loaded = False

    def add(
        self,
        method: str,
        pattern: str,
        dialect: str,
        endpoint: Endpoint,
        *,
        when: str | None = None,
        uploads: int = 0,
        keyless: bool = False,
    ) -> None:
        route = Route(
            method=method, pattern=re.compile(pattern), dialect=dialect, endpoint=endpoint, when=when, uploads=uploads, keyless=keyless
        )
        self._routes.append(route)
        # Those that ask for a header come before those that take anything.
        self._routes.sort(key=lambda route: route.when is None)
        self._spelt_out.clear()

    def find(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[Route | None, list[Route]]:
        """The route, and all that match the path whatever the method: those of the dialect that the headers name, where they name one. What
        can be read may be asked for by ``HEAD``, too: the server leaves the body out."""
        if not self._loaded:
            self.load()
        method = "GET" if method == "HEAD" else method
        fitting = self._spelt_out.get(path)
        if fitting is None:
            fitting = [route for route in self._routes if route.pattern.fullmatch(path)]
            if any(route.pattern.pattern == path for route in fitting):
                self._spelt_out[path] = fitting
        for route in fitting:
            if route.method == method and (route.when is None or route.when in headers):
                return route, fitting
        return None, [route for route in fitting if route.when is None or route.when in headers] or fitting

    def load(self) -> None:
        if not self._loaded:
            self._loaded = True
            package = importlib.import_module(__package__ or "")
            for module in pkgutil.iter_modules(package.__path__):
                if not module.name.startswith("_"):
                    importlib.import_module(f"{__package__}.{module.name}")

    def __iter__(self) -> Iterator[Route]:
        self.load()
        return iter(self._routes)


routes = Routes()
