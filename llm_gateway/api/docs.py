"""The schema, its page, and the front page. Nothing on them comes from another host."""

from __future__ import annotations

from typing import Any, ClassVar

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
    """Made once for each form of it: it is the same for everybody, and a quarter of a second's work that any stranger may ask for.

    Without the library's parameter ``version``, which it would write into a header whatever it holds."""

    _made: ClassVar[dict[tuple[type, str], tuple[bytes, dict[str, str]]]] = {}

    @override
    def _get_schema_response(self, request: Request) -> Any:
        form = (type(request.accepted_renderer), get_script_prefix())
        if form in self._made:
            content, headers = self._made[form]
            return HttpResponse(content, headers=headers)
        response = super()._get_schema_response(request)  # type: ignore[no-untyped-call]
        response.add_post_render_callback(lambda made: self._keep(form, made))
        return response

    def _keep(self, form: tuple[type, str], made: Any) -> None:
        self._made[form] = (made.content, {name: made[name] for name in ("Content-Type", "Content-Disposition") if name in made})

    @override
    def _get_version_parameter(self, request: Request) -> None:
        return None


urlpatterns = [
    path("", landing, name="landing"),
    re_path(r"^api/schema/?$", SchemaView.as_view(authentication_classes=[]), name="native-schema"),
    re_path(r"^api/docs/?$", SpectacularSwaggerSplitView.as_view(url_name="native-schema", authentication_classes=[]), name="native-docs"),
]
