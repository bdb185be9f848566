"""What is learnt of a model from its answers: ridge regressions over features known before the call, from sums that add up and fade.

Pure. The sums (features × features, features × results) are all that is kept; no text and no request is in them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

RIDGE = 4.0
HALF_LIFE_S = 7 * 86400.0
# No client key weighs more than this in what is learnt at once.
MOST_OF_ONE_KEY = 0.2
RESULTS = ("success", "quality", "log_cost", "log_latency")
_TASKS: Mapping[str, int] = {
    **dict.fromkeys(("analysis", "analyze", "quality", "security", "performance", "review", "code_review", "debug", "optimize"), 6),
    **dict.fromkeys(("document", "documentation", "docs", "explain", "summarize"), 7),
    **dict.fromkeys(("quick", "simple", "chat", "completion", "classify"), 8),
    **dict.fromkeys(("code", "code_generation", "generate", "generation", "refactor", "test", "tests", "translate_code"), 9),
}
_LANGUAGES: Mapping[str, int] = {"python": 11, "javascript": 12, "typescript": 12}
DIMENSIONS = 14
Features = list[tuple[int, float]]


def features(prompt_tokens: int, needs: Iterable[str], task_type: str | None, language: str | None, stream: bool) -> Features:
    """(place, value) of those that are not 0, the constant first."""
    found: Features = [(0, 1.0), (1, math.log2(prompt_tokens + 1) / 16)]
    if stream:
        found.append((2, 1.0))
    wanted = set(needs)
    if "tools" in wanted:
        found.append((3, 1.0))
    if wanted & {"json", "json_schema"}:
        found.append((4, 1.0))
    if wanted & {"images", "documents", "audio"}:
        found.append((5, 1.0))
    if task_type:
        found.append((_TASKS.get(task_type.strip().lower().replace("-", "_").replace(" ", "_"), 10), 1.0))
    if language:
        found.append((_LANGUAGES.get(language.strip().lower(), 13), 1.0))
    return found


class Sum(msgspec.Struct, kw_only=True):
    """Of one result of one model. ``a``: rows of the upper triangle of Σ w·x·xᵀ; ``b``: Σ w·x·y; ``n``: Σ w."""

    n: float = 0.0
    total: float = 0.0
    a: list[float] = msgspec.field(default_factory=lambda: [0.0] * (DIMENSIONS * (DIMENSIONS + 1) // 2))
    b: list[float] = msgspec.field(default_factory=lambda: [0.0] * DIMENSIONS)

    def add(self, x: Features, y: float, weight: float = 1.0) -> None:
        self.n += weight
        self.total += weight * y
        for place, (i, u) in enumerate(x):
            self.b[i] += weight * u * y
            base = i * DIMENSIONS - i * (i + 1) // 2
            for j, v in x[place:]:
                self.a[base + j] += weight * u * v

    def fade(self, seconds: float) -> None:
        factor = 0.5 ** (max(0.0, seconds) / HALF_LIFE_S)
        self.n *= factor
        self.total *= factor
        self.a = [value * factor for value in self.a]
        self.b = [value * factor for value in self.b]

    def fit(self, prior: float) -> list[float] | None:
        """Coefficients, drawn towards the constant ``prior``; ``None`` while there is nothing to fit."""
        if self.n <= 0:
            return None
        d = DIMENSIONS
        full = [[0.0] * d for _ in range(d)]
        for i in range(d):
            base = i * d - i * (i + 1) // 2
            for j in range(i, d):
                full[i][j] = full[j][i] = self.a[base + j]
        # Around the prior: what is left after its constant.
        right = [self.b[i] - full[i][0] * prior for i in range(d)]
        for i in range(d):
            full[i][i] += RIDGE if i else RIDGE / 4
        found = _solved(full, right)
        found[0] += prior
        return [round(value, 6) for value in found]


class Learnt(msgspec.Struct, frozen=True, kw_only=True):
    """What is believed of a model: coefficients by result, and of how many answers; ``scored``: of how many the quality is known.
    ``may_explore``: the day's money for looking is not spent."""

    n: float = 0.0
    scored: float = 0.0
    success: list[float] | None = None
    quality: list[float] | None = None
    log_cost: list[float] | None = None
    log_latency: list[float] | None = None
    may_explore: bool = True


class Memory(msgspec.Struct, kw_only=True):
    """Everything that is kept of one model."""

    sums: dict[str, Sum] = msgspec.field(default_factory=dict)

    def add(self, x: Features, results: Mapping[str, float | None], weight: float = 1.0) -> None:
        for name, value in results.items():
            if value is not None:
                self.sums.setdefault(name, Sum()).add(x, value, weight)

    def fade(self, seconds: float) -> None:
        for one in self.sums.values():
            one.fade(seconds)

    def learnt(self, priors: Mapping[str, float], may_explore: bool = True) -> Learnt:
        """``priors``: the mean of each result over all models."""
        fitted = {name: self.sums[name].fit(priors.get(name, 0.0)) for name in RESULTS if name in self.sums}
        n = self.sums["success"].n if "success" in self.sums else 0.0
        scored = self.sums["quality"].n if "quality" in self.sums else 0.0
        return Learnt(n=round(n, 3), scored=round(scored, 3), may_explore=may_explore, **fitted)


def priors(memories: Iterable[Memory]) -> dict[str, float]:
    """The mean of each result, all models together."""
    sums: dict[str, list[float]] = {}
    for memory in memories:
        for name, one in memory.sums.items():
            both = sums.setdefault(name, [0.0, 0.0])
            both[0] += one.total
            both[1] += one.n
    return {name: total / n for name, (total, n) in sums.items() if n > 0}


def weights_of_keys(counts: Mapping[str, int]) -> dict[str, float]:
    """What a row of each key counts for, so that none has more than its part."""
    total = sum(counts.values())
    most = max(MOST_OF_ONE_KEY * total, 1.0)
    # With few keys nobody can have less than an equal part.
    most = max(most, total / max(1, len(counts)))
    return {key: min(1.0, most / count) for key, count in counts.items() if count}


def dot(coefficients: Sequence[float], x: Features) -> float:
    return sum(coefficients[place] * value for place, value in x)


def _solved(a: list[list[float]], b: list[float]) -> list[float]:
    """a·x = b for a symmetric positive a: Cholesky."""
    n = len(b)
    low = [[0.0] * n for _ in range(n)]
    for i in range(n):
        row = low[i]
        for j in range(i + 1):
            other = low[j]
            rest = a[i][j] - sum(row[k] * other[k] for k in range(j))
            row[j] = math.sqrt(max(rest, 1e-12)) if i == j else rest / other[j]
    y = [0.0] * n
    for i in range(n):
        y[i] = (b[i] - sum(low[i][k] * y[k] for k in range(i))) / low[i][i]
    x = [0.0] * n
    for i in reversed(range(n)):
        x[i] = (y[i] - sum(low[k][i] * x[k] for k in range(i + 1, n))) / low[i][i]
    return x
