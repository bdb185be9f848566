"""The interface of a service. Pure: it describes calls, and the engine's transport makes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

import msgspec

from llm_gateway.core.json import lenient
from llm_gateway.core.keys import KeyState, KeyVerdict
from llm_gateway.core.redact import redact
from llm_gateway.core.secret import Secret
from llm_gateway.wires import ModelFacts
from llm_gateway.wires._batch_apis import BatchApi


class ServiceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The fixed facts of a service.

    ``wire``: the format it speaks, ``None`` where the row says. ``base_url``: default, without a
    trailing slash. ``key_env``/``model_env``: environment names that configure it.
    ``non_stream_cap``: above this many output tokens, or with none given, the upstream call is
    streamed whatever the caller asked for. ``bills_aborted``: whether the provider bills a call
    that the gateway aborts before the first byte. ``priority``: its place in the enterprise order.
    ``pass_headers``: request headers that a caller may pass through. ``price_provider``: its id in
    the price data. ``counts_tokens``: it has a free endpoint that counts tokens.
    ``batches``: its own batch API.
    """

    name: str
    title: str
    wire: str | None
    base_url: str | None = None
    key_env: tuple[str, ...] = ()
    model_env: tuple[str, ...] = ()
    non_stream_cap: int | None = None
    bills_aborted: bool = False
    priority: int = 100
    pass_headers: frozenset[str] = frozenset()
    price_provider: str | None = None
    counts_tokens: bool = False
    batches: BatchApi | None = None


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One free call that shows whether a key works."""

    name: str
    url: str
    method: str = "GET"


class Service(Protocol):
    facts: ServiceFacts

    def headers(self, wire: str, key: Secret, passed: Mapping[str, str]) -> dict[str, str]:
        """Request headers: authentication, the service's required headers, and the allowed ones of
        ``passed`` (lower-case names)."""
        ...

    def model_facts(self, wire: str, upstream_id: str) -> ModelFacts:
        """A model's facts as its id alone tells them; the catalogue's figures override these."""
        ...

    def adapt(self, wire: str, body: bytes) -> bytes:
        """Last edits to a same-wire body: drop fields without effect that this host would
        refuse."""
        ...

    def probes(self, base_url: str, wire: str) -> tuple[Probe, ...]:
        """Probes to try in order until one is conclusive."""
        ...

    def judge(self, probe: Probe, status: int, headers: Mapping[str, str], body: bytes) -> KeyVerdict | None:
        """The verdict on the key; ``None``: inconclusive, try the next probe."""
        ...


def join_url(base_url: str, path: str) -> str:
    """``path`` below ``base_url``. A version segment in both (``…/v1`` and ``/v1/messages``)
    appears once, because people write either form."""
    base = base_url.rstrip("/")
    first, slash, rest = path.lstrip("/").partition("/")
    if slash and base.endswith(f"/{first}"):
        return f"{base}/{rest}"
    return f"{base}{path}"


def json_headers(passed: Mapping[str, str], allowed: frozenset[str], **auth: str) -> dict[str, str]:
    """The headers of every call: JSON both ways, uncompressed (a compressed stream can hide a bomb
    and delays events), what ``allowed`` lets through of ``passed``, and ``auth`` last, so that no
    caller's header replaces it (``_`` in a name stands for ``-``)."""
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream", "accept-encoding": "identity"}
    headers.update({name: value for name, value in passed.items() if name in allowed})
    headers.update({name.replace("_", "-"): value for name, value in auth.items() if value})
    return headers


_GEMINI = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
# claude-3-5-sonnet-20241022 and older put the generation before the family,
# claude-sonnet-4-5-20250929 and newer after it.
_OLD_CLAUDE = re.compile(r"claude-(?P<major>[123])(?:-(?P<minor>\d))?-(?P<family>[a-z]+)")
_NEW_CLAUDE = re.compile(r"claude-(?P<family>[a-z]+)-(?P<major>\d{1,2})(?:-(?P<minor>\d{1,2}))?(?:-|@|$)")


def gemini_thinking(upstream_id: str) -> str | None:
    """Models of the third generation take a thinking level, those of 2.5 a budget, older ones
    neither; ``None``: the id does not tell (https://ai.google.dev/gemini-api/docs/thinking). The
    ``-latest`` names point at new ones."""
    match = _GEMINI.search(upstream_id)
    if match is None:
        return "level" if upstream_id.endswith("-latest") and "gemini" in upstream_id else None
    version = (int(match[1]), int(match[2] or 0))
    return "level" if version >= (3, 0) else "budget" if version >= (2, 5) else "none"


def claude_generation(upstream_id: str) -> tuple[tuple[int, int], str] | None:
    """Generation and family of a model; ``None``: the id does not tell."""
    name = upstream_id.rsplit("/", 1)[-1].lower()
    match = _NEW_CLAUDE.match(name) or _OLD_CLAUDE.match(name)
    return ((int(match["major"]), int(match["minor"] or 0)), match["family"]) if match else None


def claude_is_adaptive(generation: tuple[int, int], family: str) -> bool:
    """Opus 4.7 and every model of the fifth generation refuse sampling parameters and a thinking
    budget (https://docs.claude.com/en/docs/about-claude/models)."""
    return generation >= (5, 0) or (family == "opus" and generation >= (4, 7))


def bearer(key: Secret) -> str:
    return f"Bearer {key.reveal()}" if key else ""


class Said(msgspec.Struct, frozen=True):
    """An answer to a probe; compared fields are in lower case. ``is_json``: false for a proxy's
    page."""

    is_json: bool
    message: str
    text: str
    evidence: str


def read_probe(status: int, body: bytes) -> Said:
    """Read any provider's error shape as far as a key check needs it; ``evidence`` is redacted and
    short."""
    decoded = lenient(body)
    if isinstance(decoded, list) and decoded:
        decoded = decoded[0]
    message = ""
    if isinstance(decoded, dict):
        error = decoded.get("error", decoded)
        detail = error.get("message") if isinstance(error, dict) else error
        message = detail if isinstance(detail, str) else str(decoded.get("message") or "")
    text = body[:4000].decode("utf-8", "replace").lower()
    evidence = f"HTTP {status}" + (f": {redact(message, limit=200)}" if message and status >= 400 else "")
    return Said(isinstance(decoded, dict), message, text, evidence)


def verdict(state: KeyState, reason: str, answer: Said) -> KeyVerdict:
    return KeyVerdict(state, reason, answer.evidence)
