"""The wrong lines for the operator's console: fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_STANDING = "tests/policies/test_standing.py"
_REFUSALS = "tests/stores/test_refusals.py"
_SHOWN = "tests/admin/test_refusals_shown.py"
_HOME = "tests/admin/test_home.py"
_ZONES = "tests/analytics/test_zones.py"
_PAGE = "tests/admin/test_request_page.py"

CONSOLE: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "a trickle of failures is healthy",
        "llm_gateway/policies/standing.py",
        "if self.failures >= FEW and share >= FAILING_SHARE:",
        "if self.failures >= 10 and share >= FAILING_SHARE:",
        (_STANDING, "-k", "minute_apart"),
    ),
    (
        "a caller's own mistake makes a provider sick",
        "llm_gateway/policies/standing.py",
        "error_class not in _NOT_THE_HOST",
        "error_class not in ()",
        (_STANDING, "-k", "callers_fault"),
    ),
    (
        "refusals lose their words",
        "llm_gateway/stores/rows.py",
        "return _caller_s(error.message, 600),",
        'return "",',
        (_REFUSALS, "-k", "own_words"),
    ),
    (
        "nobody knows which budget refused",
        "llm_gateway/stores/holds.py",
        "            error.budget_id = row.id\n",
        "",
        (_REFUSALS, "-k", "own_words"),
    ),
    (
        "an alert says used up at a quarter",
        "llm_gateway/actions/send_alerts.py",
        "alert.spent_nusd < alert.limit_nusd:",
        "alert.spent_nusd < 0:",
        (_REFUSALS, "-k", "does_not_fit"),
    ),
    (
        "a budget that refuses looks calm",
        "llm_gateway/admin/_refusing.py",
        "if not row.refused_lately:",
        "if row.refused_lately:",
        (_SHOWN, "-k", "who_refuses_now"),
    ),
    (
        "home calls a dead provider healthy",
        "llm_gateway/telemetry/lately.py",
        "calls.setdefault((provider, upstream), []).append((outcome, error_class, number))",
        'calls.setdefault((provider, upstream), []).append(("ok", error_class, number))',
        (_SHOWN, "-k", "trickle"),
    ),
    (
        "a wrong provider stays for ever",
        "llm_gateway/admin/providers.py",
        "missing - WRITTEN_ALONG",
        "missing",
        (_SHOWN, "-k", "wrong_provider"),
    ),
    (
        "a provider goes with the prices it was billed with",
        "llm_gateway/admin/providers.py",
        "RequestLog.objects.filter(model__provider=row).exists()",
        "False",
        (_SHOWN, "-k", "stays_and_says"),
    ),
    (
        "the list of keys waits for ever",
        "llm_gateway/admin/provider_keys.py",
        'answer["HX-Refresh"] = "true"',
        "pass",
        (_SHOWN, "-k", "list_of_keys"),
    ),
    (
        "the way back leads to anybody",
        "llm_gateway/api/errors_django.py",
        "return path if ours and",
        "return request.headers.get('referer', '') if path and",
        (_SHOWN, "-k", "way_back"),
    ),
    (
        "a poll reads the list each time",
        "llm_gateway/admin/_live.py",
        "        return HttpResponse(status=204)\n    request.cogo_live",
        "        pass\n    request.cogo_live",
        (_PAGE, "-k", "without_news"),
    ),
    (
        "the live tail forgets the filters",
        "llm_gateway/admin/_live.py",
        "rows = list(self.queryset.filter(",
        "rows = list(self.root_queryset.filter(",
        (_PAGE, "-k", "ended_come"),
    ),
    (
        "strangers see requests arrive",
        "llm_gateway/admin/_live.py",
        "if not admin.has_view_permission(request):",
        "if request is None:",
        (_PAGE, "-k", "strangers"),
    ),
    (
        "thinking is billed twice",
        "llm_gateway/admin/_costing.py",
        "            tokens -= reasoning",
        "            pass",
        (_PAGE, "-k", "thinking_with_a_price"),
    ),
    (
        "a kept answer is not shown",
        "llm_gateway/admin/_conversation.py",
        'found.append({"role": "assistant", "blocks": [("answer", answer)]})',
        "pass",
        (_PAGE, "-k", "conversation"),
    ),
    (
        "colours follow the rank",
        "analytics/charts.py",
        "    for name in sorted(set(names)):\n        place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % len(COLOURS)",
        "    for place, name in enumerate(names):",
        ("tests/analytics/test_links.py", "-k", "colour"),
    ),
    (
        "what set-up made ticks the checklist",
        "analytics/home/checklist.py",
        "revoked_at=None, created_by__isnull=False",
        "revoked_at=None",
        (_HOME, "-k", "ticks_itself"),
    ),
    (
        "home tells everybody everything",
        "analytics/home/inbox.py",
        "if user.has_perm(permission) for item",
        "if permission for item",
        (_HOME, "-k", "nobody_is_told"),
    ),
    (
        "home's figures are worked out at every look",
        "analytics/dashboard.py",
        "if known is not None and cache.get(name) == known[0]:",
        "if known is not None and cache.get(name) is None:",
        (_HOME, "-k", "worked_out_once"),
    ),
    (
        "every day is a day of UTC",
        "analytics/queries.py",
        'if zone != days.UTC_NAME and "day" in group_by:',
        'if zone == "" and "day" in group_by:',
        (_ZONES, "-k", "counts_as_the_log"),
    ),
    (
        "an hour in which a day begins is of the day before",
        "analytics/days.py",
        "_LAST = timedelta(minutes=59)",
        "_LAST = timedelta(0)",
        (_ZONES, "-k", "without_a_gap"),
    ),
    (
        "anybody deletes anybody's view",
        "analytics/saved_views.py",
        "pk=pk, user_id=request.user.pk or 0, page=page",
        "pk=pk",
        ("tests/analytics/test_saved_views.py", "-k", "kept_shown"),
    ),
    (
        "a page without a way past the menu",
        "llm_gateway/admin/_landmarks.py",
        'return SafeString(f"{_SKIP}{marked}" if _CONTENT in page else marked)',
        "return page",
        ("tests/admin/test_words.py", "-k", "landmark"),
    ),
)
