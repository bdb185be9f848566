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
