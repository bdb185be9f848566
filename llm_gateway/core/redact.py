"""Takes credentials out of text that came from outside before it is stored or shown.

Three sieves. :func:`redact` is for what failed or describes a failure: errors, headers, log lines,
evidence. It takes out given secrets whole, in part (eight characters or more), in base64,
hexadecimal, percent-encoding or backwards, and whatever looks like a key. :func:`without_keys` is
for a caller's own words on their way into rows and messages (model, user, tag, metadata): only what
has the full form of a key. :class:`KeyFilter` is for the bytes of a successful answer: only the
very key that was sent to this provider.
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from urllib.parse import quote

_PATTERNS = (
    # The gateway's own setting names are not secrets.
    re.compile(r"\b(?!(?-i:COGO_[A-Z_]+\b))(?:sk|rk|pk|fw|gsk|xai|cogo|hf)[-_][A-Za-z0-9*_\-]{6,}", re.IGNORECASE),
    # "key_revoked" is one of the gateway's own codes.
    re.compile(r"\bkey[-_](?!revoked\b)[A-Za-z0-9*_\-]{8,}", re.IGNORECASE),
    re.compile(r"\bAIza[A-Za-z0-9*_\-]{6,}"),
    re.compile(r"\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=*\-]{6,}", re.IGNORECASE),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
    re.compile(r"(?<=[?&]key=)[^&\s\"']+", re.IGNORECASE),
)
# Whatever a pattern finds holds one of these in lower case. Beyond ASCII there are letters that
# only look at another case like ours.
_HINT = re.compile(r"[kwifo][-_]|ey[-_]|aiza|bearer|basic|://|key=")
# The full form of a key of ours, or of a provider whose keys have one; names of models have none of
# these.
_FULL = re.compile(
    r"cogo_[0-9A-Za-z]{12}_[0-9A-Za-z]{32,64}(?:_[0-9A-Za-z]{0,6})?|\bsk-(?:[a-z]+[0-9]*-)*[A-Za-z0-9_]{20,}[A-Za-z0-9_\-]*"
    r"|\bAIza[A-Za-z0-9_\-]{30,}|\bfw_[A-Za-z0-9]{20,}|\b(?:gsk_|xai-)[A-Za-z0-9]{20,}"
)
MAX_TEXT = 500
# A truncated text may end in the middle of a secret; a shorter prefix reveals nothing useful.
_TELLING = 6
# A piece of this length reveals too much of a secret. Any such piece holds a whole ``_GRAM`` at a
# multiple of ``_STEP``.
PART, _GRAM, _STEP = 8, 4, 5
# Pieces of shorter secrets and of common words stay.
_LONG_SECRET = 16
MASK = "***"
_MARGIN = 2000
# How many occurrences to check in a secret that repeats itself.
_PLACES = 8


def redact(text: str, *secrets: str, limit: int = MAX_TEXT) -> str:
    """``text`` with the given secrets, key-like words, bearer values and URL credentials replaced,
    control characters as spaces, at most ``limit`` characters long."""
    # Redact only as much of a long text as will be shown; masks shorten it.
    text = text[: 4 * limit + _MARGIN]
    for secret in secrets:
        if len(secret) >= 4:
            text = _without(text, secret)
    if not text.isascii() or _HINT.search(text.lower()):
        for pattern in _PATTERNS:
            text = pattern.sub(MASK, text)
    return (text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text))[:limit]


def without_keys(text: str) -> str:
    """``text`` without anything that has the full form of a key."""
    if "cogo_" in text or "sk-" in text or "AIza" in text or "fw_" in text or "gsk_" in text or "xai-" in text:
        return _FULL.sub(MASK, text)
    return text


class KeyFilter:
    """Takes one provider's key out of the bytes of its answers, in each form it may be echoed
    whole. :meth:`whole` for a body; for a stream :meth:`feed` each piece and :meth:`rest` at its
    end: a key that two pieces share is found, too."""

    __slots__ = ("_forms", "_held", "_longest")

    def __init__(self, secret: str) -> None:
        self._forms = _byte_forms(secret)
        self._longest = max(map(len, self._forms), default=0)
        self._held = b""

    def whole(self, body: bytes) -> bytes:
        for form in self._forms:
            if form in body:
                body = body.replace(form, MASK.encode())
        return body

    def feed(self, piece: bytes) -> bytes:
        if self._held:
            piece, self._held = self._held + piece, b""
        piece = self.whole(piece)
        # Events end in a line feed, which no form holds.
        if piece[-1:] != b"\n" and (size := self._beginning(piece)):
            piece, self._held = piece[:-size], piece[-size:]
        return piece

    def rest(self) -> bytes:
        held, self._held = self._held, b""
        return held

    def _beginning(self, piece: bytes) -> int:
        """How many bytes at the end of ``piece`` may be the beginning of a form."""
        for size in range(min(self._longest - 1, len(piece)), 0, -1):
            end = piece[-size:]
            if any(form.startswith(end) for form in self._forms):
                return size
        return 0


def _without(text: str, secret: str) -> str:
    # What is shorter than each of them holds none.
    if len(text) >= _shortest(secret):
        for form in _forms(secret):
            if form in text:
                text = text.replace(form, MASK)
    if len(secret) >= _LONG_SECRET:
        text = _without_parts(text, secret)
    # The longest end of the text that begins the secret, but for the whole of it.
    at = text.find(secret[:_TELLING])
    while at >= 0:
        if len(text) - at < len(secret) and secret.startswith(text[at:]) and len(text) - at >= _TELLING:
            return text[:at] + MASK
        at = text.find(secret[:_TELLING], at + 1)
    return text


def _without_parts(text: str, secret: str) -> str:
    forms, grams = _forms(secret), _grams(secret)
    spans: list[tuple[int, int]] = []
    end = 0
    for at in range(0, len(text) - _GRAM + 1, _STEP):
        if at >= end and text[at : at + _GRAM] in grams:
            begin, end = max((_stretch(text, at, form) for form in forms), key=lambda span: span[1] - span[0])
            if end - begin >= PART and _tells(text[begin:end]):
                spans.append((begin, end))
    for begin, end in reversed(spans):
        text = text[:begin] + MASK + text[end:]
    return text


def _stretch(text: str, at: int, form: str) -> tuple[int, int]:
    """The longest piece of ``form`` that ``text`` has around ``at``."""
    best = (at, at)
    place, looked = form.find(text[at : at + _GRAM]), 0
    while place >= 0 and looked < _PLACES:
        looked += 1
        begin, end = at, at + _GRAM
        while begin and place - (at - begin) and text[begin - 1] == form[place - (at - begin) - 1]:
            begin -= 1
        while end < len(text) and place + (end - at) < len(form) and text[end] == form[place + (end - at)]:
            end += 1
        best = max(best, (begin, end), key=lambda span: span[1] - span[0])
        place = form.find(text[at : at + _GRAM], place + 1)
    return best


def _tells(part: str) -> bool:
    """Whether it looks unlike a word: it has a digit, has both cases, or is long."""
    return len(part) >= 2 * PART or any(c.isdigit() for c in part) or not (part.islower() or part.isupper())


@lru_cache(maxsize=512)
def _forms(secret: str) -> tuple[str, ...]:
    """The secret and what it looks like encoded, wherever in an encoded text it begins."""
    raw = secret.encode()
    forms = [secret]
    if len(secret) >= PART:
        forms += [secret[::-1], raw.hex(), raw.hex().upper(), quote(secret, safe="")]
        for lead in range(3):
            encoded = base64.b64encode(bytes(lead) + raw).decode()
            # What the bytes before and after have a part in is left out.
            inner = encoded[(0, 2, 3)[lead] : len(encoded) - (0 if (lead + len(raw)) % 3 == 0 else 4 - (lead + len(raw)) % 3 + 1)]
            forms += [inner, inner.replace("+", "-").replace("/", "_")]
    return tuple(dict.fromkeys(forms))


@lru_cache(maxsize=512)
def _shortest(secret: str) -> int:
    return min(map(len, _forms(secret)))


@lru_cache(maxsize=512)
def _grams(secret: str) -> frozenset[str]:
    return frozenset(form[at : at + _GRAM] for form in _forms(secret) for at in range(len(form) - _GRAM + 1))


@lru_cache(maxsize=512)
def _byte_forms(secret: str) -> tuple[bytes, ...]:
    """Empty for a secret so short that it could occur in any answer."""
    return tuple(form.encode() for form in _forms(secret)) if len(secret) >= _LONG_SECRET else ()
