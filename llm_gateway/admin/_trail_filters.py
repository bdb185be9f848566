"""By what the audit trail is filtered: person, subject, origin, time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from typing_extensions import override
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.utils import parse_date_str

from llm_gateway.models import AuditEntry, trail

SIGN_INS = ("signed in", "signed out", "sign-in failed")
READINGS = ("read texts",)
# Entries of one moment may be numbered in another order by workers that write at once.
_SLACK = 1000
_MOST_PEOPLE = 200


class PersonFilter(admin.SimpleListFilter):
    """Accounts there are; the search finds others, and ``?person=`` takes any name."""

    title = "person"
    parameter_name = "person"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        users = get_user_model()
        names = list(users._default_manager.order_by(users.USERNAME_FIELD).values_list(users.USERNAME_FIELD, flat=True)[:_MOST_PEOPLE])
        chosen = request.GET.get(self.parameter_name, "")[:150]
        return [(name, name) for name in (names if chosen in ("", *names) else [chosen, *names])]

    @override
    def has_output(self) -> bool:
        return True

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        name = (self.value() or "").replace("\x00", "")
        return queryset.filter(actor=name) if name else queryset


class OriginFilter(admin.SimpleListFilter):
    """Where it came from; signing in and reading prompts are kinds of their own, wherever they happened."""

    title = "origin"
    parameter_name = "origin"
    kinds = {  # noqa: RUF012
        "console": ("console", Q(via="console") & ~Q(action__in=(*SIGN_INS, *READINGS))),
        "api": ("API", Q(via="api") & ~Q(action__in=(*SIGN_INS, *READINGS))),
        "command": ("command", Q(via="command")),
        "system": ("the gateway itself", Q(via="system") & ~Q(action__in=SIGN_INS)),
        "sign-in": ("sign-in", Q(action__in=SIGN_INS)),
        "reading": ("reading of prompts", Q(action__in=READINGS)),
    }

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, title) for name, (title, _) in self.kinds.items()]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        kind = self.kinds.get(self.value() or "")
        return queryset.filter(kind[1]) if kind else queryset


class SubjectFilter(admin.SimpleListFilter):
    title = "subject"
    parameter_name = "noun"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(label, label.partition(".")[2]) for label in sorted(trail.NOUNS)]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(noun=self.value()) if self.value() in trail.NOUNS else queryset


class SinceFilter(admin.SimpleListFilter):
    title = "when"
    parameter_name = "when"
    windows = {"24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30), "365d": timedelta(days=365)}  # noqa: RUF012

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("24h", "last 24 hours"), ("7d", "last 7 days"), ("30d", "last 30 days"), ("365d", "last year")]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        window = self.windows.get(self.value() or "")
        return queryset.filter(at__gte=timezone.now() - window) if window else queryset


class DaysFilter(RangeDateFilter):  # type: ignore[misc]  # Unfold carries no types
    """From one day to another, both whole, in UTC. Days become a range of keys, by which the list is cut."""

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        start, end = self._day("from"), self._day("to")
        if start is not None:
            queryset = queryset.filter(at__gte=start)
            first = AuditEntry.objects.filter(at__gte=start).order_by("at").values_list("pk", flat=True).first()
            queryset = queryset.filter(pk__gte=first - _SLACK) if first is not None else queryset.none()
        if end is not None:
            end += timedelta(days=1)
            queryset = queryset.filter(at__lt=end)
            last = AuditEntry.objects.filter(at__lt=end).order_by("-at").values_list("pk", flat=True).first()
            queryset = queryset.filter(pk__lte=last + _SLACK) if last is not None else queryset.none()
        return queryset

    def _day(self, side: str) -> datetime | None:
        """Nonsense is no bound, as an empty box is none; nor are days at the ends of the calendar."""
        day: date | None = parse_date_str(str(self.used_parameters.get(f"{self.parameter_name}_{side}") or ""))
        return datetime.combine(day, time(), UTC) if day is not None and 1900 < day.year < 9999 else None
