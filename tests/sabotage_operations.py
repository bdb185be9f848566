"""The wrong lines for processes and large bodies, as fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

OPERATIONS: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "a child makes a lost secret anew",
        "manage.py",
        '    if "COGO_SUPERVISED" not in os.environ:',
        "    if True:",
        ("tests/e2e/test_serve.py", "-k", "cannot_start_again"),
    ),
    (
        "a flood of large bodies holds up all keys",
        "llm_gateway/engine/heavy.py",
        "self._waiting.setdefault(whose, deque())",
        "self._waiting.setdefault(0, deque())",
        ("tests/engine/test_heavy.py", "-k", "floods"),
    ),
    (
        "large bodies take no turns by key",
        "cogo/door/callers.py",
        "        working_for(identity.client_key_id)\n",
        "",
        ("tests/door/test_arrivals.py", "-k", "large_body_takes"),
    ),
    (
        "quotes without end are taken apart",
        "llm_gateway/core/json.py",
        "if self.quotes > 2 * MAX_STRINGS:",
        "if self.quotes < 0:",
        ("tests/core/test_json.py", "-k", "full_of_quotes"),
    ),
    (
        "a task cluster that does nothing lives on",
        "cogo/serving.py",
        ", silent_for_s=restarts.CLUSTER_ENDED_AFTER_S)",
        ")",
        ("tests/cogo/test_serving.py", "-k", "does_nothing"),
    ),
    (
        "an earlier key may be a published one",
        "cogo/settings.py",
        "        fallbacks=SECRET_KEY_FALLBACKS,\n",
        "",
        ("tests/cogo/test_configuration.py", "-k", "unsafe_or_meaningless"),
    ),
    (
        "a proxy hides from DEBUG",
        "cogo/weakness.py",
        "    if debug and (proxied := proxied or _of_strangers(origins)):",
        "    if not debug and (proxied := proxied or _of_strangers(origins)):",
        ("tests/cogo/test_configuration.py", "-k", "unsafe_or_meaningless"),
    ),
    (
        "each look at the schema makes it anew",
        "llm_gateway/api/docs.py",
        "        if form in self._made:",
        "        if form in ():",
        ("tests/api/test_schema.py", "-k", "made_once"),
    ),
    (
        "silence from the start is no silence",
        "cogo/children.py",
        "beat = 0.0  # none since its start",
        "pass",
        ("tests/cogo/test_supervisor.py", "-k", "promises_signs"),
    ),
    (
        "a worker keeps its figures to itself",
        "llm_gateway/telemetry/tallies.py",
        'SHARED = bool(getattr(values.ValueClass, "_multiprocess", False))',
        "SHARED = False",
        ("tests/telemetry/test_tallies.py", "-k", "own_choice"),
    ),
    (
        "figures are brought again",
        "llm_gateway/telemetry/tallies.py",
        "        new, self._new = self._new, {}\n        for labels, amount in",
        "        new = self._new\n        for labels, amount in",
        ("tests/telemetry/test_tallies.py",),
    ),
    (
        "a time on a bound falls into the next bucket",
        "llm_gateway/telemetry/tallies.py",
        "new[bisect_left(self._bounds, amount)]",
        "new[bisect_left(self._bounds, amount + 1e-9)]",
        ("tests/telemetry/test_tallies.py",),
    ),
)
