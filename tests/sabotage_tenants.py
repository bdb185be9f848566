"""The wrong lines for two teams at one gateway (T6): fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_TENANTS = "tests/security/test_tenants.py"

TENANTS: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "a batch is found by its id alone",
        "llm_gateway/api/compat/_batches.py",
        "rows = Batch.objects.filter(team_id=identity.team_id, client_key_id=identity.client_key_id)",
        "rows = Batch.objects.all()",
        (_TENANTS, "-k", "whatever_has_an_id"),
    ),
    (
        "a file is found by its id alone",
        "llm_gateway/stores/files.py",
        "StoredFile.objects.filter(team_id=identity.team_id, client_key_id=identity.client_key_id, state=",
        "StoredFile.objects.filter(state=",
        (_TENANTS, "-k", "ids_in_bodies"),
    ),
    (
        "a stored response is found by its id alone",
        "llm_gateway/stores/responses.py",
        "return StoredResponse.objects.filter(team_id=identity.team_id, client_key_id=identity.client_key_id)",
        "return StoredResponse.objects.all()",
        (_TENANTS, "-k", "ids_in_bodies"),
    ),
    (
        "a key reads the rows of every team",
        "llm_gateway/api/native/results.py",
        "        rows = rows.filter(team_id=identity.team_id)\n",
        "        pass\n",
        (_TENANTS, "-k", "lists_filters"),
    ),
)
