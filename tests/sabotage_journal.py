"""The wrong lines for the journal's short way, its statements and its spool, as fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_SHORT = "tests/stores/test_short_way.py"

JOURNAL: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "what was known is not looked at",
        "llm_gateway/stores/known.py",
        "    if rows is None or not writer.run.kept():",
        "    if rows is None:",
        (_SHORT, "-k", "reaped_meanwhile"),
    ),
    (
        "a budget that changed hands is charged in full",
        "llm_gateway/stores/known.py",
        "        if claim.budget not in rows or book.owner(claim.budget) != (claim.provider, claim.model):",
        "        if claim.budget not in rows:",
        (_SHORT, "-k", "given_to_a_provider"),
    ),
    (
        "an error leaves what was known",
        "llm_gateway/stores/batch.py",
        "        writer.forget()\n",
        "        pass\n",
        (_SHORT, "-k", "after_an_error"),
    ),
    (
        "a second hold is not known of",
        "llm_gateway/stores/batch.py",
        "                writer.claims.pop(op.work[0].call.id.hex, None)",
        "                pass",
        (_SHORT, "-k", "more_is_held"),
    ),
    (
        "a batch of one's own is no transaction",
        "llm_gateway/stores/running.py",
        '        self._execute("BEGIN IMMEDIATE")',
        '        self._execute("SELECT 1")',
        ("tests/stores/test_killed.py", "-k", "killed_at_any_statement"),
    ),
    (
        "an entry is found by its budget",
        "llm_gateway/stores/statements.py",
        """*(unindexed(f'"{name}"') + f" = ?{place}" for place""",
        """*(f'"{name}" = ?{place}' for place""",
        ("tests/stores/test_plans.py", "-k", "reads_a_table_whole"),
    ),
    (
        "the spool keeps places instead of names",
        "llm_gateway/stores/spool.py",
        "msgspec.json.encode(durable(settlement))",
        "msgspec.json.encode(settlement)",
        ("tests/stores/test_spool.py", "-k", "gives_back"),
    ),
)
