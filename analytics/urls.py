"""Report pages, behind the console's own login."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from . import views
from .dashboard import live_view

app_name = "reports"
urlpatterns = [
    path("home/", live_view, name="home"),
    path("<slug:name>/", admin.site.admin_view(views.report), name="report"),
]
