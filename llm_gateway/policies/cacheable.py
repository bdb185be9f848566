"""Which requests and which answers the cache may keep. Pure: a conversation or an end in, a reason
or none out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from llm_gateway.core.chat import ChatRequest, Document, FinishReason, Image, Opaque, Part, ToolResult

LARGEST_REQUEST: Final = 1 << 20
LARGEST_ANSWER: Final = 1 << 20
KINDS: Final = frozenset({"chat", "generate", "analyze", "embeddings"})
# Any other ending means the answer is incomplete or not the model's.
GOOD_ENDS: Final = frozenset({FinishReason.STOP, FinishReason.STOP_SEQUENCE, FinishReason.TOOL_CALLS})

# Top-level fields that make the provider look at something that is not in the request, or answer
# with what a kept answer cannot hold.
_SERVER_SIDE: Final = frozenset({
    "previous_response_id", "conversation", "prompt", "background", "web_search_options", "mcp_servers", "container",
    "context_management", "cachedContent", "cached_content", "search_parameters", "plugins", "prediction", "audio", "deferred",
})  # fmt: skip
_NOT_SET: Final[tuple[Any, ...]] = (None, False, [], {}, 0)
# An empty object switches a search on.
_NOT_THERE: Final[tuple[Any, ...]] = (None, False, [])


def refusal(kind: str, dialect: str, size: int, body: Mapping[str, Any], chat: ChatRequest | None, *, chance: bool) -> str:
    """Why this request's answer must not be cached; empty: it may. ``size``: bytes of the request;
    ``chat``: ``None`` where it cannot be read; ``chance``: answers with chance in them are wanted,
    too."""
    if kind not in KINDS:
        return f"{kind} is not cached"
    if size > LARGEST_REQUEST:
        return "the request is larger than 1 MB"
    if kind == "embeddings":
        return ""
    if body.get("store") is True:
        return "store asks the provider to keep it"
    own = _SERVER_SIDE - {"prompt"} if dialect == "openai_completions" else _SERVER_SIDE
    if unstable := sorted(name for name in own.intersection(body) if body[name] not in _NOT_THERE):
        return f"{unstable[0]} depends on more than the request"
    if _asks_for_odds(body):
        return "log probabilities and other media are not kept"
    if chat is None:
        return "the request cannot be read"
    if any(tool.builtin for tool in chat.tools):
        return "a provider's own tool looks things up"
    if any(_from_elsewhere(part) for message in chat.messages for part in message.parts):
        return "a part is fetched from elsewhere"
    if not chance and chat.temperature != 0 and chat.seed is None:
        return "neither temperature 0 nor a seed"
    return ""


def unfit(ends: Iterable[FinishReason | None], flags: str, size: int) -> str:
    """Why an answer must not be cached; empty: it may. ``flags``: those of its log row."""
    if flags:
        return f"flagged {flags}"
    if size > LARGEST_ANSWER:
        return "the answer is larger than 1 MB"
    finishes = list(ends)
    return "" if finishes and all(end in GOOD_ENDS for end in finishes) else "it did not end well"


def _asks_for_odds(body: Mapping[str, Any]) -> bool:
    config = body.get("generationConfig") or body.get("generation_config") or {}
    config = config if isinstance(config, Mapping) else {}
    odds = (body.get("logprobs"), body.get("top_logprobs"), config.get("responseLogprobs"), config.get("response_logprobs"))
    if any(value not in _NOT_SET for value in odds):
        return True
    include = body.get("include")
    if isinstance(include, list) and any("logprobs" in str(one) for one in include):
        return True
    media = (body.get("modalities"), config.get("responseModalities"), config.get("response_modalities"))
    return any(isinstance(kinds, list) and any(str(one).lower() != "text" for one in kinds) for kinds in media)


def _from_elsewhere(part: Part) -> bool:
    match part:
        case Image():
            return part.file_id is not None or not (part.data or (part.url or "").startswith("data:"))
        case Document():
            return part.file_id is not None or (part.url is not None and not part.url.startswith("data:"))
        case Opaque():
            # What only its own format understands: a search's result, a document to be quoted from.
            return True
        case ToolResult():
            return any(_from_elsewhere(inner) for inner in part.content)
    return False
