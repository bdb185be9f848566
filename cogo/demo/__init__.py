"""Thirty days of a gateway that three teams use, for the demonstration: every row is marked as simulated, and the books agree."""

from .history import MEMORY, Seeded, seed

__all__ = ["MEMORY", "Seeded", "seed"]
