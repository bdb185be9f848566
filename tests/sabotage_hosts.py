"""The wrong lines for what hosts and clients do their own way, as fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_HABITS = "tests/clients/test_host_habits.py"

HOSTS: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    # Habits of hosts
    (
        "thoughts do not go back",
        "llm_gateway/wires/openai_chat/encode_messages.py",
        '        body[field] = "".join(thoughts)',
        "        pass",
        (_HABITS, "-k", "second_turn"),
    ),
    (
        "a call without a thought is sent without one",
        "llm_gateway/wires/openai_chat/encode_messages.py",
        '        body[field] = " "',
        '        body[field] = ""',
        (_HABITS, "-k", "another_model_made"),
    ),
    (
        "results stay apart from their calls",
        "llm_gateway/wires/_fitting.py",
        "        messages=tuple(answered(_History(held, issuer, place, chat.tools).fitted(chat.messages))),",
        "        messages=_History(held, issuer, place, chat.tools).fitted(chat.messages),",
        ("tests/wires/test_order.py", "-k", "match_for_every_provider"),
    ),
    (
        "a call without a result stays without one",
        "llm_gateway/wires/_order.py",
        "        waiting = tuple(_result(call, at, results, placed) for call in calls)",
        "        waiting = tuple(_result(call, at, results, placed) for call in calls if call.id in results)",
        ("tests/wires/test_order.py", "-k", "match_for_every_provider"),
    ),
    (
        "a call stays where the user is said to have said it",
        "llm_gateway/wires/_order.py",
        "    history = [one for message in messages for one in _sides(message)]",
        "    history = list(messages)",
        ("tests/wires/test_order.py", "-k", "match_for_every_provider"),
    ),
    (
        "a malformed block in the history is refused",
        "llm_gateway/wires/anthropic_messages/blocks_in.py",
        "        if not past:\n            raise",
        "        raise",
        ("tests/wires/test_odd_histories.py", "-k", "ends_the_session"),
    ),
    (
        "a part of a single host in the history is refused",
        "llm_gateway/wires/openai_chat/odd_parts.py",
        "        if position > self._asked_from and",
        "        if",
        ("tests/wires/test_odd_histories.py", "-k", "ends_the_session"),
    ),
    (
        "a promise that OpenAI refuses is sent",
        "llm_gateway/wires/_wishes.py",
        "    loose = [at for at, tool in enumerate(chat.tools) if tool.strict and not _is_strict(tool.parameters)]",
        "    loose: list[int] = []",
        ("tests/wires/test_wishes_of_clients.py", "-k", "strict"),
    ),
    (
        "Claude gets every mark for its cache",
        "llm_gateway/wires/anthropic_messages/blocks_out.py",
        "    for block in marked[1 : 1 - _MOST_BREAKPOINTS]:",
        "    for block in marked[:0]:",
        ("tests/wires/test_wishes_of_clients.py", "-k", "marks_for_its_cache"),
    ),
    (
        "several system messages are sent",
        "llm_gateway/wires/openai_chat/order.py",
        "    found = list(messages) if system_anywhere else list(_one_system(messages))",
        "    found = list(messages)",
        (_HABITS, "-k", "odd_histories"),
    ),
    (
        "a preset's facts are not laid over a service's",
        "llm_gateway/engine/prepare.py",
        "        if row.holds_for(upstream_id):",
        "        if False:",
        (_HABITS, "-k", "second_turn"),
    ),
    (
        "parallel calls reach callers mixed",
        "llm_gateway/wires/_way_back.py",
        "        events = self._turns(events)\n",
        "",
        (_HABITS, "-k", "mixed"),
    ),
    (
        "content after a first finish is dropped",
        "llm_gateway/engine/tally.py",
        "            if self.done or (not self._marked and any(",
        "            if self.done or (any(",
        (_HABITS, "-k", "finished_twice or twice"),
    ),
    (
        "a broken frame reaches its own format's reader",
        "llm_gateway/api/compat/_generate.py",
        "[frame.shown for frame in batch",
        "[frame.raw for frame in batch",
        (_HABITS, "-k", "break_their_format"),
    ),
    (
        "a full context is a bad request",
        "llm_gateway/wires/_openai/errors.py",
        "    if _context.overflows(said.message, said.code, said.type):",
        "    if False:",
        (_HABITS, "-k", "full_context"),
    ),
    (
        "a blocked prompt is an error in its own format, too",
        "llm_gateway/core/errors.py",
        "    if failure.answer and failure.answer[0] == dialect:",
        "    if False:",
        ("tests/clients/test_blocked_prompts.py", "-k", "from_the_provider"),
    ),
    (
        "what changes per request stands before a provider's cached prompt",
        "llm_gateway/wires/_fitting.py",
        'BILLING_MARK = "x-anthropic-billing-header:"',
        'BILLING_MARK = "x-no-such-header:"',
        ("tests/clients/test_prompt_prefixes.py", "-k", "begins_as"),
    ),
    (
        "a free-text call is filled after its block was closed",
        "llm_gateway/wires/_held_calls.py",
        "                    if self._held and isinstance(event, _OF_A_CHOICE):",
        "                    if self._held and isinstance(event, ToolStart):",
        ("tests/wires/test_way_back.py", "-k", "block"),
    ),
    (
        "half a character is broken by Anthropic's decoder",
        "llm_gateway/wires/anthropic_messages/stream_in.py",
        "            return (*self._joined(event), *self._reader.read(event))",
        "            return self._reader.read(event)",
        ("tests/wires/test_halves.py", "-k", "two_deltas"),
    ),
)
