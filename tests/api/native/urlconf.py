"""Only this room and the admin, whatever else the gateway serves."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("", include("llm_gateway.api.urls"))]

handler400 = "llm_gateway.api.errors_django.bad_request"
handler403 = "llm_gateway.api.errors_django.forbidden"
handler404 = "llm_gateway.api.errors_django.not_found"
handler500 = "llm_gateway.api.errors_django.server_error"
