"""What the caller said of the answer: shown and reported beside the computed total, and no part of it: whoever has a key can say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# Where the caller says what became of the answer and not how good it was.
OUTCOMES: Mapping[str, float] = {"accepted": 1.0, "tests_passed": 1.0, "edited": 0.5, "reverted": 0.0}


def value(said: Sequence[tuple[float, str]]) -> float | None:
    """0 … 1 from (score −1 … 1, outcome) of each key that spoke; ``None``: nobody did."""
    if not said:
        return None
    return round(sum((score + 1) / 2 for score, _ in said) / len(said), 4)
