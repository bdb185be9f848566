"""Seeded randomness: the simulator's content must repeat, and nothing in it is a secret."""

from __future__ import annotations

import random


def seeded(seed: int | str) -> random.Random:
    """A generator that yields the same numbers for the same seed."""
    return random.Random(seed)  # noqa: S311  # reproducible on purpose
