"""The wrong lines for the form of a strategy and the demonstration's history: fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_FORM = "tests/admin/test_strategies.py"
_DEMO = "tests/cogo/test_demo.py"
_ARMS = "tests/actions/test_compare_arms.py"

SHOW: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "a wrong setting is said anywhere",
        "llm_gateway/admin/_strategy_form.py",
        "            self.add_error(name if name in self.fields else OTHER if OTHER in self.fields else None, str(error))",
        "            self.add_error(None, str(error))",
        (_FORM, "-k", "at_their_field"),
    ),
    (
        "settings without a field are out of reach",
        "llm_gateway/admin/_strategy_form.py",
        "        return bool(self.rest(settings)) or self.kind not in strategies",
        "        return False",
        (_FORM, "-k", "within_reach"),
    ),
    (
        "spelled-out defaults are an activation",
        "llm_gateway/admin/_strategy_form.py",
        "            before = _verbs.validate_settings(self.made.kind, self.before)",
        "            before = {}",
        (_FORM, "-k", "renaming"),
    ),
    (
        "the history has no way back",
        "llm_gateway/admin/strategies.py",
        "        if not row.may_switch:",
        "        if row.may_switch:",
        (_FORM, "-k", "the_history_has"),
    ),
    (
        "who is drawn alone is one unit with all others",
        "llm_gateway/actions/_experiment_rows.py",
        '                unit = f"request {pk}"',
        '                unit = "request "',
        (_ARMS,),
    ),
    (
        "a made-up answer costs what comes to mind",
        "cogo/demo/traffic.py",
        "        cost = 0 if rate is None else cost_nusd(usage, rate)",
        "        cost = 0 if rate is None else cost_nusd(usage, rate) + 1",
        (_DEMO, "-k", "same_story"),
    ),
    (
        "a made-up budget has spent nothing",
        "cogo/demo/history.py",
        "posted_nusd=spent, period_id=present",
        "posted_nusd=0, period_id=present",
        (_DEMO, "-k", "same_story"),
    ),
    (
        "every start makes up another month",
        "cogo/demo/history.py",
        "    if recall(MEMORY):",
        "    if False:",
        (_DEMO, "-k", "same_story"),
    ),
)
