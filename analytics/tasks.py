"""Entry points for django-q2: synchronous, a small dict out."""

from __future__ import annotations

from . import rollups


def roll_up() -> dict[str, int]:
    """Every five minutes: bring the rollups up to now."""
    return rollups.roll_up()
