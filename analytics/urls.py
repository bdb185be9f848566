"""Report pages, behind the console's own login."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from . import views

app_name = "reports"
urlpatterns = [path("<slug:name>/", admin.site.admin_view(views.report), name="report")]
