"""GET the root: what there is here."""

from __future__ import annotations

from collections.abc import Iterable

from django.urls import URLPattern, get_resolver, get_script_prefix, reverse
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView
from typing_extensions import override

from .auth import identity_of
from .openapi import documented
from .shapes import Index, Link
from .views import AsyncAPIView

PREFIX = "api/ai-models/"


class AnyKey(BasePermission):
    """Whoever has a key or is staff."""

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        return bool(identity_of(request))


class IndexView(AsyncAPIView):
    """Generate and analyse code through any configured provider. Every endpoint below opens in the browser."""

    permission_classes = (AnyKey,)

    @override
    def get_view_name(self) -> str:
        return "AI models"

    @documented("index", "The endpoints", answer=Index)
    async def get(self, request: Request) -> Index:
        return Index(name="COGO LLM Gateway", endpoints=[self._link(request, pattern) for pattern in _patterns()])

    def _link(self, request: Request, pattern: URLPattern) -> Link:
        view = pattern.callback.cls  # type: ignore[attr-defined]  # DRF keeps the class of a view
        path = reverse(str(pattern.name))
        return Link(
            name=path.removeprefix(f"{get_script_prefix()}{PREFIX}"),
            methods=[method.upper() for method in ("get", "post") if hasattr(view, method)],
            url=request.build_absolute_uri(path),
            summary=(view.__doc__ or "").strip().partition("\n")[0],
        )


def _patterns() -> list[URLPattern]:
    """Every DRF view below the prefix, whichever room it is from."""
    return [
        pattern
        for pattern in _flat(get_resolver().url_patterns)
        if pattern.name
        and hasattr(pattern.callback, "cls")
        and not pattern.pattern.regex.groups
        and reverse(pattern.name).startswith(f"{get_script_prefix()}{PREFIX}")
        and pattern.name != "native-index"
    ]


def _flat(patterns: Iterable[object]) -> list[URLPattern]:
    found: list[URLPattern] = []
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            found.append(pattern)
        elif not getattr(pattern, "namespace", None) and hasattr(pattern, "url_patterns"):
            found += _flat(pattern.url_patterns)
    return found
