"""From a figure to the requests behind it: addresses of the request list, with its filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from llm_gateway.models import LanguageModel, Provider

from .days import UTC_NAME

# A dimension of reports, and the filter of the list that means the same.
_SAME = {
    "client_key_id": "client_key__id__exact",
    "team_id": "team__id__exact",
    "strategy": "strategy",
    "tag": "tag",
    "kind": "kind",
    "origin": "origin",
}


class Requests:
    """Looked up once for a page. ``of`` gives an empty text where the list has no filter for what is meant."""

    def __init__(self, first: date, last: date, zone: str = UTC_NAME) -> None:
        self._zone = "" if zone == UTC_NAME else f"@{zone}"
        self._span = f"{first}..{last}{self._zone}"
        self._list = reverse("admin:llm_gateway_requestlog_changelist")

    @cached_property
    def _providers(self) -> dict[str, int]:
        return dict(Provider.objects.values_list("slug", "pk"))

    @cached_property
    def _models(self) -> dict[str, int]:
        return dict(LanguageModel.objects.values_list("name", "pk"))

    def of(self, values: Mapping[str, Any]) -> str:
        """``values``: by dimension, as the rollups keep them."""
        query: dict[str, Any] = {"day": self._span}
        for name, value in values.items():
            if name == "day":
                query["day"] = f"{value}{self._zone}"
            elif name == "provider" and value in self._providers:
                query["provider__id__exact"] = self._providers[value]
            elif name == "model" and value in self._models:
                query["model__id__exact"] = self._models[value]
            elif name in _SAME and value:
                query[_SAME[name]] = value
            elif name != "simulated":
                return ""
        return f"{self._list}?{urlencode(query)}"

    def of_chart(self, by: str, keys: Sequence[Any], days: Sequence[date]) -> list[list[str]]:
        """By series and label; a series without a key (the others) leads to the day."""
        return [[self.of({"day": day, **({by: key} if key is not None else {})}) for day in days] for key in keys]
