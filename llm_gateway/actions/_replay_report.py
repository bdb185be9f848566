"""What a replay found, in figures an operator can use, each with what it rests on."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from llm_gateway.core.catalog import Target
from llm_gateway.core.money import Rate, format_usd, rate_at
from llm_gateway.core.outcomes import RequestState
from llm_gateway.policies.offpolicy import Estimate, Logged, estimate
from llm_gateway.strategies import Ranking

from ._replaying import Row, Scene

FLIPS = 20
# Answers of a model that its length is measured by.
ENOUGH = 30
_SIZES = ((1_000, "up to 1k"), (8_000, "1k to 8k"), (32_000, "8k to 32k"))


class Report:
    """Filled row by row with :meth:`add`; memory grows by some numbers per row."""

    def __init__(self) -> None:
        self.rows = self.replayed = self.moved = self.refused = self.same_version = self.differing = 0
        self.not_replayable: Counter[str] = Counter()
        self.flows: Counter[tuple[str, str]] = Counter()
        self.by: dict[str, Counter[str]] = {"client": Counter(), "language": Counter(), "size": Counter()}
        self.moved_by: dict[str, Counter[str]] = {"client": Counter(), "language": Counter(), "size": Counter()}
        self.flips: list[dict[str, Any]] = []
        self._lengths: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
        # What it cost, how long its prompt and its answer were, the new model's rate, the old and the new model.
        self._costs: list[tuple[float, int, int, Rate | None, str, str]] = []
        self._success: list[Logged] = []
        self._latency: list[Logged] = []
        self._stats: dict[str, list[float]] = {"then": [0.0, 0.0], "now": [0.0, 0.0]}
        self._measured = 0

    def skipped(self, reason: str) -> None:
        self.rows += 1
        self.not_replayable[reason] += 1

    def add(self, scene: Scene, ranking: Ranking, number: int) -> None:
        """``number``: the version that is replayed."""
        self.rows += 1
        self.replayed += 1
        row, choice = scene.row, scene.choice
        groups = {
            "client": row.client or "browser",
            "language": choice.language or "none given",
            "size": next((name for most, name in _SIZES if choice.prompt_tokens <= most), "above 32k"),
        }
        for name, value in groups.items():
            self.by[name][value] += 1
        then = scene.candidates[choice.first].target if choice.first < len(scene.candidates) else None
        old = name_of(then) if then is not None else "gone"
        if not ranking.order:
            self.refused += 1
            return
        first = scene.candidates[ranking.order[0]]
        new = name_of(first.target)
        if choice.policy == number:
            self.same_version += 1
            self.differing += first.target is not then
        if first.target is not then:
            self.moved += 1
            self.flows[(old, new)] += 1
            for name, value in groups.items():
                self.moved_by[name][value] += 1
            if len(self.flips) < FLIPS:
                self.flips.append({"request": str(row.id), "at": row.created_at.isoformat(), "from": old, "to": new, **groups})
        self._cost(row, first.target)
        self._figures(scene, ranking)
        self._logged(scene, ranking, old)

    def _cost(self, row: Row, new: Target) -> None:
        if row.model is None or row.output_tokens is None or row.cost_nusd is None or row.state != RequestState.OK:
            return
        sums = self._lengths[row.model]
        sums[0] += 1
        sums[1] += row.output_tokens
        sums[2] += row.output_tokens**2
        prompt = (row.input_tokens or 0) + (row.cache_read_tokens or 0) + (row.cache_write_tokens or 0)
        self._costs.append(
            (row.cost_nusd, prompt, row.output_tokens, None, row.model, row.model)
            if new.model.name == row.model
            else (row.cost_nusd, prompt, row.output_tokens, rate_at(new.model.rates, row.created_at, prompt), row.model, new.model.name)
        )

    def _figures(self, scene: Scene, ranking: Ranking) -> None:
        """Success and latency as the statistics of then had them, for the first of each order."""
        if scene.choice.first >= len(scene.candidates):
            return
        old, new = scene.candidates[scene.choice.first].stats, scene.candidates[ranking.order[0]].stats
        if not old.requests or not new.requests or old.latency_ms is None or new.latency_ms is None:
            return
        self._measured += 1
        for name, stats in (("then", old), ("now", new)):
            self._stats[name][0] += stats.successes / stats.requests
            self._stats[name][1] += stats.latency_ms or 0.0

    def _logged(self, scene: Scene, ranking: Ranking, action: str) -> None:
        choice, row = scene.choice, scene.row
        old = choice.probabilities(len(scene.candidates))
        if (
            old is None
            or not ranking.p
            or choice.first >= len(old)
            or row.state in (RequestState.OPEN, RequestState.CLIENT_CANCELLED, RequestState.ORPHANED)
        ):
            return
        new: dict[str, float] = defaultdict(float)
        then: dict[str, float] = defaultdict(float)
        for candidate, p_new, p_old in zip(scene.candidates, ranking.p, old, strict=True):
            name = name_of(candidate.target)
            if p_new:
                new[name] += p_new
            if p_old:
                then[name] += p_old
        if not then.get(action):
            return
        unit = choice.sticky or choice.affinity or str(row.id)
        seen = frozenset(then)
        ok = row.state == RequestState.OK
        self._success.append(Logged(unit, action, then[action], float(ok), new, seen))
        # Of what failed no time is known: the time of an answer is that of an answer.
        self._latency.append(Logged(unit, action, then[action], float(row.latency_ms) if ok and row.latency_ms else None, new, seen))

    def build(self) -> dict[str, Any]:
        success, latency = estimate(self._success), estimate(self._latency)
        shown = {name: _shown(one) for name, one in (("success", success), ("latency_ms", latency))}
        return {
            "rows": self.rows,
            "replayed": self.replayed,
            "not_replayable": dict(self.not_replayable),
            "moved_share": round(self.moved / self.replayed, 6) if self.replayed else None,
            "flows": [{"from": old, "to": new, "count": count} for (old, new), count in self.flows.most_common(40)],
            "by": {
                name: [{"value": value, "rows": count, "moved": self.moved_by[name][value]} for value, count in counts.most_common(20)]
                for name, counts in self.by.items()
            },
            "refused": self.refused,
            "cost": self._money(),
            "statistics": self._expected(),
            "estimates": shown if success.value is not None else None,
            "why": success.why,
            "checked": {"rows": self.same_version, "differing": self.differing},
            "flips": self.flips,
        }

    def _expected(self) -> dict[str, Any] | None:
        if not self._measured:
            return None
        return {
            "rows": self._measured,
            **{
                name: {"success": round(sums[0] / self._measured, 4), "latency_ms": round(sums[1] / self._measured, 1)}
                for name, sums in self._stats.items()
            },
        }

    def _money(self) -> dict[str, Any]:
        """What these requests cost and would have: input as it was, output scaled by how long the two models' answers are."""
        then = now = low = high = 0.0
        counted = unknown = 0
        for cost, prompt, output, rate, old, new in self._costs:
            if old == new:
                counted += 1
                then, now, low, high = then + cost, now + cost, low + cost, high + cost
                continue
            ratio = self._ratio(old, new)
            if rate is None or ratio is None:
                unknown += 1
                continue
            counted += 1
            fixed = prompt * rate.input / 1000 + rate.request / 1000
            each = output * rate.output / 1000
            then += cost
            now += fixed + each * ratio[1]
            low += fixed + each * ratio[0]
            high += fixed + each * ratio[2]
        return {
            "rows": counted,
            "unknown": unknown,
            "then": format_usd(round(then)),
            "now": format_usd(round(now)),
            "low": format_usd(round(low)),
            "high": format_usd(round(high)),
        }

    def _ratio(self, old: str, new: str) -> tuple[float, float, float] | None:
        """Mean length of ``new``'s answers over ``old``'s, with its 95 % interval."""
        a, b = self._lengths.get(old), self._lengths.get(new)
        if a is None or b is None or a[0] < ENOUGH or b[0] < ENOUGH or a[1] <= 0 or b[1] <= 0:
            return None
        ratio = (b[1] / b[0]) / (a[1] / a[0])
        spread = math.sqrt(sum(max(0.0, s[2] / s[0] - (s[1] / s[0]) ** 2) / s[0] / (s[1] / s[0]) ** 2 for s in (a, b)))
        return ratio * math.exp(-1.96 * spread), ratio, ratio * math.exp(1.96 * spread)


def name_of(target: Target) -> str:
    return f"{target.provider.slug}/{target.upstream_id}"


def _shown(one: Estimate) -> Mapping[str, Any] | None:
    if one.value is None or one.low is None or one.high is None or one.then is None or one.snips is None:
        return None
    return {
        "then": round(one.then, 4), "now": round(one.value, 4), "low": round(one.low, 4), "high": round(one.high, 4),
        "snips": round(one.snips, 4), "rows": one.rows, "effective": one.effective, "largest": one.largest,
    }  # fmt: skip
