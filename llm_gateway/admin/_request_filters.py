"""How the request list is narrowed. Each filter stands in the address, so that reports, alerts and budgets can link there."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from typing_extensions import override

from llm_gateway.models import Budget

from ._keyset import first_id_at
from ._searching import pseudonyms

ORIGINS = ("live", "batch", "shadow", "judge", "embed")
KINDS = ("chat", "generate", "analyze", "test", "embeddings")
LONGEST = 200


class WhenFilter(admin.SimpleListFilter):
    """By the time-ordered key, so that a narrow window reads a narrow part of the table."""

    title = "when"
    parameter_name = "when"
    windows = {  # noqa: RUF012
        "15m": ("last 15 minutes", timedelta(minutes=15)),
        "1h": ("last hour", timedelta(hours=1)),
        "24h": ("last 24 hours", timedelta(hours=24)),
        "7d": ("last 7 days", timedelta(days=7)),
        "30d": ("last 30 days", timedelta(days=30)),
    }

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, title) for name, (title, _) in self.windows.items()]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        window = self.windows.get(self.value() or "")
        return queryset.filter(pk__gte=first_id_at(timezone.now() - window[1])) if window else queryset


class LinkedFilter(admin.SimpleListFilter):
    """A value that another page links to; offered only while it is set."""

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(self.text, self.shown())] if self.text else []

    @override
    def has_output(self) -> bool:
        return bool(self.text)

    @property
    def text(self) -> str:
        """PostgreSQL takes no NUL."""
        return (self.value() or "").replace("\x00", "")[:LONGEST]

    def shown(self) -> str:
        return self.text


class DayFilter(LinkedFilter):
    """``2026-11-18``, or the first and the last day: ``2026-11-01..2026-11-18``; in another zone ``2026-11-18@Europe/Berlin``."""

    title = "day"
    parameter_name = "day"

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        text, _, name = self.text.partition("@")
        first, _, last = text.partition("..")
        if name and name not in available_timezones():
            return queryset
        zone = ZoneInfo(name) if name else timezone.get_current_timezone()
        try:
            start, end = (datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=zone) for day in (first, last or first))
            return queryset.filter(pk__gte=first_id_at(start), pk__lt=first_id_at(end + timedelta(days=1)))
        except (ValueError, OverflowError):
            return queryset


class BudgetFilter(LinkedFilter):
    title = "refused by budget"
    parameter_name = "budget"

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not (self.text.isdecimal() and len(self.text) < 19):
            return queryset
        return queryset.filter(Q(refused_by__isnull=False), refused_by=int(self.text))

    @override
    def shown(self) -> str:
        known = self.text.isdecimal() and len(self.text) < 19
        return (Budget.objects.filter(pk=int(self.text)).values_list("name", flat=True).first() if known else None) or self.text


class StrategyFilter(LinkedFilter):
    title = "strategy"
    parameter_name = "strategy"

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(strategy=self.text) if self.text else queryset


class TagFilter(LinkedFilter):
    title = "tag"
    parameter_name = "tag"

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(~Q(tag=""), tag=self.text) if self.text else queryset


class EndUserFilter(LinkedFilter):
    """As callers name them (``user``, ``metadata.user_id``), or as the gateway remembers them; answered by an index."""

    title = "end user"
    parameter_name = "end_user"

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(end_user__in=pseudonyms(self.text)) if self.text else queryset


class OriginFilter(admin.SimpleListFilter):
    """Requests of before origins were kept are live ones."""

    title = "origin"
    parameter_name = "origin"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(origin, origin) for origin in ORIGINS]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "live":
                return queryset.filter(Q(origin="live") | Q(origin=None))
            case str(origin) if origin in ORIGINS:
                return queryset.filter(origin=origin)
        return queryset


class KindFilter(admin.SimpleListFilter):
    title = "kind"
    parameter_name = "kind"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind, kind) for kind in KINDS]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(kind=self.value()) if self.value() in dict(self.lookup_choices) else queryset
