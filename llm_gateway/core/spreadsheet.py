"""CSV for spreadsheets: defuses formulas and marks the file as UTF-8."""

from __future__ import annotations

# Without this mark Excel decodes a CSV file with its country's code page.
BOM = "\ufeff"
# Japanese and Chinese spreadsheets treat the wide forms like the narrow ones.
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def defused(text: str) -> str:
    """Prefix an apostrophe to a cell that begins like a formula (OWASP's rule for CSV)."""
    return f"'{text}" if text.startswith(_DANGEROUS) else text
