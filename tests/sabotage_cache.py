"""The wrong lines for the answer cache, as fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_KEYS = "tests/cache/test_keys.py"
_WALK = "tests/cache/test_walk.py"
_STORES = "tests/cache/test_stores.py"
_GATEWAY = "tests/cache/test_through_the_gateway.py"

CACHE: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "a field nobody knows does not count",
        "llm_gateway/policies/cache_key.py",
        "for name, value in body.items() if name not in denied}",
        'for name, value in body.items() if name not in denied and name in ("model", "messages", "input", "contents", "temperature")}',
        (_KEYS, "-k", "any_one_field"),
    ),
    (
        "teams share their answers",
        "llm_gateway/engine/asked.py",
        "            team_id=identity.team_id,\n            client_key_id=None if wish.shared else identity.client_key_id or 0,",
        "            team_id=0,\n            client_key_id=None,",
        (_GATEWAY, "-k", "crosses_a_team"),
    ),
    (
        "a temperature left out is taken for 0",
        "llm_gateway/policies/cacheable.py",
        "chat.temperature != 0 and chat.seed is None",
        "chat.temperature and chat.seed is None",
        (_KEYS, "-k", "depends_on_nothing_else"),
    ),
    (
        "cut answers are kept",
        "llm_gateway/policies/cacheable.py",
        "FinishReason.STOP_SEQUENCE, FinishReason.TOOL_CALLS})",
        "FinishReason.STOP_SEQUENCE, FinishReason.TOOL_CALLS, FinishReason.LENGTH})",
        (_KEYS, "-k", "whole_answers_are_kept"),
    ),
    (
        "the header is not the nearest word",
        "llm_gateway/policies/cache_consent.py",
        "    if word is None:\n        on =",
        "    if True:\n        on =",
        (_KEYS, "-k", "nearest_word"),
    ),
    (
        "a purge forgets what is being made",
        "llm_gateway/policies/cache_reach.py",
        "made_at <= marks.get((ALL",
        "made_at < marks.get((ALL",
        (_KEYS, "-k", "out_of_reach"),
    ),
    (
        "each twin is sent",
        "llm_gateway/engine/cached.py",
        "self.flights.of(asked.key) if wish.look and waits < MOST_WAITS else None",
        "None",
        (_WALK, "-k", "two_hundred"),
    ),
    (
        "a failed leader leaves its twins waiting",
        "llm_gateway/engine/flights.py",
        "                del self._under_way[key]\n            flight.over()",
        "                del self._under_way[key]\n            flight.over() if flight.entry or flight.alone else None",
        (_WALK, "-k", "failed_leader"),
    ),
    (
        "twins wait for ever",
        "llm_gateway/engine/flights.py",
        "        async with asyncio.timeout(remaining_s):",
        "        async with asyncio.timeout(None):",
        (_WALK, "-k", "own_deadline"),
    ),
    (
        "twins of a dead host queue up",
        "llm_gateway/engine/cached.py",
        "if wish.look and waits < MOST_WAITS else None",
        "if wish.look else None",
        (_WALK, "-k", "host_that_is_down"),
    ),
    (
        "a stream that was left is kept",
        "llm_gateway/engine/keeping.py",
        "elif self._answer.summary is not None:",
        "elif True:",
        (_WALK, "-k", "kept_once_it_is_settled"),
    ),
    (
        "hits do not count for the rate",
        "llm_gateway/engine/cached.py",
        "            self.gate.enter(call.identity)\n            self.gate.leave(call.identity)",
        "            pass",
        (_WALK, "-k", "holds_nothing"),
    ),
    (
        "a slow shelf is waited for",
        "llm_gateway/stores/answers.py",
        "            async with asyncio.timeout(self.deadline_s):",
        "            async with asyncio.timeout(1):",
        (_STORES, "-k", "silent_shelf"),
    ),
    (
        "a broken shelf is asked each time",
        "llm_gateway/stores/answers.py",
        "        if self._faults >= FAULTS:",
        "        if False:",
        (_STORES, "-k", "broken_shelf"),
    ),
    (
        "memory has no end",
        "llm_gateway/stores/answers.py",
        "        while self.size > self._most:",
        "        while False:",
        (_STORES, "-k", "memory_is_bounded"),
    ),
    (
        "what is not to be written is written",
        "llm_gateway/stores/answers.py",
        "        if not slip.at_rest:\n            return",
        "        if False:\n            return",
        (_STORES, "-k", "never_waited_for"),
    ),
    (
        "hits flatter the success rate",
        "analytics/aggregate.py",
        'row["n"] - row["cached"]',
        'row["n"]',
        ("tests/cache/test_figures.py",),
    ),
    (
        "hits flatter the latency",
        "analytics/aggregate.py",
        'Q(state="ok") & (Q(cache=None) | ~_CACHED)',
        'Q(state="ok")',
        ("tests/cache/test_figures.py",),
    ),
    (
        "whom one erases is still told of",
        "llm_gateway/actions/purge.py",
        "    forget_teams(teams)\n",
        "",
        ("tests/cache/test_purge.py", "-k", "whom_one_erases"),
    ),
    (
        "memory is not purged",
        "llm_gateway/actions/purge_answers.py",
        "    owner = _owner(scope, whose)\n    mark(scope, owner)",
        "    owner = _owner(scope, whose)",
        ("tests/cache/test_purge.py", "-k", "each_scope"),
    ),
    (
        "a new encryption key finds the old answers",
        "llm_gateway/stores/vault.py",
        'b"answer cache\\0" + newest.encode()',
        'b"answer cache"',
        ("tests/cache/test_purge.py", "-k", "new_encryption_key"),
    ),
    (
        "a kept answer has the id of the first",
        "llm_gateway/wires/_renewed.py",
        "        return edit_object(body, changes)",
        "        return body",
        (_GATEWAY, "-k", "id_of_its_own"),
    ),
)
