"""What a face hands to the pipeline, and what it gets back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

import msgspec

from llm_gateway.core.caching import CacheNote
from llm_gateway.core.catalog import Identity, Target
from llm_gateway.core.chat import ChatRequest, ChatResponse
from llm_gateway.core.errors import Failure
from llm_gateway.core.events import Frame
from llm_gateway.core.usage import Usage
from llm_gateway.wires import Inbound

# So much of a text tells conversations apart.
_AFFINITY_CHARS = 256


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One authenticated request.

    ``kind`` is how it is logged: ``chat``, ``generate``, ``analyze``, ``test``, ``embeddings``. ``model`` may be empty: the active
    strategy. ``stream``: the caller wants events. ``deadline_s``: seconds from now it is willing to wait. ``headers``: the caller's own
    (lower-case names), of which a service passes what it allows. ``sticky``: user or session the strategy keeps together. ``raw``: the
    caller can take the provider's own bytes when the wire is its own dialect. ``cache``: the word of its log row; empty: nobody wanted the
    cache. ``origin``: who began it: ``live``, ``batch`` (then of ``batch_id``), ``shadow``, ``judge``, ``embed``."""

    id: UUID
    kind: str
    identity: Identity
    inbound: Inbound
    stream: bool = False
    raw: bool = True
    strategy: str | None = None
    deadline_s: float | None = None
    headers: Mapping[str, str] = {}
    task_type: str | None = None
    language: str | None = None
    framework: str | None = None
    sticky: str = ""
    metadata: Mapping[str, Any] | None = None
    tag: str = ""
    user_id: int | None = None
    address: str = ""
    origin: str = "live"
    batch_id: UUID | None = None
    cache: str = ""


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream call as it is logged. Times in milliseconds; ``started_at`` Unix seconds; ``outcome``: ok, failed, cancelled,
    partial."""

    number: int
    provider_id: int
    provider: str
    credential_id: int
    model_id: int
    model: str
    upstream_id: str
    outcome: str
    started_at: float
    error_class: str = ""
    status: int | None = None
    detail: str = ""
    upstream_request_id: str = ""
    latency_ms: int | None = None
    ttft_ms: int | None = None
    bytes_received: int = 0
    streamed: bool = False
    billed: str = "void"
    maybe_billed: bool = False
    cost_nusd: int | None = None
    failure: Failure | None = None


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a request, as committed. ``state`` as in the log; ``decision`` is JSON-able; ``cost_nusd`` ``None``: unknown."""

    id: UUID
    state: str
    target: Target | None
    served_model: str
    strategy: str
    decision: Mapping[str, Any]
    attempts: tuple[AttemptRecord, ...]
    usage: Usage | None
    cost_nusd: int | None
    latency_ms: int
    ttft_ms: int | None
    finish_reason: str = ""
    flags: str = ""
    cache: CacheNote | None = None


class WholeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Settled. ``body``: the provider's own bytes when dialect and wire are the same and nothing had to be collected, or where nothing was
    generated (embeddings, counts; then in the provider's format); ``response`` otherwise."""

    summary: Summary
    response: ChatResponse | None
    body: bytes | None = None


class FrameStream(Protocol):
    """Batches of frames. ``aclose`` may be called at any time, before the first batch and after the last, and more than once;
    ``stalled``: the caller did not take what it was sent."""

    def __aiter__(self) -> FrameStream: ...
    async def __anext__(self) -> list[Frame]: ...
    async def aclose(self, stalled: bool = False) -> None: ...


class StreamAnswer:
    """The first content event is in hand; more follow.

    ``frames`` yields batches of frames. Its last batch comes after the settlement is committed, and ``summary`` is set by then. It raises
    :class:`~llm_gateway.core.errors.GatewayError` when the stream fails (settled, too): the face ends with its dialect's error event and
    no end mark. Close it (``aclose``) when the caller leaves, even if nothing was read. ``passthrough``: the frames' raw bytes are the
    caller's own dialect. ``stands_in_for``: the retired model that was asked for."""

    __slots__ = ("attempts", "cache", "frames", "id", "model", "passthrough", "stands_in_for", "strategy", "summary", "target")

    def __init__(self, id: UUID, target: Target, model: str, passthrough: bool, attempts: int, strategy: str = "") -> None:  # noqa: A002
        self.id = id
        self.stands_in_for: str | None = None
        self.cache: CacheNote | None = None
        self.strategy = strategy
        self.target = target
        self.model = model
        self.passthrough = passthrough
        self.attempts = attempts
        self.frames: FrameStream
        self.summary: Summary | None = None


def inbound_of(chat: ChatRequest, *, size: int, needs: frozenset[str], kind: str = "chat") -> Inbound:
    """What the pipeline needs of a request the gateway itself composes (native API, key tests)."""
    return Inbound(
        kind=kind,
        dialect="native",
        model=chat.model,
        stream=chat.stream,
        include_usage=True,
        max_tokens=chat.max_tokens,
        n=chat.n,
        size=size,
        needs=needs,
        body=b"",
        chat=lambda: chat,
        affinity=_head(chat),
    )


def _head(chat: ChatRequest) -> str:
    """The first system and user text: the same in every turn of a session."""
    heads: list[str] = []
    for message in chat.messages[:4]:
        heads.append(message.text[:_AFFINITY_CHARS])
        if message.role == "user":
            break
    return "\n".join(heads)
