"""The page that a link of ``manage.py sign_in_link`` opens: a button, so that whatever looks at
links does not use it up."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from llm_gateway.actions import ActionError
from llm_gateway.actions.sign_in import address_of, count_try_of, forget_tries_of
from llm_gateway.actions.sign_in_link import link_of, use_link

from .entering import enter


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def opened(request: HttpRequest, token: str) -> HttpResponse:
    counted = f"link from {address_of(request)}"
    count_try_of(request, counted)
    row = link_of(token)
    if row is not None:
        forget_tries_of(request, counted)
        if request.method == "POST":
            try:
                return enter(request, use_link(row), way="by a link of the terminal")
            except ActionError:
                row = None
    shown = {**admin.site.each_context(request), "title": "Sign in", "link": row}
    return TemplateResponse(request, "admin/llm_gateway/sign_in_link.html", shown, status=200 if row is not None else 404)


urlpatterns = [path("admin/sign-in/link/<str:token>/", opened, name="sign-in-link")]
