"""Takes credentials out of text that came from outside before it is stored or shown."""

from __future__ import annotations

import re

_PATTERNS = (
    re.compile(r"\b(?:sk|rk|pk|fw|gsk|xai|cogo|hf|key)[-_][A-Za-z0-9*_\-]{6,}", re.IGNORECASE),
    re.compile(r"\bAIza[A-Za-z0-9*_\-]{6,}"),
    re.compile(r"\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=*\-]{6,}", re.IGNORECASE),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
    re.compile(r"(?<=[?&]key=)[^&\s\"']+", re.IGNORECASE),
)
MAX_TEXT = 500
# A text that somebody cut may end in the middle of a secret; shorter beginnings of it tell nothing.
_TELLING = 6


def redact(text: str, *secrets: str, limit: int = MAX_TEXT) -> str:
    """``text`` with the given secrets, key-like words, bearer values and URL credentials replaced, control characters as spaces, at most
    ``limit`` characters long."""
    for secret in secrets:
        if len(secret) >= 4:
            text = _without(text, secret)
    for pattern in _PATTERNS:
        text = pattern.sub("***", text)
    return "".join(c if c.isprintable() else " " for c in text)[:limit]


def _without(text: str, secret: str) -> str:
    text = text.replace(secret, "***")
    for size in range(min(len(secret) - 1, len(text)), _TELLING - 1, -1):
        if text.endswith(secret[:size]):
            return text[:-size] + "***"
    return text
