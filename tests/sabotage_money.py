"""The wrong lines for the journal, the ledger and the bills, as fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_JOURNAL = "tests/stores/test_journal.py"
_BUDGETS = "tests/stores/test_budgets.py"
_CHANGES = "tests/stores/test_budget_changes.py"
_LEASES = "tests/stores/test_leases.py"
_AUDIT = "tests/actions/test_audit.py"
_WATCH = "tests/actions/test_watch.py"
_CONNECTING = "tests/stores/test_connecting.py"
_OUTAGES = "tests/stores/test_outages.py"
_USAGE = "tests/wires/test_openai_usage.py"
_EMBEDDINGS = "tests/money/test_embedding_bills.py"

MONEY: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    # T1
    (
        "explain refuses what would go on to a free target",
        "llm_gateway/engine/explain.py",
        "if not found.hold_nusd or not any(line.place for line in free):",
        "if found:",
        ("tests/money/test_nothing_more.py", "-k", "of_an_alias"),
    ),
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
        "        if not exchange.plan.only_free(ticket.target, error.message):",
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
        "llm_gateway/engine/exchange.py",
        "            self._around.gate.leave(identity, self._reserved_tokens, used)",
        "            self._around.gate.leave(identity)",
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
        "llm_gateway/stores/leases.py",
        "mine.update(lease_until=now + self._lease)",
        "mine.exists()",
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
    (
        "an outage is a bad row",
        "llm_gateway/stores/outage.py",
        "    return Verdict.OUTAGE\n\n\ndef full",
        "    return Verdict.OUTAGE if isinstance(error, OperationalError | InterfaceError) else Verdict.BAD_ROW\n\n\ndef full",
        ("tests/stores/test_read_only.py", "-k", "kept_and_written"),
    ),
    (
        "leases outlive their calls",
        "llm_gateway/stores/leases.py",
        "self._live: WeakValueDictionary[UUID, Opening] = WeakValueDictionary()",
        "self._live: dict[UUID, Opening] = {}",
        ("tests/stores/test_read_only.py", "-k", "ends_with_the_call"),
    ),
    (
        "one bad settlement stops the journal",
        "llm_gateway/stores/journal.py",
        "        if self._failed_replays < REPLAYS:",
        "        if True:",
        ("tests/stores/test_read_only.py", "-k", "never_passes"),
    ),
    (
        "rows are reaped right after an outage",
        "llm_gateway/stores/journal.py",
        "            self._clock.shaken(time.monotonic(), self._lease_s)",
        "            pass",
        ("tests/stores/test_read_only.py", "-k", "nobody_is_reaped"),
    ),
    (
        "the audit overlooks rows of dead workers",
        "llm_gateway/actions/audit.py",
        "opened.filter(created_at__lt=now - UNHEARD).exclude(Exists(heard)),",
        "opened.none(),",
        (_AUDIT, "-k", "every_kind_of_damage"),
    ),
    (
        "the audit overlooks holds without a row",
        "llm_gateway/actions/audit.py",
        "rowless = held.exclude(Exists(_request_of_entry()))",
        "rowless = held.none()",
        (_AUDIT, "-k", "every_kind_of_damage"),
    ),
    (
        "the look at what is open overlooks leaked holds",
        "llm_gateway/actions/audit.py",
        "        if one.held_nusd != sums.get((one.pk, one.period_id), 0)",
        "        if False",
        (_AUDIT, "-k", "without_reading_the_books"),
    ),
    (
        "a lowered limit fails the audit",
        "llm_gateway/actions/audit.py",
        "(above if spent <= most + budget.excess_nusd else limit)",
        "(limit)",
        (_AUDIT, "-k", "a_note"),
    ),
    (
        "the watch overlooks the spool",
        "llm_gateway/actions/watch.py",
        "at < now - SETTLED_WITHIN]",
        "at < now - SETTLED_WITHIN * 1000]",
        (_WATCH, "-k", "its_own_rule"),
    ),
    (
        "the watch overlooks what was set aside",
        "llm_gateway/actions/watch.py",
        '    found = [f"{here} in {folder}"] if here else []',
        "    return _finding('S2', '', 0, [])",
        (_WATCH, "-k", "its_own_rule"),
    ),
    (
        "the watch overlooks a silent cluster",
        "llm_gateway/actions/watch.py",
        "    silent = since is None or since < now - SILENT",
        "    silent = False",
        (_WATCH, "-k", "its_own_rule"),
    ),
    (
        "the watch overlooks late jobs",
        "llm_gateway/actions/watch.py",
        "    late = ours.filter(next_run__lt=now - LATE)",
        "    late = ours.filter(next_run__lt=now - LATE * 1000)",
        (_WATCH, "-k", "its_own_rule"),
    ),
    (
        "the watch overlooks the queue",
        "llm_gateway/actions/watch.py",
        "    waiting = OrmQ.objects.filter(lock__lt=now - LATE)",
        "    waiting = OrmQ.objects.filter(lock__lt=now - LATE * 1000)",
        (_WATCH, "-k", "its_own_rule"),
    ),
    (
        "a clock set back takes the prices away",
        "llm_gateway/core/money.py",
        "    for past in (True, False):",
        "    for past in (True,):",
        ("tests/core/test_money.py", "-k", "first_one_is_in_force"),
    ),
    (
        "forked processes share connections",
        "llm_gateway/stores/connecting.py",
        "        os.register_at_fork(after_in_child=forget_inherited)",
        "        pass",
        (_CONNECTING, "-k", "forked_process"),
    ),
    (
        "the task cluster has a pool",
        "cogo/databases.py",
        "    if forks or pool == 0:",
        "    if pool == 0:",
        (_CONNECTING, "-k", "of_the_task_cluster"),
    ),
    (
        "the pool doubles its pauses",
        "cogo/databases.py",
        '"timeout": 5, "reconnect_timeout": 5}',
        '"timeout": 5, "reconnect_timeout": 300}',
        (_CONNECTING, "-k", "double_its_pauses"),
    ),
    (
        "two processes migrate at once",
        "cogo/migrating.py",
        "        while not take():",
        "        while take() and False:",
        ("tests/cogo/test_migrating.py", "-k", "comes_second"),
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
        '    if settlement["sealed"]:',
        "    if True:",
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
        "old = RequestLog.objects.filter(~Q(state=RequestState.OPEN), team=one, created_at__lt=_accounted(one, edge, now))",
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
    # Usage
    (
        "cached tokens beside the prompt are billed as output",
        "llm_gateway/wires/_openai/usage.py",
        "    return found or (cache.both if prompt < cache.both <= surplus else 0)",
        "    return 0",
        (_USAGE, "-k", "cached"),
    ),
    (
        "embeddings wait for an output count",
        "llm_gateway/core/usage.py",
        "            output_tokens=0,",
        "            output_tokens=None,",
        (_EMBEDDINGS, "-k", "cost_what_their_host_reports"),
    ),
    (
        "pictures out of the cache are billed twice",
        "llm_gateway/wires/gemini_generate/usage.py",
        'image_in = _within(_entered(block, "IMAGE"), less(entered, cached, audio_in))',
        'image_in = _entered(block, "IMAGE")',
        ("tests/wires/test_words_of_each_format.py", "-k", "billed_once"),
    ),
)
