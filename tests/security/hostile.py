"""Values that no client key can be, made at run time: what a stranger writes into a header (reliability.md A1)."""

from __future__ import annotations

import random
from collections.abc import Iterator

from llm_gateway.core.keys import compose_client_key

_SEEDS = (
    "'", '"', "''", "\\", "`", ";", "--", "/*", "*/", "%", "_", "%%%", "____", "%_%_", "' OR '1'='1", "' OR 1=1--", '" OR ""="',
    "'; DROP TABLE llm_gateway_clientkey;--", "' UNION SELECT ciphertext FROM llm_gateway_providerkey--", "1) OR (1=1", "$(id)", "`id`",
    "{{7*7}}", "${7*7}", "{0.__class__}", "%s", "%(key)s", "%n%n", "..", "../../etc/passwd", "null", "None", "true", "[]", "{}",
    '{"$ne": null}', "0", "-1", "1e309", "NaN", "*", "?", "+", "\t", "  ", ".", "@", "#", "&", "=", "<script>alert(1)</script>",
    "é", "日本語", "\U0001f600", "\u202e", "\u2028", "\ufeff", "ＡＢＣ", "İ", "ß" * 40, "a" * 128, "a" * 129, "a" * 5000,
    "Bearer", "Bearer Bearer x",
)  # fmt: skip


def values(known_key: str, stored_digest: str, *, count: int = 500, seed: int = 1) -> Iterator[str]:
    """At least ``count`` of them: injection, wildcards, other alphabets, one megabyte, and what is nearly ``known_key``."""
    draw = random.Random(seed)
    prefix, public, secret, check = known_key.split("_")
    unknown, _ = compose_client_key(draw.randbytes(64))
    near = [
        unknown,
        f"{prefix}_{public}_{secret[::-1]}_{check}",
        f"{prefix}_{public}_{unknown.split('_')[2]}_{check}",
        f"{prefix}_{public}_{secret}_000000",
        known_key[:-1],
        known_key + "0",
        known_key[:40],
        known_key.upper(),
        known_key.replace("_", "%5f"),
        f"{prefix}_____________{secret}_{check}",
        f"{prefix}_{'%' * 12}_{secret}_{check}",
        stored_digest,
        f"{prefix}_{public}_{stored_digest[:43]}_{check}",
        "A" * (1 << 20),
        f"{prefix}_" + "'" * (1 << 20),
    ]
    yield from near
    made = len(near)
    for text in _SEEDS:
        yield text
        yield f"{prefix}_{public}_{text}_{check}"
        yield f"{prefix}_{text}"
        made += 3
    alphabet = "'\"\\%_;-*()= \t{}[]<>&|$`~^!,.:/?0aZé日\u2028\U0001f600"
    while made < count:
        length = draw.choice((1, 3, 12, 60, 128, 400))
        yield "".join(draw.choice(alphabet) for _ in range(length))
        made += 1


def not_http(value: bytes) -> bool:
    """Whether no header may hold these bytes, so that the server's own 400 is right, too."""
    return any((byte < 32 and byte != 9) or byte == 127 for byte in value)
