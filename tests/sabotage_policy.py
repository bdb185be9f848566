"""The wrong lines for decisions, policy versions and experiments, as fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_LOG = "tests/decisions/test_decision_log.py"
_VERSIONS = "tests/decisions/test_policy_versions.py"
_P = "tests/strategies/test_probabilities.py"

POLICY: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "a decision forgets its draw",
        "llm_gateway/strategies/_choice.py",
        "        int(draw * DRAWS), policy,",
        "        int(draw * 1000), policy,",
        (_LOG, "-k", "replay_bit_exact"),
    ),
    (
        "callers' words are logged",
        "llm_gateway/engine/plan.py",
        'user=digested(key, inbound.user or ""),',
        'user=inbound.user or "",',
        (_LOG, "-k", "replay_bit_exact"),
    ),
    (
        "callers go into catalogue copies",
        "llm_gateway/stores/contexts.py",
        "        clients={},\n        settings={},",
        "        settings={},",
        (_LOG, "-k", "no_secret"),
    ),
    (
        "the second of two arms is forgotten",
        "llm_gateway/strategies/_layout.py",
        "    return [weight / total for weight in weights]",
        "    return [1 / len(weights) for weight in weights]",
        (_P, "-k", "sums_to_one"),
    ),
    (
        "heads and keys are one hash",
        "llm_gateway/strategies/_order.py",
        'seed_of(facts, draw, "models"))',
        'seed_of(facts, draw, ""))',
        (_P, "-k", "sums_to_one"),
    ),
    (
        "thirty scores are too many to wait for",
        "llm_gateway/strategies/performance_based.py",
        "ENOUGH_SCORED = 30",
        "ENOUGH_SCORED = 0",
        (_P, "-k", "quality_weight"),
    ),
    (
        "an author's own two eyes suffice",
        "llm_gateway/actions/approve_policy.py",
        "        return bool(row.author_id == user.pk)",
        "        return False",
        (_VERSIONS, "-k", "four_eyes"),
    ),
    (
        "a draft takes force by being typed again",
        "llm_gateway/actions/activate_strategy.py",
        "    if chosen.four_eyes:\n",
        "    if False:\n",
        (_VERSIONS, "-k", "four_eyes"),
    ),
    (
        "a stale revision is taken",
        "llm_gateway/actions/activate_policy.py",
        "        if revision is not None and revision != PolicyEvent.revision():",
        "        if False:",
        (_VERSIONS, "-k", "draft_to_force"),
    ),
    (
        "a canary deals its callers anew",
        "llm_gateway/engine/plan.py",
        '    unit = facts.sticky or facts.affinity or f"draw:{draw!r}"',
        '    unit = f"draw:{draw!r}"',
        (_VERSIONS, "-k", "canary_keeps"),
    ),
    (
        "the guard looks away",
        "llm_gateway/policies/guards.py",
        "    if worse and now - was <= -points / 100:",
        "    if False:",
        (_VERSIONS, "-k", "canary_keeps"),
    ),
    (
        "versions can be edited",
        "llm_gateway/models/policies.py",
        "            if changed:\n                raise",
        "            if False:\n                raise",
        (_VERSIONS, "-k", "never_change"),
    ),
    (
        "overlap is taken for granted",
        "llm_gateway/policies/offpolicy.py",
        "    if unseen > UNSEEN:",
        "    if False:",
        ("tests/policies/test_offpolicy.py", "-k", "without_overlap"),
    ),
    (
        "rows of one caller count as independent",
        "llm_gateway/policies/offpolicy.py",
        "    for unit, part in zip(units, parts, strict=True):",
        "    for unit, part in zip(map(str, range(len(units))), parts, strict=True):",
        ("tests/policies/test_offpolicy.py", "-k", "narrower"),
    ),
    (
        "intervals are for one look",
        "llm_gateway/policies/evidence.py",
        "    return error * math.sqrt((rho + 1) / rho * (math.log((rho + 1) / (alpha * alpha))))",
        "    return error * 1.96",
        ("tests/policies/test_evidence.py", "-k", "peeking"),
    ),
    (
        "uneven arms are compared all the same",
        "llm_gateway/policies/experiments.py",
        "    if srm < SRM_ALPHA and min(counts) > 0:",
        "    if False:",
        ("tests/policies/test_experiments.py", "-k", "shares"),
    ),
    (
        "looking costs what it likes",
        "llm_gateway/strategies/learned.py",
        "        if total > capped:",
        "        if False:",
        ("tests/strategies/test_learned.py", "-k", "bounded"),
    ),
    (
        "who wants no looking is looked at with",
        "llm_gateway/strategies/learned.py",
        ' and facts.client not in options["never_explore"]:',
        ":",
        ("tests/strategies/test_learned.py", "-k", "bounded"),
    ),
    (
        "an answer teaches twice",
        "llm_gateway/actions/fit_learner.py",
        "        clock.learnt_until = until\n",
        "",
        ("tests/decisions/test_learning_and_experiments.py", "-k", "learner"),
    ),
    (
        "shadows decide",
        "llm_gateway/strategies/learned.py",
        '        if options["mode"] == "shadow":',
        "        if False:",
        ("tests/strategies/test_learned.py", "-k", "shadow"),
    ),
    (
        "nobody's requests count as somebody's",
        "llm_gateway/actions/_experiment_rows.py",
        "            if not unit:\n",
        "            if False:\n",
        ("tests/decisions/test_learning_and_experiments.py", "-k", "planned"),
    ),
    (
        "the console plans what the api refuses",
        "llm_gateway/admin/experiments.py",
        '            _verbs.check_plan(names, cleaned.get("minimal_effect"), cleaned.get("ends_at"))',
        "            pass",
        ("tests/admin/test_experiments.py", "-k", "the_form_refuses"),
    ),
)
