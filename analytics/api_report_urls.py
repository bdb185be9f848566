"""Addresses under ``/api/ai-models/reports/``. A trailing slash is optional."""

from __future__ import annotations

from django.urls import re_path

from . import api_reports

urlpatterns = [
    re_path(r"^cost/?$", api_reports.CostReportView.as_view(), name="native-report-cost"),
    re_path(r"^savings/?$", api_reports.SavingsReportView.as_view(), name="native-report-savings"),
    re_path(r"^forecast/?$", api_reports.ForecastReportView.as_view(), name="native-report-forecast"),
]
