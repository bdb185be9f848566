"""The wrong lines for the pre-auth surface, secrets, where bytes go and availability, as fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_BEFORE = "tests/security/test_before_identity.py"
_SECRETS = "tests/security/test_secrets_stay.py"
_WHERE = "tests/security/test_where_bytes_go.py"
_AVAILABILITY = "tests/reliability/test_availability.py"

SECURITY: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    # T8
    (
        "tell a known id from an unknown one",
        "llm_gateway/core/keys.py",
        "    if match is None or _checksum(match[1], match[2]) != match[3]:\n        return None",
        "    if match is not None and _checksum(match[1], match[2]) != match[3]:\n        raise ValueError(key)\n"
        "    if match is None:\n        return None",
        (_BEFORE, "-k", "five_hundred"),
    ),
    (
        "read before asking who",
        "cogo/door/compat.py",
        "            who = self._callers.keyed(scope, headers)\n",
        "            await Body(receive, 1 << 30, 30).read()\n            who = self._callers.keyed(scope, headers)\n",
        (_BEFORE, "-k", "gigabyte"),
    ),
    (
        "a cookie opens the gate",
        "cogo/door/arrivals.py",
        "        cap = self.cap if who.identity is not None else min(self.cap, MOST_FORM_BYTES)",
        "        cap = self.cap",
        (_BEFORE, "-k", "cookie"),
    ),
    (
        "a place before the body",
        "cogo/door/compat.py",
        '        if method == "POST":\n            try:\n                await reader.read()',
        '        if method == "POST":\n            self._arrivals.places.inside += 1\n            try:\n                await reader.read()',
        ("tests/door/test_admission.py::test_a_half_sent_body_takes_no_place",),
    ),
    (
        "strangers among the keyed",
        "cogo/door/arrivals.py",
        "        return self.anonymous if identity is None else self.places",
        "        return self.places",
        ("tests/door/test_arrivals.py::test_anonymous_callers_have_places_of_their_own",),
    ),
    (
        "uploads without end",
        "cogo/door/uploads.py",
        "        if self.of(identity) >= self._per_key:",
        "        if False:",
        ("tests/door/test_arrivals.py::test_a_key_has_its_share_of_uploads_and_no_more",),
    ),
    (
        "the last key counts",
        "cogo/door/headers.py",
        "        if name in seen and name in SINGLE:",
        "        if False:",
        ("tests/door/test_arrivals.py::test_one_header_one_value_and_one_key",),
    ),
    (
        "any address will do",
        "cogo/door/callers.py",
        "        if identity.addresses and not admits(identity.addresses, address):",
        "        if False:",
        ("tests/door/test_arrivals.py::test_a_key_is_good_at_its_addresses_only",),
    ),
    (
        "believe the left-most",
        "cogo/door/callers.py",
        "        for text in reversed(chain[-MOST_HOPS:]):",
        "        for text in chain[-MOST_HOPS:]:",
        ("tests/door/test_arrivals.py::test_a_key_is_good_at_its_addresses_only",),
    ),
    (
        "keys without number",
        "llm_gateway/core/json.py",
        '            (self.keys, MAX_KEYS, "keys"),\n',
        "",
        ("tests/core/test_json.py::test_a_document_may_have_so_much_of_each_and_no_more",),
    ),
    (
        "heads without clock",
        "cogo/connections.py",
        "self.loop.call_later(self.limits.head_s, self._late)",
        "self.loop.call_later(3600, self._late)",
        ("tests/door/test_connections.py::test_a_connection_that_says_nothing_whole_is_given_up",),
    ),
    (
        "our lack is their fault",
        "llm_gateway/engine/transport.py",
        "            if _is_ours(error):",
        "            if False:",
        ("tests/door/test_connections.py::test_our_own_lack_of_descriptors_is_no_providers_fault",),
    ),
    (
        "this machine may see",
        "cogo/operations.py",
        "            return self._open",
        "            return True",
        ("tests/cogo/test_operations.py::test_an_address_opens_nothing",),
    ),
    # T9
    (
        "repeat what the provider repeats",
        "llm_gateway/core/redact.py",
        "            text = _without(text, secret)",
        "            pass",
        (_SECRETS, "-k", "anywhere_else"),
    ),
    (
        "half a key is no key",
        "llm_gateway/core/redact.py",
        '            return text[:-size] + "***"',
        "            return text",
        (_SECRETS, "-k", "anywhere_else"),
    ),
    (
        "ids come as they are",
        "llm_gateway/engine/attempt.py",
        "self.upstream_request_id = redact(value, self.target.credential.secret.reveal(), limit=100)",
        "self.upstream_request_id = value[:100]",
        (_SECRETS, "-k", "anywhere_else"),
    ),
    (
        "exceptions come as they are",
        "llm_gateway/telemetry/logs.py",
        '_end(redact(self.formatException(record.exc_info)[-LONGEST:].replace("\\n", " | "), limit=LONGEST))',
        "_end(self.formatException(record.exc_info))",
        (_SECRETS, "-k", "layer_that_fails"),
    ),
    # T10
    (
        "follow redirects",
        "llm_gateway/engine/transport.py",
        "timeout=timeout, allow_redirects=False)",
        "timeout=timeout, allow_redirects=True)",
        (_WHERE, "-k", "redirect"),
    ),
    (
        "trust the name server",
        "llm_gateway/engine/transport.py",
        "        if not found or any(",
        "        if not found or False and any(",
        (_WHERE, "-k", "changes_its_mind"),
    ),
    (
        "trust literals",
        "llm_gateway/engine/transport.py",
        "        _refuse_literal(target, allow_private)\n",
        "",
        (_WHERE, "-k", "holds_such_an_address"),
    ),
    (
        "look up twice for a key check",
        "llm_gateway/engine/transport.py",
        "            named.copy_with(host=address),",
        "            named,",
        (_WHERE, "-k", "key_check"),
    ),
    # T20
    (
        "one attempt is enough",
        "llm_gateway/policies/retry.py",
        "MAX_ATTEMPTS = 3",
        "MAX_ATTEMPTS = 1",
        (_AVAILABILITY, "-k", "independently"),
    ),
)
