"""Report pages, behind the console's own login."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from . import views
from .dashboard import live_view
from .saved_views import delete_view, save_view

app_name = "reports"
urlpatterns = [
    path("home/", live_view, name="home"),
    path("<slug:page>/views/", save_view, name="save_view"),
    path("<slug:page>/views/<int:pk>/delete/", delete_view, name="delete_view"),
    path("<slug:name>/", admin.site.admin_view(views.report), name="report"),
]
