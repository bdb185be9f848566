"""The wrong lines for the engine, the door and the fault matrix, as fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

ENGINE: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    # Order of effects and balances
    (
        "send before the row",
        "llm_gateway/engine/pipeline.py",
        "await self.journal.open(run.opening)",
        "self.owner.start(self.journal.open(run.opening), 'x')",
        ("tests/engine/test_order_of_effects.py::test_the_row_is_committed_before_a_byte_goes_out",),
    ),
    (
        "forget cancelled",
        "llm_gateway/engine/pipeline.py",
        "        self.owner.start(self.settle(run,",
        "        return\n        self.owner.start(self.settle(run,",
        ("tests/engine/test_order_of_effects.py::test_a_caller_that_leaves_at_any_moment_is_settled_once",),
    ),
    (
        "settle twice",
        "llm_gateway/engine/pipeline.py",
        "            attempt.abort()\n        if run.settled:\n            return\n        if attempt is not None:\n            run.cancel",
        "            attempt.abort()\n        if attempt is not None:\n            run.cancel",
        ("tests/engine/test_order_of_effects.py::test_a_caller_that_leaves_at_any_moment_is_settled_once",),
    ),
    (
        "leak an admission",
        "llm_gateway/engine/trying.py",
        "                self.release(run)\n                run.plan.skip(target, error.message)",
        "                run.plan.skip(target, error.message)",
        ("tests/engine/test_order_of_effects.py",),
    ),
    (
        "unread stream leaks",
        "llm_gateway/engine/relay.py",
        "                self._pipeline.end_cancelled(self._run, stalled=stalled)",
        "                pass",
        ("tests/engine/test_order_of_effects.py::test_a_stream_closed_after_any_number_of_batches_is_settled_once",),
    ),
    # T3
    (
        "no drain",
        "cogo/door.py",
        '        asyncio.get_running_loop().call_later(float(self._settings["drain_s"]), self._end_streams)',
        "        pass",
        ("tests/door/test_drain.py",),
    ),
    (
        "die by the signal",
        "cogo/door.py",
        "                    server.should_exit = True",
        "                    before(got, frame)",
        ("tests/door/test_drain.py",),
    ),
    ("bodies hold the drain", "cogo/door.py", "            reader.stop()", "            pass", ("tests/door/test_drain.py",)),
    ("stuck reader holds the drain", "cogo/door.py", "            watch.give_up()", "            pass", ("tests/door/test_drain.py",)),
    # T4
    (
        "fallback after content",
        "llm_gateway/engine/pipeline.py",
        "            raise await self.end_partial(run, error.failure, delivered=False) from None",
        "            return await self.whole(call)",
        ("tests/faults/test_matrix_apart.py::test_a_whole_answer_over_a_broken_stream_is_502_without_fallback",),
    ),
    (
        "void what was received",
        "llm_gateway/engine/run.py",
        "            content_seen=tally.content,",
        "            content_seen=False,",
        ("tests/faults/test_matrix.py::test_after_content_in_a_stream",),
    ),
    (
        "retry a 400",
        "llm_gateway/policies/retry.py",
        "_FINAL = frozenset({_F.BAD_REQUEST, ",
        "_FINAL = frozenset({",
        ("tests/faults/test_matrix.py::test_before_content_with_two_candidates",),
    ),
    (
        "pass a 401 on",
        "llm_gateway/core/errors.py",
        "_K.AUTH: (502, ",
        "_K.AUTH: (401, ",
        ("tests/faults/test_matrix.py::test_before_content_with_one_candidate",),
    ),
    (
        "hold forgotten",
        "llm_gateway/policies/hold.py",
        "        return BillingRule.HOLD\n    if kind in (_F.NO_TERMINAL",
        "        return BillingRule.VOID\n    if kind in (_F.NO_TERMINAL",
        ("tests/faults/test_matrix.py::test_before_content_with_one_candidate",),
    ),
    (
        "relay what follows the end",
        "llm_gateway/engine/tally.py",
        "                return frames[:position] + self._late(frames[position:])",
        "                return frames",
        ("tests/faults/test_matrix_apart.py::test_u39_the_first_end_wins_and_the_rest_is_dropped",),
    ),
    # T5
    (
        "forge an end",
        "llm_gateway/engine/attempt.py",
        "            if self.tally.finish is None:\n",
        "            if False:\n",
        ("tests/engine/test_streams_through.py::test_a_stream_cut_anywhere_never_looks_complete",),
    ),
    (
        "glue the error",
        "llm_gateway/api/compat/_generate.py",
        "        yield _apart(last) + ",
        "        yield ",
        ("tests/engine/test_streams_through.py::test_a_stream_cut_anywhere_never_looks_complete",),
    ),
    # T11
    (
        "let sdks retry",
        "llm_gateway/api/http.py",
        'b"true" if error.retryable else b"false"',
        'b"true"',
        ("tests/engine/test_retries_and_sdks.py::test_an_sdk_adds_no_attempt_of_its_own",),
    ),
    (
        "longest wait",
        "llm_gateway/engine/run.py",
        "wait < self._wait_s",
        "wait > self._wait_s",
        ("tests/engine/test_retries_and_sdks.py::test_the_shortest_wait_of_all_candidates_is_told",),
    ),
    (
        "no cap on waits",
        "llm_gateway/engine/run.py",
        "min(self._wait_s, _MAX_WAIT_S)",
        "self._wait_s",
        ("tests/engine/test_retries_and_sdks.py::test_a_wait_in_any_form_reaches_the_caller_capped",),
    ),
    # T12
    (
        "many probes",
        "llm_gateway/policies/breaker.py",
        "    if now < breaker.until or _probing(breaker, now):",
        "    if now < breaker.until:",
        ("tests/engine/test_health_of_deployments.py::test_a_half_open_breaker_lets_one_probe_through_and_the_others_do_not_pile_up",),
    ),
    (
        "forget at restart",
        "llm_gateway/stores/health.py",
        "WORTH_SHARING_S = 5.0",
        "WORTH_SHARING_S = 5000.0",
        ("tests/engine/test_health_of_deployments.py::test_a_cooldown_is_shared_shown_and_survives_a_restart",),
    ),
    (
        "cool on 400",
        "llm_gateway/policies/health.py",
        "        _F.BAD_REQUEST,\n",
        "",
        ("tests/engine/test_health_of_deployments.py::test_a_callers_own_faults_never_cool_anything",),
    ),
    (
        "key flaps",
        "llm_gateway/engine/health.py",
        "            self._disabled_keys[target.credential.id] = outcome.reason",
        "            pass",
        ("tests/engine/test_health_of_deployments.py::test_a_refused_key_is_out_at_once_and_until_somebody_replaces_it",),
    ),
    # T13
    (
        "keep the provider busy",
        "llm_gateway/engine/pipeline.py",
        "        attempt = run.current\n        if attempt is not None:\n            attempt.abort()\n        if run.settled:",
        "        attempt = run.current\n        if run.settled:",
        ("tests/faults/test_callers.py::test_c3_a_caller_that_leaves_in_the_middle_of_a_stream",),
    ),
    (
        "nobody watches",
        "cogo/caller.py",
        '            self._watching = self._owner.start(self._watch(), "watch a caller")',
        "            pass",
        ("tests/faults/test_callers.py::test_c2_a_caller_that_leaves_before_the_first_byte",),
    ),
    (
        "cancelled is free",
        "llm_gateway/policies/hold.py",
        "    if cancelled:\n        return BillingRule.ESTIMATE",
        "    if cancelled:\n        return BillingRule.VOID",
        ("tests/faults/test_callers.py::test_c2_a_caller_that_leaves_before_the_first_byte",),
    ),
    # T17
    (
        "never full",
        "cogo/door.py",
        "                except TimeoutError:\n                    raise _full() from None",
        "                except TimeoutError:\n                    pass",
        ("tests/door/test_admission.py",),
    ),
    (
        "places are lost",
        "cogo/door.py",
        "        self._inside -= 1",
        "        pass",
        ("tests/door/test_admission.py::test_a_half_sent_body_takes_a_place_and_gives_it_back",),
    ),
    (
        "stalled readers stay",
        "cogo/caller.py",
        "            self.stalled = now - self.sending > self._stall_s",
        "            pass",
        ("tests/faults/test_callers.py::test_c4_a_reader_that_stalls_is_cut_off",),
    ),
    (
        "bodies without end",
        "cogo/caller.py",
        "        if size > self._cap:",
        "        if size > 1 << 40:",
        ("tests/faults/test_callers.py::test_c9_an_oversized_body_is_refused_and_not_read",),
    ),
    # T18
    (
        "gzip without bound",
        "llm_gateway/engine/transport.py",
        "self._out > self.MAX_RATIO * self._in",
        "self._out > 10**6 * self._in",
        ("tests/faults/test_bombs.py",),
    ),
)
