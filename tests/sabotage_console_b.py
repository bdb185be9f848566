"""The wrong lines for client keys' pages, alert rules and destinations: fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_ROLLED = "tests/api/test_rolled_keys.py"
_ROLL = "tests/actions/test_rolling.py"
_PAGES = "tests/admin/test_rolling.py"

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
)
