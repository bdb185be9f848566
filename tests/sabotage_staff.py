"""The wrong lines for staff, their trail, sign-ins, forged forms, masked keys and alerts: fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_STAFF = "tests/api/test_native_real.py"
_MATRIX = "tests/admin/test_role_matrix.py"
_TRAIL = "tests/admin/test_trail.py"
_FORGED = "tests/admin/test_forged_forms.py"
_SIGN_IN = "tests/security/test_signing_in.py"
_ECHOED = "tests/security/test_echoed_keys.py"
_CHANNELS = "tests/money/test_alert_channels.py"
_SEARCH = "tests/admin/test_searching.py"
_REDACT = "tests/core/test_redact.py"

STAFF: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "a line with IPv6 guesses from as many addresses as it likes",
        "llm_gateway/policies/callers.py",
        "return str(parsed.ipv4_mapped or ip_network((parsed, 64), strict=False))",
        "return str(parsed)",
        (_SIGN_IN, "-k", "renumbers"),
    ),
    (
        "what a secret begins with can be asked",
        "llm_gateway/admin/_forging.py",
        "if column.name in _SEALED or isinstance(column, BinaryField):",
        "if column.name in ():",
        ("tests/admin/test_forged_filters.py", "-k", "begins_with"),
    ),
    (
        "Python's own reader takes what was typed",
        "llm_gateway/admin/_facts.py",
        "        if value in self.empty_values or not isinstance(value, str):\n            return",
        "        if True:\n            return",
        (_FORGED, "-k", "has_no_end"),
    ),
    (
        "the door knows a key that the view does not",
        "llm_gateway/api/refusal.py",
        '_KEY_HEADERS = ("x-api-key", "x-goog-api-key")',
        '_KEY_HEADERS = ("x-api-key",)',
        ("tests/api/native/test_auth.py", "-k", "come_as"),
    ),
    (
        "a role takes people in unseen",
        "llm_gateway/models/trail.py",
        "        _linked_from_behind(sender, instance, action, model, pk_set)\n        return",
        "        return",
        (_TRAIL, "-k", "takes_a_person_in"),
    ),
    # Staff
    (
        "who reads may spend",
        "llm_gateway/core/roles.py",
        "Scope.GENERATE: SPENDS",
        "Scope.GENERATE: READS",
        (_STAFF, "-k", "staff_may_here"),
    ),
    (
        "give what one does not have",
        "llm_gateway/actions/_rights.py",
        "if extra := [scope.value for scope in given if scope not in own]:",
        "if extra := [scope.value for scope in given if scope is None]:",
        (_MATRIX, "-k", "whoever_only_makes"),
    ),
    (
        "unpriced models without a budget",
        "llm_gateway/actions/_rights.py",
        "and not by.has_perm(PRICES) and not _limited(row)",
        "and not row.team_id",
        (_MATRIX, "-k", "unpriced_models_without"),
    ),
    (
        "groups make superusers",
        "llm_gateway/admin/accounts.py",
        "return bool(request.user.is_superuser) and super().has_change_permission(request, obj)",
        "return super().has_change_permission(request, obj)",
        (_MATRIX, "-k", "lets_change_accounts"),
    ),
    (
        "the trail keeps secrets",
        "llm_gateway/models/trail.py",
        '_SECRETS = frozenset({"password", "ciphertext", "digest"})',
        '_SECRETS = frozenset({"digest"})',
        (_TRAIL, "-k", "no_secret"),
    ),
    (
        "refusals go unrecorded",
        "llm_gateway/api/staff.py",
        "    if user.is_authenticated and user.is_staff:\n        who =",
        "    if user.is_authenticated and not user.is_staff:\n        who =",
        (_MATRIX, "-k", "refusals_of_staff"),
    ),
    (
        "a history that is empty",
        "llm_gateway/admin/_base.py",
        "noun=self.opts.label_lower, object_id",
        'noun="", object_id',
        (_TRAIL, "-k", "history_of_an_object"),
    ),
    (
        "tables without end",
        "llm_gateway/admin/_base.py",
        "        refuse_forged_sizes(request)\n        return super().changeform_view",
        "        return super().changeform_view",
        (_FORGED, "-k", "table_without_end"),
    ),
    (
        "select boxes look up anything",
        "llm_gateway/admin/_forging.py",
        "[one for one in value if _fits(column, one)]",
        "list(value)",
        (_FORGED, "-k", "shows_its_error"),
    ),
    (
        "hash before counting",
        "cogo/settings.py",
        '"llm_gateway.actions.sign_in.Guard", ',
        "",
        (_SIGN_IN, "-k", "five_wrong"),
    ),
    (
        "waits that do not wait",
        "llm_gateway/actions/sign_in.py",
        "row.until > now]",
        "row.until > now + timedelta(days=1)]",
        (_SIGN_IN, "-k", "waits_double"),
    ),
    (
        "lock out whoever signs in from home",
        "llm_gateway/actions/sign_in.py",
        "    if browser:\n        yield",
        "    if not account:\n        yield",
        (_SIGN_IN, "-k", "stranger"),
    ),
    (
        "the quick look for keys forgets a maker",
        "llm_gateway/core/redact.py",
        "[kwifo][-_]",
        "[kwio][-_]",
        (_REDACT, "-k", "overlooked"),
    ),
    (
        "the quick look for keys takes every letter for what it looks like",
        "llm_gateway/core/redact.py",
        "if not text.isascii() or _HINT",
        "if _HINT",
        (_REDACT, "-k", "overlooked"),
    ),
    (
        "base64 is no key",
        "llm_gateway/core/redact.py",
        "for lead in range(3):",
        "for lead in range(0):",
        (_REDACT, "-k", "base64"),
    ),
    (
        "answers repeat the key",
        "llm_gateway/engine/attempt.py",
        "body = self._filter.whole(body)",
        "pass",
        (_ECHOED, "-k", "repeats_the_whole"),
    ),
    (
        "streams repeat the key",
        "llm_gateway/engine/attempt.py",
        "self._decoder.feed(self._filter.feed(data))",
        "self._decoder.feed(data)",
        (_ECHOED, "-k", "repeats_the_whole"),
    ),
    (
        "a key is a name like any other",
        "llm_gateway/core/errors.py",
        "message = without_keys(message)",
        "pass",
        (_ECHOED, "-k", "typed_where"),
    ),
    (
        "rows keep a caller's key",
        "llm_gateway/stores/rows.py",
        "return short(without_keys(text), limit)",
        "return short(text, limit)",
        (_ECHOED, "-k", "typed_where"),
    ),
    (
        "alerts fail in silence",
        "llm_gateway/actions/send_alerts.py",
        '"error": error[:200], "sent_at"',
        '"error": "", "sent_at"',
        (_CHANNELS, "-k", "both_channels"),
    ),
    (
        "a run of alerts without an end",
        "llm_gateway/actions/send_alerts.py",
        "until = time.monotonic() + run_s",
        "until = time.monotonic() + run_s * 1e6",
        (_CHANNELS, "-k", "run_ends"),
    ),
    (
        "words are looked for in ten million rows",
        "llm_gateway/admin/_keyset.py",
        'if self.query and not getattr(self._request, "cogo_search_is_indexed", False):',
        "if self.query and self._request is None:",
        (_SEARCH, "-k", "stretch"),
    ),
)
