"""Addresses under ``/api/ai-models/performance/``. A trailing slash is optional."""

from __future__ import annotations

from django.urls import re_path

from . import api

urlpatterns = [
    re_path(r"^metrics/?$", api.PerformanceMetrics.as_view(), name="native-performance-metrics"),
    re_path(r"^comparison/?$", api.PerformanceComparison.as_view(), name="native-performance-comparison"),
]
