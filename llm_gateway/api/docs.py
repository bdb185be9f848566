"""The schema, its page, and the front page. Nothing on them comes from another host."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import get_script_prefix, path, re_path
from django.views.decorators.http import require_safe
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from typing_extensions import override


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """``/``: where to go from here."""
    base = request.build_absolute_uri(get_script_prefix()).rstrip("/")
    return render(request, "landing.html", {"base": base, "browsable": settings.COGO["browsable_api"]})


class SchemaView(SpectacularAPIView):
    """Without the library's parameter ``version``, which it would write into a header whatever it holds."""

    @override
    def _get_version_parameter(self, request: Request) -> None:
        return None


urlpatterns = [
    path("", landing, name="landing"),
    re_path(r"^api/schema/?$", SchemaView.as_view(authentication_classes=[]), name="native-schema"),
    re_path(r"^api/docs/?$", SpectacularSwaggerSplitView.as_view(url_name="native-schema", authentication_classes=[]), name="native-docs"),
]
