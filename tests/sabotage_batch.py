"""The wrong lines for batches, as fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_QUEUE = "tests/batches/test_queue.py"
_RUN = "tests/batches/test_execution.py"
_OPENAI = "tests/batches/test_openai_batches.py"
_NATIVE = "tests/batches/test_native_batches.py"
_STORE = "llm_gateway/stores/batch_queue.py"

BATCH: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "whoever lost a line still ends it",
        _STORE,
        "            kept = [one for one in ours if (one.line.id, one.line.request_id) in held]",
        "            kept = [one for one in ours if one.line.id in {line for line, _ in held}]",
        (_QUEUE, "-k", "never_hold_the_same_line"),
    ),
    (
        "an open request of a dead runner is not waited for",
        _STORE,
        '                    if state != "open":',
        "                    if True:",
        (_QUEUE, "-k", "dead_runner"),
    ),
    (
        "what was never sent counts as an execution",
        _STORE,
        'sent=state not in ("", "rejected")',
        "sent=True",
        (_QUEUE, "-k", "dead_runner"),
    ),
    (
        "a line is executed for ever",
        _STORE,
        "    if sent and row.filter(executions__gte=MOST_EXECUTIONS).exists():",
        "    if False:",
        (_QUEUE, "-k", "dead_runner"),
    ),
    (
        "a refused budget does not pause",
        _STORE,
        "        batch.pause_reason, batch.look_again_at = pause[:300], now + LOOK_AGAIN",
        "        pass",
        (_QUEUE, "-k", "refused_budget_pauses"),
    ),
    (
        "a cancelled batch takes lines back",
        _STORE,
        '    if batch.state == "cancelling":\n        row',
        "    if False:\n        row",
        (_QUEUE, "-k", "cancelling_ends"),
    ),
    (
        "turns go to who came first",
        "llm_gateway/policies/turns.py",
        "        team = min(open_ones, key=lambda one: of_team[one.team]).team",
        "        team = open_ones[0].team",
        ("tests/policies/test_batches.py", _RUN, "-k", "fewest_lines or ten_lines"),
    ),
    (
        "every line of an overload halves the pace",
        "llm_gateway/policies/pace.py",
        "        limit=pace.limit if again else max(LEAST, pace.limit / 2),",
        "        limit=max(LEAST, pace.limit / 2),",
        ("tests/policies/test_batches.py", "-k", "halves_once"),
    ),
    (
        "a batch does not stand back for live traffic",
        "llm_gateway/policies/pace.py",
        "    ceiling = max(LEAST, most * LIVE_SHARE) if live else most",
        "    ceiling = most",
        ("tests/policies/test_batches.py", "-k", "quarter"),
    ),
    (
        "a line's row does not name its batch",
        "llm_gateway/api/batches/executing.py",
        '        metadata=subject_of(http, inbound),\n        origin="batch",\n        batch_id=line.batch,',
        "        metadata=subject_of(http, inbound),",
        (_RUN, "-k", "each_line_has_a_row"),
    ),
    (
        "files of others are found",
        "llm_gateway/stores/files.py",
        "    return StoredFile.objects.filter(team_id=identity.team_id, client_key_id=identity.client_key_id, state=",
        "    return StoredFile.objects.filter(team_id=identity.team_id, state=",
        (_OPENAI, "-k", "another_key"),
    ),
    (
        "batches of others are found",
        "llm_gateway/api/compat/_batches.py",
        "    rows = Batch.objects.filter(team_id=identity.team_id, client_key_id=identity.client_key_id)",
        "    rows = Batch.objects.filter(team_id=identity.team_id)",
        (_OPENAI, "-k", "another_key"),
    ),
    (
        "a create that is sent again runs twice",
        "llm_gateway/actions/create_batch.py",
        "    if key_digest and (known := _known(identity, key_digest, digest)) is not None:",
        "    key_digest = ''\n    if False:",
        (_OPENAI, "-k", "sent_again"),
    ),
    (
        "two lines may share a custom_id",
        "llm_gateway/stores/batch_reading.py",
        "            if item.custom_id in seen:",
        "            if False:",
        (_OPENAI, "-k", "every_bad_line"),
    ),
    (
        "an entry of the zip may leave its folder",
        "llm_gateway/api/native/batch_zip.py",
        '    flat = _UNSAFE.sub("_", custom_id).strip("._-")[:80] or "line"',
        "    flat = custom_id",
        (_NATIVE, "-k", "zip_of_code"),
    ),
    (
        "what is erased stays in the file",
        "llm_gateway/stores/batch_results.py",
        "            blank(line.batch.input_id, line.offset, line.length)",
        "            pass",
        (_RUN, "-k", "erased"),
    ),
    (
        "anybody uploads to any address",
        "llm_gateway/api/compat/gemini_files.py",
        "    return pk if hmac.compare_digest(_token(pk).encode(), token.encode()) else None",
        "    return pk",
        ("tests/batches/test_gemini_batches.py", "-k", "not_given_out"),
    ),
    (
        "the end of a batch is told unsigned",
        "llm_gateway/actions/tell_batch_ended.py",
        "    digest = hmac.digest(secret.encode(), ",
        "    digest = hmac.digest(b'', ",
        (_RUN, "-k", "told_once_signed"),
    ),
)
