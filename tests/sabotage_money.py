"""The wrong lines for the journal, the ledger and the bills, as fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_JOURNAL = "tests/stores/test_journal.py"
_BUDGETS = "tests/stores/test_budgets.py"
_CHANGES = "tests/stores/test_budget_changes.py"
_LEASES = "tests/stores/test_leases.py"
_OUTAGES = "tests/stores/test_outages.py"

MONEY: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    # T1
    (
        "holds do not count",
        "llm_gateway/stores/holds.py",
        "if row.posted_nusd + row.held_nusd + amount <= limit:",
        "if row.posted_nusd + amount <= limit:",
        (_BUDGETS, "-k", "thousands_of_concurrent"),
    ),
    (
        "budgets are not looked at together",
        "llm_gateway/stores/holds.py",
        "        if refusals:\n",
        "        if refusals and refusals[0][1] is rows[0]:\n",
        (_BUDGETS, "-k", "nested_budgets"),
    ),
    (
        "a raise leaves thresholds told",
        "llm_gateway/stores/holds.py",
        "        still = row.reached(before_nusd)",
        "        still = row.reached(row.posted_nusd)",
        (_CHANGES, "-k", "thresholds_belong"),
    ),
    (
        "nothing more is too much",
        "llm_gateway/stores/holds.py",
        "        if amount <= 0:",
        "        if False:",
        (_CHANGES, "-k", "costs_nothing"),
    ),
    (
        "the free ones of an alias are refused with the others",
        "llm_gateway/engine/pipeline.py",
        "        if not run.plan.only_free(first, error.message):",
        "        if True:",
        ("tests/money/test_nothing_more.py", "-k", "free_ones_are_left"),
    ),
    (
        "a raise never ends",
        "llm_gateway/stores/holds.py",
        "        raised = until is not None and now < until",
        "        raised = until is not None",
        (_CHANGES, "-k", "raise_lets_more"),
    ),
    (
        "every period begins at midnight",
        "llm_gateway/stores/holds.py",
        "period_id(row.period, row.timezone, self._now, row.reset)",
        "period_id(row.period, row.timezone, self._now)",
        (_CHANGES, "-k", "its_own_hour"),
    ),
    (
        "tokens are never corrected",
        "llm_gateway/engine/pipeline.py",
        "            self.gate.leave(run.call.identity, run.reserved_tokens, run.tokens)",
        "            self.gate.leave(run.call.identity)",
        ("tests/api/test_limits.py", "-k", "gives_its_tokens_back"),
    ),
    (
        "tokens are not reserved",
        "llm_gateway/engine/gate.py",
        "            reserved = min(tokens, limits.share(per_minute, self._processes))",
        "            reserved = 0",
        ("tests/api/test_limits.py", "-k", "reserve_before"),
    ),
    # Names
    (
        "a pattern reaches any host",
        "llm_gateway/engine/resolve.py",
        '    if asked in snapshot.aliases or "/" not in asked:',
        "    if asked:",
        ("tests/api/test_names_allowed.py", "-k", "switched_off"),
    ),
    (
        "a list does not bind strategies",
        "llm_gateway/engine/resolve.py",
        "    if identity.models and not opens(identity.models, name):",
        "    if False:",
        ("tests/api/test_names_allowed.py", "-k", "fallbacks"),
    ),
    (
        "what needs the operator invites to retry",
        "llm_gateway/core/errors.py",
        '    type, retryable = "server_error", False\n',
        '    type, retryable = "server_error", True\n',
        ("tests/api/test_operator_has_to_act.py", "-k", "no_key_can_serve"),
    ),
    # T2
    (
        "nobody reaps",
        "llm_gateway/stores/journal.py",
        "                reap(now)",
        "                pass",
        (_LEASES, "-k", "what_the_last_run_left"),
    ),
    (
        "leases are not renewed",
        "llm_gateway/stores/journal.py",
        ".update(lease_until=now + timedelta(seconds=self._lease_s))",
        ".exists()",
        (_LEASES, "-k", "keeps_its_lease"),
    ),
    (
        "a late settlement is booked twice",
        "llm_gateway/stores/late.py",
        "    if WORD in words:",
        "    if False:",
        (_LEASES, "-k", "books_the_difference_once"),
    ),
    (
        "a cancelled open stays open",
        "llm_gateway/stores/journal.py",
        '        self._queue.put(Op("void", Void(op.work, why)))',
        "        return",
        (_JOURNAL, "-k", "nobody_waits_for"),
    ),
    # T14
    (
        "two clusters both purge",
        "llm_gateway/tasks.py",
        '    if not claim_job("purge", timedelta(days=1)):',
        "    if False:",
        ("tests/money/test_tasks.py", "-k", "twice"),
    ),
    # T16
    (
        "settlements are lost with the database",
        "llm_gateway/stores/journal.py",
        '        self._keep([op.work for op in ops if op.kind == "settle"])',
        "        pass",
        (_OUTAGES, "-k", "spooled_at_once"),
    ),
    (
        "an answer that was lost is taken for a failure",
        "llm_gateway/stores/journal.py",
        '        self._unsure += [Op("void", Void(op.work, self._trouble)) for op in ops if op.kind == "open" and not op.abandoned]',
        "        pass",
        (_OUTAGES, "-k", "answer_was_lost"),
    ),
    (
        "texts are spooled in clear",
        "llm_gateway/stores/journal.py",
        '        if text and not settlement.get("sealed"):',
        "        if False:",
        (_OUTAGES, "-k", "spooled_at_once"),
    ),
    # T21
    (
        "a new period forgets what was spent in it",
        "llm_gateway/stores/holds.py",
        'row.posted_nusd, row.held_nusd = max(0, sums.get("posted", 0)), sums.get("held", 0)',
        "row.posted_nusd, row.held_nusd = 0, 0",
        (_BUDGETS, "-k", "jumps_over_midnight"),
    ),
    (
        "days end in UTC",
        "llm_gateway/policies/periods.py",
        "    local = now.astimezone(zone_of(timezone))",
        "    local = now.astimezone(UTC)",
        (_BUDGETS, "-k", "midnight_of_its_own_zone"),
    ),
    # T22
    (
        "a purge takes what still runs",
        "llm_gateway/actions/purge.py",
        'old = RequestLog.objects.filter(~Q(state="open"), team=one, created_at__lt=_accounted(one, edge, now))',
        "old = RequestLog.objects.filter(team=one, created_at__lt=_accounted(one, edge, now))",
        ("tests/money/test_books.py", "-k", "open_request_is_never_purged"),
    ),
    (
        "erasing leaves the texts",
        "llm_gateway/actions/purge.py",
        "def _erase(ids: Sequence[UUID]) -> None:\n    _delete_bodies(ids)",
        "def _erase(ids: Sequence[UUID]) -> None:",
        ("tests/money/test_books.py", "-k", "subject_is_erased"),
    ),
    (
        "a purge takes a month that nobody closed",
        "llm_gateway/actions/purge.py",
        "                return start",
        "                pass",
        ("tests/money/test_books.py", "-k", "until_their_month_is_closed"),
    ),
    # Bills
    (
        "a deleted budget's corrections count as costs",
        "llm_gateway/models/money.py",
        'OWN_COST: ClassVar[Q] = Q(kind=Kind.ADJUSTMENT, budget=None, period_id="")',
        "OWN_COST: ClassVar[Q] = Q(kind=Kind.ADJUSTMENT, budget=None)",
        ("tests/money/test_books.py", "-k", "deleted_budget"),
    ),
    (
        "a fast answer is billed as any other",
        "llm_gateway/wires/anthropic_messages/usage.py",
        "            self._fast = True",
        "            self._fast = False",
        ("tests/money/test_classes.py",),
    ),
    (
        "cached tokens are counted twice",
        "llm_gateway/wires/_openai/usage.py",
        "        input_tokens=less(prompt, cached, written, audio_in, image_in),",
        "        input_tokens=prompt,",
        ("tests/wires/test_openai_quirks.py",),
    ),
    (
        "a rerate edits the past",
        "llm_gateway/actions/rerate.py",
        '            made.append(_entry(row, None, "", difference, now, note))',
        "            RequestLog.objects.filter(pk=row.pk).update(cost_nusd=1)",
        ("tests/money/test_books.py", "-k", "edits_nothing"),
    ),
)
