"""Text files that a spreadsheet opens: what it would run as a formula is defused, and it is told that they are UTF-8."""

from __future__ import annotations

# Without it Excel reads a CSV file in the alphabet of its own country.
BOM = "\ufeff"
# The wide ones are what a Japanese or Chinese spreadsheet reads as the narrow ones.
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def defused(text: str) -> str:
    """OWASP's rule for CSV: an apostrophe before what begins like a formula."""
    return f"'{text}" if text.startswith(_DANGEROUS) else text
