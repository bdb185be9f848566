"""The two faces of a wire format.

:class:`Wire` is what we speak to a provider, :class:`Dialect` what a caller speaks to us. Both are
stateless; streams get a fresh decoder or encoder each. Bad input from a caller raises
:class:`~llm_gateway.core.errors.InvalidRequest` (or a subclass) naming the field; bad input from a
provider raises :class:`~llm_gateway.core.errors.AttemptFailed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import msgspec

from llm_gateway.core.chat import ChatRequest, ChatResponse
from llm_gateway.core.errors import Failure, GatewayError
from llm_gateway.core.events import Event, Frame
from llm_gateway.core.usage import Usage


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What an encoder must know of the model it writes for.

    ``upstream_id``: the provider's name of it. ``max_tokens_field``: ``max_tokens`` or
    ``max_completion_tokens`` (OpenAI chat only). ``sampling``: whether temperature, top_p and top_k
    may be sent. ``thinking``: ``none``, ``budget``, ``adaptive``, ``level``, ``effort``.
    ``default_max_tokens``: sent where the wire demands a limit and the caller gave none.
    ``capabilities``: e.g. ``tools``, ``images``, ``documents``, ``audio``, ``json_schema``, ``n``.
    ``drop_hints``: hosts with strict validation, where no hint may be sent. ``extensions``: what an
    OpenAI-compatible host takes beyond what every one of them takes: see
    :data:`~llm_gateway.core.host_facts.EXTENSIONS`. Apart from capabilities, for it refuses
    nothing. ``efforts``: the reasoning efforts the model takes; empty: unknown, any is sent.
    ``user_limit``: characters of ``user``. ``stream_usage``: whether usage may be asked for in a
    stream, ``openai_tools``: whether free-text tools and a choice of some tools may be sent (both
    OpenAI chat only). ``issuer``: whose thinking the target takes back (see _issuers.py); empty:
    nobody knows.
    """

    upstream_id: str
    max_tokens_field: str = "max_tokens"
    sampling: bool = True
    stop: bool = True
    thinking: str = "none"
    default_max_tokens: int = 4096
    max_output_tokens: int | None = None
    context_window: int | None = None
    capabilities: frozenset[str] = frozenset()
    drop_hints: bool = False
    extensions: frozenset[str] = frozenset()
    efforts: frozenset[str] = frozenset()
    issuer: str = ""
    user_limit: int = 64
    stream_usage: bool = True
    openai_tools: bool = True


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    """Texts to turn into vectors. ``base64``: the caller wants little-endian 32-bit floats in
    base64 (OpenAI); ``single``: it asked for one vector and not for a list of one (Gemini).
    ``left_out``: what it said that only its own format knows."""

    texts: tuple[str, ...]
    dimensions: int | None = None
    base64: bool = False
    single: bool = False
    left_out: tuple[str, ...] = ()


class Once:
    """``Once(read, …)()`` is ``read(…)``, done when it is first asked for; raises what that raises,
    each time."""

    __slots__ = ("_chat", "_given", "_read")

    def __init__(self, read: Callable[..., ChatRequest], *given: Any) -> None:
        self._read = read
        self._given = given
        self._chat: ChatRequest | None = None

    def __call__(self) -> ChatRequest:
        if self._chat is None:
            self._chat = self._read(*self._given)
        return self._chat


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """A caller's request, read as far as routing needs; ``chat()`` decodes the rest when a
    translation wants it.

    ``kind``: ``chat`` | ``embeddings`` | ``count_tokens``. ``size``: an estimate of the prompt in
    characters, with everything that is billed as input counted. ``searches``: how many of the
    provider's own searches it may cost. ``needs``: capabilities the request asks for. ``affinity``:
    text whose repetition marks the same session or prompt prefix (the caller's cache key, else the
    head of the prompt). ``body``: the caller's bytes, for the same wire. ``stream_form``: see
    :class:`Reply`; a provider is always asked for ``sse``, so another form cannot be relayed as
    bytes. ``embedding``: what ``chat`` is to a conversation; ``single``: with its format's call for
    one vector. ``sent`` and ``sent_for``: the body as the caller sent it where ``body`` was
    completed from what the gateway keeps, and the id of the credential that understands it
    uncompleted.
    """

    kind: str
    dialect: str
    model: str
    stream: bool
    include_usage: bool
    max_tokens: int | None
    n: int
    size: int
    needs: frozenset[str]
    body: bytes
    chat: Callable[[], ChatRequest]
    affinity: str = ""
    user: str | None = None
    service_tier: str | None = None
    searches: int = 0
    stream_form: str = "sse"
    embedding: Callable[[], Embedding] | None = None
    single: bool = False
    sent: bytes = b""
    sent_for: int | None = None


