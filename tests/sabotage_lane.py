"""The wrong lines for the provider lane of batches, as fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_LANE = "tests/batches/test_lane.py"
_APIS = "tests/batches/test_batch_apis.py"
_STEPS = "tests/batches/test_lane_steps.py"
_RUN = "llm_gateway/api/batches/lane.py"

LANE: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "a batch that may exist is created again",
        _RUN,
        '            "sending": self._send, "creating": self._look_for,',
        '            "sending": self._send, "creating": self._send,',
        (_STEPS, "-k", "never_made_twice"),
    ),
    (
        "a stranger's batch is deleted",
        _RUN,
        "        if ours or not shard.adopted:\n",
        "        if True:\n",
        (_STEPS, "-k", "neither_cancelled_nor_deleted"),
    ),
    (
        "what a provider lost is free",
        "llm_gateway/api/batches/lane_ends.py",
        "target), sent_of(shard), error, charged=charged).settlement",
        "target), sent_of(shard), error, charged=False).settlement",
        (_STEPS, "-k", "lost_line"),
    ),
    (
        "what was refused is charged",
        "llm_gateway/engine/batch_lane.py",
        "    rule = BillingRule.HOLD if charged else BillingRule.VOID",
        "    rule = BillingRule.HOLD",
        (_STEPS, "-k", "lost_line"),
    ),
    (
        "lines of a shard that was never sent stay claimed",
        "llm_gateway/api/batches/lane_ends.py",
        "    await found.threaded(batch_queue.put, [Returned(line=line) for line in lines], datetime.now(UTC))",
        "    pass",
        (_STEPS, "-k", "before_anything_was_sent"),
    ),
    (
        "a lost line goes to the provider once more",
        "llm_gateway/stores/batch_queue.py",
        '        changes["lane"] = lane',
        "        pass",
        (_STEPS, "-k", "lost_line"),
    ),
    (
        "runners take what is on its way to a provider",
        "llm_gateway/stores/batch_queue.py",
        "        ready = ready.filter(lane=GATEWAY)",
        "        pass",
        (_STEPS, "-k", "the_one_model_that_fell_out"),
    ),
    (
        "rows of a shard are not renewed",
        "llm_gateway/stores/batch_shards.py",
        "        renewed += renew_rows(pk, runner, now)",
        "        pass",
        (_STEPS, "-k", "rows_of_a_shard"),
    ),
    (
        "a batch at Anthropic is found by its time alone",
        "llm_gateway/wires/_batch_apis/anthropic.py",
        ' and _size(one.get("request_counts")) == shard.count:',
        ":",
        (_APIS, "-k", "moment_and_size"),
    ),
    (
        "counts of batches are not audited",
        "llm_gateway/actions/audit_batches.py",
        "        if told != lines or sum(told.values()) != batch.total:",
        "        if False:",
        ("tests/actions/test_audit.py", "-k", "damage"),
    ),
    (
        "costs of batches are not audited",
        "llm_gateway/actions/audit_batches.py",
        "        if cost != batch.cost_nusd:",
        "        if False:",
        ("tests/actions/test_audit.py", "-k", "damage"),
    ),
)
