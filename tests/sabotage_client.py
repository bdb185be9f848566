"""The wrong lines for the HTTP client, as fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_ANSWERS = "tests/engine/test_client_answers.py"
_CONNECTIONS = "tests/engine/test_client_connections.py"
_ADDRESSES = "tests/engine/test_client_addresses.py"

CLIENT: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "what was too much is kept",
        "llm_gateway/engine/connections.py",
        "        if self._keep and not self._surplus and",
        "        if self._keep and",
        (_ANSWERS, "-k", "belong_to_nobody"),
    ),
    (
        "write before looking",
        "llm_gateway/engine/connections.py",
        " and not self._poll.poll(0)",
        "",
        (_ANSWERS, "-k", "belong_to_nobody"),
    ),
    (
        "half a request is a request",
        "llm_gateway/engine/connections.py",
        " and not transport.get_write_buffer_size():",
        ":",
        (_CONNECTIONS, "-k", "request_is_out"),
    ),
    (
        "every drop is stale",
        "llm_gateway/engine/connections.py",
        "_K.RESET if self._fresh or self._heard else",
        "_K.RESET if self._heard else",
        (_CONNECTIONS, "-k", "stale_and_a_new_one_is_not"),
    ),
    (
        "begun is stale too",
        "llm_gateway/engine/connections.py",
        "_K.RESET if self._fresh or self._heard else",
        "_K.RESET if self._fresh else",
        (_CONNECTIONS, "-k", "began_to_answer"),
    ),
    (
        "a reset is the end",
        "llm_gateway/engine/connections.py",
        "            if exc is None and self._until_closed(answer):",
        "            if self._until_closed(answer):",
        (_ANSWERS, "-k", "is_cut_says_how"),
    ),
    (
        "a cut is the end",
        "llm_gateway/engine/connections.py",
        "            if exc is None and self._until_closed(answer):",
        "            if exc is None:",
        (_ANSWERS, "-k", "is_cut_says_how"),
    ),
    (
        "who is cancelled stays connected",
        "llm_gateway/engine/connections.py",
        "        except asyncio.CancelledError:\n            self.close()\n",
        "        except asyncio.CancelledError:\n",
        (_CONNECTIONS, "-k", "needs_nobody_to_hang_up"),
    ),
    (
        "read whether or not anybody takes it",
        "llm_gateway/engine/connections.py",
        "        elif answer.unread > MOST_UNREAD_BYTES and",
        "        elif False and",
        (_ANSWERS, "-k", "slow_reader"),
    ),
    (
        "heads have no end",
        "llm_gateway/engine/connections.py",
        "        elif self._large or self._quiet > MAX_HEAD_BYTES:",
        "        elif self._large:",
        (_ANSWERS, "-k", "head_without_end"),
    ),
    (
        "fields have no end",
        "llm_gateway/engine/connections.py",
        "        if self._fields > MAX_FIELDS or self._sizes > MAX_HEAD_BYTES:",
        "        if False:",
        (_ANSWERS, "-k", "two_readers"),
    ),
    (
        "an old connection is as good",
        "llm_gateway/engine/connections.py",
        " and self._loop.time() < self.kept_until",
        "",
        (_CONNECTIONS, "-k", "how_long_it_keeps"),
    ),
    (
        "what is in use outlives its owner",
        "llm_gateway/engine/client.py",
        "        for connection in list(self.connections):",
        "        for connection in [one for pool in self._pools.values() for one in pool.idle]:",
        (_CONNECTIONS, "-k", "nothing_stays_open"),
    ),
    (
        "names never move",
        "llm_gateway/engine/lookups.py",
        "        if until > loop.time():",
        "        if until:",
        (_ADDRESSES, "-k", "looked_up_again"),
    ),
    (
        "one leaves and all leave",
        "llm_gateway/engine/lookups.py",
        "        return await asyncio.shield(task)",
        "        return await task",
        (_ADDRESSES, "-k", "takes_nothing_from_others"),
    ),
    (
        "wait for the first address",
        "llm_gateway/engine/lookups.py",
        "timeout=ALONE_S if left else None",
        "timeout=None",
        (_ADDRESSES, "-k", "holds_the_next_up"),
    ),
    (
        "an interim body is the body",
        "llm_gateway/engine/connections.py",
        "        if answer is not None and answer.status and not answer.ended:",
        "        if answer is not None and not answer.ended:",
        (_ANSWERS, "-k", "ends_where_it_says"),
    ),
    (
        "what was given up is kept in mind",
        "llm_gateway/engine/client.py",
        "            self.lost(connection)\n            if not",
        "            if not",
        (_CONNECTIONS, "-k", "leaves_no_connection_behind"),
    ),
)