class Edits(msgspec.Struct, frozen=True, kw_only=True):
    """The named edits to a caller's own body on its way to the same wire. ``None``: leave as it is.

    ``max_tokens`` is a ceiling to set; ``include_usage`` asks the provider for usage in the stream;
    ``drop`` names top-level fields to leave out. ``foreign``: tells thinking tokens of the
    conversation that somebody else made, or that the provider refused; they are left out.
    """

    facts: ModelFacts
    stream: bool
    include_usage: bool = False
    max_tokens: int | None = None
    drop: tuple[str, ...] = ()
    foreign: Callable[[str], bool] | None = None


class StreamDecoder(Protocol):
    """A provider's stream. ``feed`` and ``close`` hand out whole frames; joined, their ``raw``
    equals what was fed.

    ``close`` is called at end of file and yields :class:`~llm_gateway.core.events.Done` only where
    the format ends without a mark and a finish reason was seen. Errors inside the stream come as
    ``Failed`` events; nothing is raised but :class:`~llm_gateway.core.errors.AttemptFailed` for
    bytes that cannot be the format (bad_event, event_too_large).
    """

    def feed(self, chunk: bytes) -> list[Frame]: ...
    def close(self) -> list[Frame]: ...


class Wire(Protocol):
    """What we speak to a provider. ``one_call``: the format can ask for at most one tool call per
    answer. ``end_mark``: the bytes that end a whole stream; empty where the format has none and
    ends with its last chunk."""

    name: str
    one_call: bool
    end_mark: bytes

    def path(self, kind: str, facts: ModelFacts, stream: bool) -> str:
        """The path below the provider's base URL, with query, for a request of this kind;
        ``embedding`` is the call for one vector of a format that has one."""
        ...

    def encode_request(self, chat: ChatRequest, facts: ModelFacts) -> dict[str, Any]:
        """The JSON body. Raises :class:`UnsupportedParameter` for what this wire or model cannot
        do."""
        ...

    def edit_request(self, body: bytes, edits: Edits) -> bytes:
        """The caller's own body with the named edits; unknown fields survive."""
        ...

    def decode_response(self, body: bytes) -> ChatResponse:
        """A whole answer. Raises :class:`AttemptFailed` for an error inside a 200 or for what is
        not the format."""
        ...

    def stream_decoder(self) -> StreamDecoder: ...

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        """Any answer with status >= 400 (or an error inside a 200). ``headers`` have lower-case
        names."""
        ...


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What an encoder must know of the answer it writes: our request id, the model that served,
    Unix seconds ``created``, and the caller's wishes. ``stream_form``: how the caller wants a
    stream, ``sse`` or (Gemini without ``alt=sse``) ``array``. ``now`` reads the clock (Unix
    seconds), for a format that says when an answer was complete. ``prompt_tokens``: an estimate,
    for a format that tells the prompt's size before the provider does."""

    request_id: str
    model: str
    created: int
    include_usage: bool = False
    chat: ChatRequest | None = None
    stream_form: str = "sse"
    now: Callable[[], float] | None = None
    prompt_tokens: int | None = None


class Counter(Protocol):
    """How a format counts tokens: the request to a provider, its answer, and the answer to a
    caller."""

    def encode_request(self, chat: ChatRequest, facts: ModelFacts) -> dict[str, Any]: ...
    def decode_response(self, body: bytes) -> int | None: ...
    def encode_response(self, tokens: int) -> bytes: ...


class Embedder(Protocol):
    """How a format asks for embeddings and gives them. ``decode_response`` raises
    :class:`AttemptFailed`."""

    def encode_request(self, wish: Embedding, facts: ModelFacts) -> dict[str, Any]: ...
    def decode_response(self, body: bytes) -> tuple[list[list[float]], Usage | None]: ...
    def encode_response(self, vectors: list[list[float]], used: Usage | None, wish: Embedding, reply: Reply) -> bytes: ...


class StreamEncoder(Protocol):
    """A stream to a caller. ``error`` ends it without the format's end mark."""

    def encode(self, events: Iterable[Event]) -> bytes: ...
    def error(self, error: GatewayError) -> bytes: ...


class Dialect(Protocol):
    """What a caller speaks to us."""

    name: str

    def decode_request(self, body: bytes, path: Mapping[str, str]) -> Inbound:
        """``path`` holds what the URL says: ``kind``, and for Gemini ``model`` and ``stream``
        (``sse`` | ``array`` | ``""``)."""
        ...

    def encode_response(self, response: ChatResponse, reply: Reply) -> bytes: ...

    def stream_encoder(self, reply: Reply) -> StreamEncoder: ...

    def encode_error(self, error: GatewayError, request_id: str) -> tuple[int, bytes]:
        """HTTP status and JSON body; the status may differ from the error's own where the format
        has its own number (529)."""
        ...
