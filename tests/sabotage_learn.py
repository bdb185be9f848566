"""The wrong lines for what learning and experiments read and say, as fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_MEASURED = "tests/decisions/test_measured.py"
_CUPED = "tests/policies/test_cuped.py"
_DROPS = "tests/policies/test_drops.py"
_LEARNED = "tests/strategies/test_learned.py"

LEARN: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "what was there before is added, not taken away",
        "llm_gateway/policies/cuped.py",
        "    moved = -theta * (sum(then) / n - everybody)",
        "    moved = theta * (sum(then) / n - everybody)",
        (_CUPED, "-k", "put_right"),
    ),
    (
        "the error stays what it was",
        "llm_gateway/policies/cuped.py",
        "    left = [y - theta * (x - everybody) for x, y in zip(then, now, strict=True)]",
        "    left = list(now)",
        (_CUPED, "-k", "peeking"),
    ),
    (
        "intervals are shorter than the truth allows",
        "llm_gateway/policies/cuped.py",
        "    return Adjusted(mean=mean + moved, moved=moved, error=math.sqrt(variance / n))",
        "    return Adjusted(mean=mean + moved, moved=moved, error=math.sqrt(variance / n) / 3)",
        (_CUPED, "-k", "peeking"),
    ),
    (
        "a handful from before is enough",
        "llm_gateway/policies/cuped.py",
        "LEAST_KNOWN = 50",
        "LEAST_KNOWN = 5",
        (_CUPED, "-k", "left_alone"),
    ),
    (
        "the time before is read at every look",
        "llm_gateway/actions/_experiment_rows.py",
        "    found = ExperimentHistory.objects.filter(pk=row.pk).first()",
        "    found = None\n    ExperimentHistory.objects.filter(pk=row.pk).delete()",
        (_MEASURED, "-k", "read_once"),
    ),
    (
        "an answer without a score is a bad one",
        "llm_gateway/actions/_experiment_rows.py",
        "value = said[name].get(pk) if name in said",
        "value = said[name].get(pk, 0.0) if name in said",
        (_MEASURED, "-k", "are_metrics"),
    ),
    (
        "the structure alone is quality",
        "llm_gateway/actions/_experiment_rows.py",
        "formula=FORMULA, coded=True, ",
        "formula=FORMULA, ",
        (_MEASURED, "-k", "are_metrics"),
    ),
    (
        "two bad answers are a fall",
        "llm_gateway/policies/drops.py",
        "min(before.n, recent.n) < max(values, 2):",
        "min(before.n, recent.n) < 2:",
        (_DROPS, "-k", "few_answers"),
    ),
    (
        "a fall is told by its mean alone",
        "llm_gateway/policies/drops.py",
        "    if fall < at_least or fall - margin <= 0:",
        "    if fall < at_least:",
        (_DROPS,),
    ),
    (
        "a fall has a level for one look",
        "llm_gateway/policies/drops.py",
        "    margin = radius(math.sqrt(sum(spread)), 2 * before.n * recent.n / (before.n + recent.n), ALPHA)",
        "    margin = 1.64 * math.sqrt(sum(spread))",
        (_DROPS, "-k", "cries_wolf"),
    ),
    (
        "yesterdays are read at every look",
        "llm_gateway/actions/events/quality_drop.py",
        "        rows = kept.get(day.isoformat())",
        "        rows = None",
        (_MEASURED, "-k", "scores_fell"),
    ),
    (
        "what an operator took back is a guard's alarm",
        "llm_gateway/actions/events/policy_rolled_back.py",
        "PolicyEvent.objects.filter(via=_BY, kind__in",
        "PolicyEvent.objects.filter(kind__in",
        (_MEASURED, "-k", "taken_back"),
    ),
    (
        "a few scores route what is learnt",
        "llm_gateway/strategies/learned.py",
        "ENOUGH_SCORED = 30.0",
        "ENOUGH_SCORED = 0.0",
        (_LEARNED, "-k", "quality_moves"),
    ),
    (
        "unknown quality is none",
        "llm_gateway/strategies/learned.py",
        "    middle_quality = _mean(qualities, 0.0)",
        "    middle_quality = 0.0",
        (_LEARNED, "-k", "quality_moves"),
    ),
    (
        "scores teach twice",
        "llm_gateway/actions/fit_learner.py",
        "        clock.measured_until = measured_until\n",
        "",
        ("tests/decisions/test_learning_and_experiments.py", "-k", "learner_learns"),
    ),
    (
        "the guard comes off by itself",
        "llm_gateway/actions/activate_policy.py",
        '            if not confirm:\n                raise Conflict(f"{why}, or send',
        '            if False:\n                raise Conflict(f"{why}, or send',
        (_MEASURED, "-k", "guard_comes_off"),
    ),
    (
        "the guard comes off by the strategy's own form",
        "llm_gateway/actions/activate_strategy.py",
        "        if version is None and gated(kind, validated):",
        "        if False:",
        (_MEASURED, "-k", "guard_comes_off"),
    ),
    (
        "cheaper is good enough",
        "llm_gateway/actions/gate_learned.py",
        "    if cheaper and low >= then - TOLERATED:",
        "    if cheaper:",
        (_MEASURED, "-k", "guard_comes_off"),
    ),
    (
        "a judge's requests are callers'",
        "llm_gateway/actions/measure_learned.py",
        'TAUGHT_BY = Q(origin=None) | Q(origin__in=("live", "batch"))',
        "TAUGHT_BY = Q()",
        (_MEASURED, "-k", "holdout_says"),
    ),
    (
        "a saving is told by its mean alone",
        "analytics/reports/learned.py",
        "    if least > 0:\n",
        "    if amount > 0 or least > 0:\n",
        ("tests/analytics/test_learned.py",),
    ),
    (
        "one busy caller is a crowd",
        "analytics/reports/learned.py",
        "        if count < ENOUGH or len(known) < GROUPS:",
        "        if count < ENOUGH:",
        (_MEASURED, "-k", "holdout_says"),
    ),
    (
        "who shares a rank is forgotten between two lists",
        "llm_gateway/strategies/_layout.py",
        "    parts: list[Any] = [*among]",
        "    parts: list[Any] = []",
        ("tests/strategies/test_layout.py",),
    ),
    (
        "an old catalogue's layouts stay",
        "llm_gateway/engine/resolve.py",
        "            forget_layouts()\n",
        "",
        ("tests/strategies/test_layout.py",),
    ),
)
