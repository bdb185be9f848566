"""The wrong lines for client keys' pages, alert rules and destinations: fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_ROLLED = "tests/api/test_rolled_keys.py"
_ROLL = "tests/actions/test_rolling.py"
_PAGES = "tests/admin/test_rolling.py"

_RAISED = "tests/actions/test_raise_alerts.py"
_SENT = "tests/money/test_destinations.py"
_RULES = "tests/admin/test_alerts.py"

_END_USERS = "tests/api/test_end_users.py"

_CONNECT = "tests/admin/test_connect.py"

_PLAY = "tests/api/test_playground.py"

CONSOLE_B: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "an old text outlives its hour",
        "llm_gateway/stores/catalog.py",
        "ends = old.dies_at if row.expires_at is None else min(old.dies_at, row.expires_at)",
        "ends = row.expires_at",
        (_ROLLED, "-k", "dies_at_its_hour"),
    ),
    (
        "a roll that was sent twice rolls twice",
        "llm_gateway/actions/roll_client_key.py",
        "        if expected and row.public_id != expected:",
        "        if False:",
        (_ROLL, _PAGES, "-k", "keeps_the_row or once_per_form"),
    ),
    (
        "rolling gives what one does not have",
        "llm_gateway/actions/roll_client_key.py",
        "        if beyond := beyond_rights(row, by):",
        "        if beyond := beyond_rights(row, None):",
        (_ROLL, "-k", "nobody_gets"),
    ),
    (
        "the same form makes two keys",
        "llm_gateway/admin/access.py",
        '        _key_pages.remember(request, request.POST.get("form_id", ""), obj)\n',
        "",
        (_PAGES, "-k", "sent_again"),
    ),
    (
        "an operator sets budgets by making keys",
        "llm_gateway/admin/access.py",
        '        money = ("Budget", {"fields": (("budget_usd", "budget_period"),)})\n'
        '        return (first, *((money,) if request.user.has_perm("llm_gateway.add_budget") else ()), *sets[1:])',
        '        money = ("Budget", {"fields": (("budget_usd", "budget_period"),)})\n        return (first, money, *sets[1:])',
        (_PAGES, "-k", "sets_none"),
    ),
    (
        "an old text is ended under another key",
        "llm_gateway/admin/_key_pages.py",
        "filter(pk=old_id, client_key_id=row.pk)",
        "filter(pk=old_id)",
        (_PAGES, "-k", "can_be_ended"),
    ),
    (
        "a flapping alert is told each time",
        "llm_gateway/actions/raise_alerts.py",
        "    if lately is None:\n        return False",
        "    if True:\n        return False",
        (_RAISED, "-k", "flapping"),
    ),
    (
        "one rule stops the others",
        "llm_gateway/actions/raise_alerts.py",
        "except (ValueError, TypeError, DatabaseError) as error:",
        "except DatabaseError as error:",
        (_RAISED, "-k", "stops_no_other"),
    ),
    (
        "callers' own mistakes make a provider sick",
        "llm_gateway/actions/events/provider_failing.py",
        ".exclude(error_class__in=_CALLERS)",
        "",
        (_RAISED, "-k", "fails_now"),
    ),
    (
        "quiet hours cost tries",
        "llm_gateway/actions/send_alerts.py",
        '        end["tries"] = alert.tries\n',
        "",
        (_SENT, "-k", "quiet_hours_wait or dead_destination"),
    ),
    (
        "quiet hours wake people",
        "llm_gateway/actions/_destinations.py",
        "if not rule.urgent and name in self._quiet:",
        "if False:",
        (_SENT, "-k", "quiet_hours_wait"),
    ),
    (
        "a Slack address is told in errors",
        "llm_gateway/actions/_destinations.py",
        "url=secret, secret=secret, private",
        'url=secret, secret="", private',
        (_SENT, "-k", "never_told"),
    ),
    (
        "a rule that is off still tells",
        "llm_gateway/actions/_destinations.py",
        "            if not rule.enabled:\n                continue\n",
        "",
        (_SENT, "-k", "without_rules_as_ever"),
    ),
    (
        "who only looks sends tests",
        "llm_gateway/admin/alert_destinations.py",
        "        if not self.has_change_permission(request):\n            raise PermissionDenied\n        if name not in",
        "        if name not in",
        (_RULES, "-k", "test_is_sent"),
    ),
    (
        "who only looks marks alerts as read",
        "llm_gateway/admin/alerts.py",
        "        if not self.has_mark_permission(request):\n            raise PermissionDenied\n",
        "",
        (_RULES, "-k", "until_somebody_reads"),
    ),
    (
        "an end user's budget binds the whole team",
        "llm_gateway/stores/catalog.py",
        "        budgets = [one for one in everyones if not one.end_user]",
        "        budgets = list(everyones)",
        (_END_USERS, "-k", "binds_one"),
    ),
    (
        "an end user's budget binds nobody",
        "llm_gateway/engine/exchange.py",
        "own = callers_budgets(call, plan.snapshot)",
        "own = call.identity.budgets",
        (_END_USERS, "-k", "binds_one"),
    ),
    (
        "a pseudonym stays where nothing is to be kept",
        "llm_gateway/stores/rows.py",
        "    if call.identity.bodies is BodyLogging.OFF or not",
        "    if not",
        (_END_USERS, "-k", "nothing_is_to_be_kept"),
    ),
    (
        "an erased person keeps a pseudonym",
        "llm_gateway/actions/purge.py",
        ", end_user=None)",
        ")",
        (_END_USERS, "-k", "binds_one"),
    ),
    (
        "whoever connects sets prices",
        "llm_gateway/admin/_connect.py",
        "        may_price = request.user.has_perm(ENTERS_PRICES)",
        "        may_price = True",
        (_CONNECT, "-k", "typed_prices"),
    ),
    (
        "whoever may look connects",
        "llm_gateway/admin/_connect.py",
        "        if not request.user.has_perms(NEEDS):\n            raise PermissionDenied\n",
        "",
        (_CONNECT, "-k", "only_who_may"),
    ),
    (
        "a provider that the log names is renamed",
        "llm_gateway/admin/providers.py",
        'return ("slug",) if obj and _verbs.why_named(obj) else ()',
        "return ()",
        (_CONNECT, "-k", "put_right"),
    ),
    (
        "the playground spends for whoever may look",
        "llm_gateway/api/playground.py",
        "    if Scope.GENERATE not in own.scopes:",
        "    if False:",
        (_PLAY, "-k", "may_not_spend"),
    ),
    (
        "the playground takes a key whose rights are gone",
        "llm_gateway/api/playground.py",
        "    if identity.revoked or (",
        "    if False and (",
        (_PLAY, "-k", "hold_here_too"),
    ),
    (
        "the playground leaves a key's addresses out",
        "llm_gateway/api/playground.py",
        "    if identity.addresses and not admits(identity.addresses, address):",
        "    if False:",
        (_PLAY, "-k", "hold_here_too"),
    ),
    (
        "the playground shows texts to everybody",
        "llm_gateway/admin/_playground.py",
        "    if not request.user.has_perm(READS_TEXTS):",
        "    if False:",
        (_PLAY, "-k", "written_down"),
    ),
    (
        "a look at texts in the playground leaves no trace",
        "llm_gateway/admin/_key_pages.py",
        '            trail.record("read texts", found["opens"], detail="Opened in the playground.")',
        "            pass",
        (_PLAY, "-k", "written_down"),
    ),
)
