"""The wrong lines for the pre-auth surface, secrets, where bytes go and availability, as fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_BEFORE = "tests/security/test_before_identity.py"
_SECRETS = "tests/security/test_secrets_stay.py"
_WHERE = "tests/security/test_where_bytes_go.py"
_AVAILABILITY = "tests/reliability/test_availability.py"
_ADDRESSES = "tests/engine/test_client_addresses.py"
_CONNECTIONS = "tests/engine/test_client_connections.py"
_REDACT = "tests/core/test_redact.py"

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
        '        if method == "POST":\n            self._arrivals.places.inside += 1\n'
        "            try:\n                await reader.read()",
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
        "llm_gateway/engine/client.py",
        "            if is_ours(error):",
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
        "        text = _without_parts(text, secret)",
        "        pass",
        (_REDACT, "-k", "telling_part"),
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
        "llm_gateway/engine/through_aiohttp.py",
        "timeout=timeout, allow_redirects=False)",
        "timeout=timeout, allow_redirects=True)",
        ("tests/engine/test_client_answers.py", "-k", "ends_where_it_says"),
    ),
    (
        "trust the name server",
        "llm_gateway/engine/lookups.py",
        "        if not found or any(",
        "        if not found or False and any(",
        (_WHERE, "-k", "changes_its_mind"),
    ),
    (
        "trust the name server behind a proxy",
        "llm_gateway/engine/through_aiohttp.py",
        "        if not found or any(",
        "        if not found or False and any(",
        (_WHERE, "-k", "changes_its_mind"),
    ),
    (
        "trust literals",
        "llm_gateway/engine/lookups.py",
        "        found = _literal(host, port) or await",
        "        if literal := _literal(host, port):\n            return literal\n        found = await",
        (_WHERE, "-k", "holds_such_an_address"),
    ),
    (
        "one pool for all",
        "llm_gateway/engine/client.py",
        "        key = (url.scheme, host, port, allow_private)",
        "        key = (url.scheme, host, port, True)",
        (_ADDRESSES, "-k", "serves_nobody_else"),
    ),
    (
        "a field may be two",
        "llm_gateway/engine/client.py",
        "        if text.count(",
        "        if False and text.count(",
        (_CONNECTIONS, "-k", "would_be_two"),
    ),
    (
        "any name is a field's",
        "llm_gateway/engine/client.py",
        "        if not _TOKEN.fullmatch(name) or lower in _OURS:",
        "        if False:",
        (_CONNECTIONS, "-k", "would_be_two or nobody_else_s_to_say"),
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
    # What every process does first, and what runs beside the relay
    (
        "everything is for everybody",
        "cogo/footing.py",
        "    os.umask(0o077)",
        "    os.umask(0o022)",
        ("tests/cogo/test_footing.py", "-k", "every_way_of_starting"),
    ),
    (
        "what was open stays open",
        "cogo/footing.py",
        "        path.chmod(stat.S_IMODE(mode) & 0o700)",
        "        pass",
        ("tests/cogo/test_footing.py", "-k", "others_could_read"),
    ),
    (
        "the cookie stands in the database",
        "cogo/sessions.py",
        '    return hmac.digest(f"session\\0{secret or settings.SECRET_KEY}".encode(), session_key.encode(), "sha256").hex()[:_LENGTH]',
        "    return session_key",
        ("tests/cogo/test_sessions.py", "-k", "copy_of_the_database"),
    ),
    (
        "a cache is believed",
        "cogo/cache.py",
        "    if text and hmac.compare_digest(mark, _mark(name, text)):",
        "    if text:",
        ("tests/cogo/test_cache.py", "-k", "under_this_name"),
    ),
    (
        "a dead cache is asked each time",
        "cogo/cache.py",
        "            self._left_alone_until = time.monotonic() + LEFT_ALONE_S",
        "            pass",
        ("tests/cogo/test_cache.py", "-k", "left_alone"),
    ),
    (
        "a child that keeps ending ends the others",
        "cogo/supervisor.py",
        "        return not self.has_been_ready and bool(essential)",
        "        return bool(essential)",
        ("tests/cogo/test_supervisor.py", "-k", "ends_the_others"),
    ),
    (
        "a child that hangs is let be",
        "cogo/restarts.py",
        "    if silent_s >= ended_after_s:",
        "    if False:",
        ("tests/cogo/test_restarts.py", "-k", "told_first"),
    ),
    (
        "a published key is a secret",
        "cogo/weakness.py",
        "    if match := _COPIED.search(text):",
        "    if match := None:",
        ("tests/cogo/test_weakness.py", "-k", "could_guess"),
    ),
    (
        "debug for all the world",
        "cogo/weakness.py",
        "    if debug and exposed(https=https, hosts=hosts):",
        "    if False:",
        ("tests/cogo/test_weakness.py", "-k", "further_than_anybody"),
    ),
    (
        "own certificates for calls only",
        "llm_gateway/engine/transport.py",
        "            verify=way.trust(), trust_env=False",
        "            trust_env=False",
        ("tests/engine/test_going_out.py", "-k", "own_authority"),
    ),
    (
        "the proxy judges for us",
        "llm_gateway/engine/through_aiohttp.py",
        '            await self._judge(target.host or "", allow_private)',
        "            pass",
        ("tests/engine/test_going_out.py", "-k", "our_own_look"),
    ),
    (
        "a key is out for ever",
        "llm_gateway/actions/check_keys.py",
        "    if not state.routable and verdict.state in _SILENT and _silent_since(key) <= now - SILENCE:",
        "    if False:",
        ("tests/actions/test_check_keys_way_back.py", "-k", "may_be_tried_again"),
    ),
    (
        "site-local is public",
        "llm_gateway/policies/addresses.py",
        "    return address in _UNICAST_V6 and not any(address in net for net in _SPECIAL_V6)",
        "    return address.is_global",
        ("tests/policies/test_addresses.py", "-k", "special_purpose"),
    ),
    (
        "a value refers to another",
        "cogo/environment.py",
        "            if value:\n                return value",
        '            if value:\n                return self.str(value[1:]) if value.startswith("$") else value',
        ("tests/cogo/test_environment.py", "-k", "dollars"),
    ),
    (
        "all sign in at once",
        "cogo/few.py",
        '        places = self._sign_ins if scope["method"] == "POST" and path.endswith("/login/") else self._pages',
        "        places = self._pages",
        ("tests/cogo/test_few.py", "-k", "flood_of_sign_ins"),
    ),
    (
        "passwords take every processor",
        "cogo/hashing.py",
        "        return _thread.submit(self._encode, password, salt, iterations).result()",
        "        return self._encode(password, salt, iterations)",
        ("tests/cogo/test_few.py", "-k", "one_at_a_time"),
    ),
)
