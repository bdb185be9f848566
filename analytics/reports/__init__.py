"""One file per report: it registers itself and appears in the console with a page, a chart, CSV and XLSX."""

from llm_gateway.core.registry import Registry

from ._base import Asked, Card, Chart, Column, Lines, Report, Series, Sheet

reports: Registry[Report] = Registry("report", __name__)

__all__ = ["Asked", "Card", "Chart", "Column", "Lines", "Report", "Series", "Sheet", "reports"]
