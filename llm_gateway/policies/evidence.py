"""What may be believed while one goes on looking: intervals that hold at every moment at once, and checks of fairness.

A normal mixture confidence sequence (Robbins 1970; https://arxiv.org/abs/1810.08240): with probability ``1 - alpha`` the truth is inside at
all looks, however many there are and whenever one stops. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

ALPHA = 0.05
SRM_ALPHA = 0.001


class Sums(msgspec.Struct, kw_only=True):
    """Of values: how many, their sum and the sum of their squares."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        self.n += 1
        self.total += value
        self.squares += value * value

    @property
    def mean(self) -> float | None:
        return self.total / self.n if self.n else None

    @property
    def variance(self) -> float:
        """Of the values; 0 while fewer than two are there."""
        if self.n < 2:
            return 0.0
        return max(0.0, (self.squares - self.total * self.total / self.n) / (self.n - 1))


def radius(error: float, n: float, alpha: float = ALPHA, tuned_at: float = 500.0) -> float:
    """Half the width of the sequence around a mean whose standard error is ``error`` after ``n`` observations; narrowest, compared with a
    fixed plan, at ``tuned_at`` of them."""
    if n <= 0:
        return math.inf
    rho = n / tuned_at * _tuning(alpha)
    return error * math.sqrt((rho + 1) / rho * (math.log((rho + 1) / (alpha * alpha))))


def _tuning(alpha: float) -> float:
    """The ratio of mixture to data precision that is best where it is tuned for (Waudby-Smith et al. 2021, appendix B)."""
    return -2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)


def difference(a: Sums, b: Sums, alpha: float = ALPHA) -> tuple[float, float, float] | None:
    """(low, estimate, high) of the mean of ``b`` minus that of ``a``; ``None`` while either has fewer than two values."""
    if a.n < 2 or b.n < 2 or a.mean is None or b.mean is None:
        return None
    error = math.sqrt(a.variance / a.n + b.variance / b.n)
    effective = 2 * a.n * b.n / (a.n + b.n)
    margin = radius(error, effective, alpha)
    middle = b.mean - a.mean
    return middle - margin, middle, middle + margin


def above(sums: Sums, alpha: float = ALPHA) -> tuple[float, float] | None:
    """(low, high) of a mean."""
    if sums.n < 2 or sums.mean is None:
        return None
    margin = radius(math.sqrt(sums.variance / sums.n), sums.n, alpha)
    return sums.mean - margin, sums.mean + margin


def mismatch(counts: Sequence[int], shares: Sequence[float]) -> float:
    """The p-value that ``counts`` come from ``shares`` (χ² with one degree less than there are arms)."""
    total, whole = sum(counts), sum(shares)
    if total == 0 or whole <= 0:
        return 1.0
    pairs = [(count, total * share / whole) for count, share in zip(counts, shares, strict=True)]
    if any(expected == 0 and count > 0 for count, expected in pairs):
        return 0.0
    statistic = sum((count - expected) ** 2 / expected for count, expected in pairs if expected > 0)
    return chi_square_tail(statistic, sum(expected > 0 for _, expected in pairs) - 1)


def chi_square_tail(statistic: float, degrees: int) -> float:
    """P(χ² > statistic): the upper regularised gamma function by series or continued fraction (Numerical Recipes 6.2)."""
    if degrees <= 0 or statistic <= 0:
        return 1.0
    a, x = degrees / 2, statistic / 2
    scale = math.exp(-x + a * math.log(x) - math.lgamma(a)) if x < 700 else 0.0
    if x < a + 1:
        term = total = 1 / a
        n = a
        for _ in range(1000):
            n += 1
            term *= x / n
            total += term
            if term < total * 1e-15:
                break
        return max(0.0, 1 - total * scale)
    b = x + 1 - a
    c, d = 1e300, 1 / b
    h = d
    for i in range(1, 1000):
        an = -i * (i - a)
        b += 2
        d = 1 / (an * d + b)
        c = b + an / c
        h *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return scale * h


def holm(p_values: Sequence[float], alpha: float = ALPHA) -> list[float]:
    """The level at which each is to be tested so that all together err at ``alpha``: the most certain one first."""
    count = len(p_values)
    levels = [0.0] * count
    for place, index in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        levels[index] = alpha / (count - place)
    return levels


def always_valid_p(error: float, n: float, distance: float) -> float:
    """The smallest ``alpha`` whose sequence excludes a truth ``distance`` away: valid at every look."""
    if error <= 0 or n <= 0:
        return 0.0 if distance else 1.0
    low, high = 1e-12, 1.0
    if radius(error, n, ALPHA) == math.inf:
        return 1.0
    for _ in range(60):
        middle = math.sqrt(low * high)
        # The tuning stays that of ALPHA: a sequence must not be chosen after the look.
        rho = n / 500.0 * _tuning(ALPHA)
        width = error * math.sqrt((rho + 1) / rho * math.log((rho + 1) / (middle * middle)))
        low, high = (low, middle) if abs(distance) > width else (middle, high)
    return high
