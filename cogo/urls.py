from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from llm_gateway.api import batch_downloads, own_second_factor, playground, second_factor, sign_in_link, sign_in_page, sign_on

# Before the site is asked for its addresses, among which is that of the sign-in page.
sign_in_page.take_over(admin.site)

urlpatterns = [
    path("admin/reports/", include("analytics.urls")),
    path("admin/playground/send/", playground.send, name="playground-send"),
    path("admin/llm_gateway/batch/<uuid:pk>/results.jsonl", batch_downloads.results, name="batch-results"),
    path("admin/llm_gateway/batch/<uuid:pk>/errors.jsonl", batch_downloads.errors, name="batch-errors"),
    path("admin/llm_gateway/batch/<uuid:pk>/code.zip", batch_downloads.code, name="batch-code"),
    *sign_on.urlpatterns,
    *sign_in_link.urlpatterns,
    *second_factor.urlpatterns,
    *own_second_factor.urlpatterns,
    path("admin/", admin.site.urls),
    path("api/ai-models/performance/", include("analytics.api_urls")),
    path("api/ai-models/reports/", include("analytics.api_report_urls")),
    path("", include("llm_gateway.api.urls")),
]

handler400 = "llm_gateway.api.errors_django.bad_request"
handler403 = "llm_gateway.api.errors_django.forbidden"
handler404 = "llm_gateway.api.errors_django.not_found"
handler500 = "llm_gateway.api.errors_django.server_error"
